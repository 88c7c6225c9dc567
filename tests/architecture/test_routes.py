"""The long walk (reliability.md 6.2): every address × every role and scope × an object of a foreign branch.

Whoever is not named in ``routes.py`` is refused and writes nothing; whoever is named gets an answer; nobody ever
reads what belongs to the other branch, and nothing fails.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from accounts.policies import SCOPES
from billing_cutoffs.models import AccountHold, DebtNotice, Grade
from billing_cutoffs.services import files
from call_center.models import Callback
from call_center.services import call_log, call_start
from grid.models import Branch, CalendarDay, GridImport
from outages.faults.models import Crew
from outages.faults.services import crew_assign, fault_log
from outages.faults.views.steps import STEPS
from outages.load_shedding.models import SheddingEvent, Slot
from outages.load_shedding.services import agreements, drafts, tables
from outages.models import Outage
from outages.planned.models import ScheduleLine, ScheduleRun
from outages.planned.services import joint_create
from outages.services import outage_open
from tests.architecture.routes import PEOPLE, READ_EVERYWHERE, ROLES, ROUTES, Rule
from tests.billing.world import CLOCK, debtor
from tests.billing.world import batch as cutoff_batch
from tests.billing.world import order as cutoff_order
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.planned.books import HEADINGS, book, uploaded
from tests.planned.world import plan_of, published_alone, work_in
from tests.shedding import happening
from tests.shedding import world as shedding

REFUSED = (401, 403, 404, 405)
BACKEND = "django.contrib.auth.backends.ModelBackend"
# a refusal leaves its own trace, a session remembers what it was asked, a token when it was used
TRACES = ("accounts_accessevent", "django_session", "accounts_servicetoken", "axes_")
NOTHING_MEASURED = {
    "rules_broken": 0, "broken": [], "customer_minutes": 0, "customers_again": 0, "holiday_customers": 0,
}  # fmt: skip
EAST_PREMISES = ("东风路12号3单元501室", "M0001", "1000000002", "what the caller said")


def addresses() -> list[str]:
    """Every route as the resolver spells it; Django's admin is looked at by itself."""

    def below(resolver: Any, prefix: str = "") -> Iterator[str]:
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from below(entry, route)
            elif isinstance(entry, URLPattern):
                yield route

    return [route for route in dict.fromkeys(below(get_resolver())) if not route.startswith("admin/")]


def test_every_address_has_an_entry_and_every_entry_an_address() -> None:
    assert sorted(addresses()) == sorted(ROUTES)


# --- the world: everything lies in the east, everybody who walks stands in the west -------------------


@dataclass
class World:
    city: SmallCity
    outages: dict[str, Outage]
    args: dict[str, list[dict[str, Any]]]
    values: dict[str, Any]
    drafts: tuple[str, ...] = ()  # works and files that nobody outside planning has heard of

    def urls(self, route: str, rule: Rule) -> list[str]:
        return [filled(route, args) for args in (self.args[rule.args] if rule.args else [{}])]

    def data(self, rule: Rule) -> dict[str, Any]:
        return {name: self.values.get(str(value), value) for name, value in rule.data.items()}

    def secrets(self, who: str) -> list[str]:
        """What ``who`` must never read: other people's debts, other branches' customers and outages."""
        found = [] if who == "auditor" else [self.outages["non_payment"].reference, *EAST_PREMISES]
        if who not in READ_EVERYWHERE:
            found += [outage.reference for outage in self.outages.values()]
        return found if who == "auditor" else [*found, *self.drafts]


def filled(route: str, args: dict[str, Any]) -> str:
    route = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda found: str(args[found[1]]), route)
    route = re.sub(r"<\w+:(\w+)>", lambda found: str(args[found[1]]), route)
    return "/" + route.replace("^", "").replace("$", "")


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world is built once and never committed; every test walks in it inside a savepoint of its own."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # services open durable transactions of their own
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("media")):
        with block:
            yield _built()
            transaction.set_rollback(True)
        connections.close_all()


@pytest.fixture
def world(db: None, built: World) -> World:
    return replace(built, args=dict(built.args))


def _built() -> World:
    city = small_city()
    mei, asha = (accounts.actor_of(person(city.east)) for person in (accounts.mei, accounts.asha))
    now, hour = timezone.now(), timedelta(hours=1)
    outages = {
        "fault": fault_log(actor=asha, element_ids=city.ids("L11"), started_at=now - hour),
        "planned": outage_open(
            kind="planned", action="schedule", actor=asha, element_ids=city.ids("T12"),
            planned_start=now + hour, planned_end=now + 2 * hour,
        ),
        "load_shedding": outage_open(
            kind="load_shedding", action="start", actor=asha, element_ids=city.ids("T12"), started_at=now - hour
        ),
        "non_payment": outage_open(
            kind="non_payment", action="start", actor=asha, started_at=now - hour,
            service_point_ids=[city.service_points["SP0002"].pk], is_public=False, cutoff_order=1,
        ),
    }  # fmt: skip
    crew = Crew.objects.create(code="C1", name="李工", branch=city.east)
    sent = crew_assign(outage_id=outages["fault"].pk, crew_id=crew.pk, actor=asha)
    point = city.service_points["SP0001"]
    call = call_start(actor=mei, service_point_id=point.pk)
    earlier = call_start(actor=mei, service_point_id=point.pk)
    call_log(actor=mei, key=earlier.key, reason="no_supply", note="what the caller said")
    planning = _planning(city)
    token, _key = accounts.client_token("outage:read", branch=city.east, username="client-east")
    agent = User.objects.get(username="mei")
    shed = _shed_plan(city)
    fault = {"reference": outages["fault"].reference}
    return World(
        city=city,
        outages=outages,
        args={
            "outage": [{"reference": outages[kind].reference} for kind in ("fault", "planned", "load_shedding")],
            "fault": [fault],
            "step": [{**fault, "name": name} for name in STEPS],
            "assignment": [{**fault, "assignment_id": sent.pk}],
            "call": [{"key": call.key}],
            "callback": [{"callback_id": Callback.objects.get().pk}],
            "import": [{"pk": GridImport.objects.create(source_format="csv", status="preview").pk}],
            "template": [{"table": "elements"}],
            "chart": [{"name": "execution"}],
            "user": [{"pk": agent.pk}],
            "grant": [{"pk": agent.role_grants.get().pk}],
            "client": [{"pk": token.user_id}],
            "token": [{"pk": token.pk}],
            "key": [{"key": "0-0", "uidb36": "1"}],
            "account": [{"account": "nobody"}],
            **planning.args,
            **_cutting(city),
            **shed,
        },
        drafts=planning.drafts,
        values={
            "$east_point": point.pk,
            "$east_place": f"e{city.id('T11')}",
            "$east_address": "东风路12号",
            "$shed_event": shed["shed_event"][0]["reference"],
        },
    )


def _file(branch: Branch, name: str) -> int:
    """A file from billing that waits for confirmation."""
    data = "户号,统计时间,账单号,应缴日期,欠费金额\n1000000002,2026-01-02,B1,2025-12-01,1\n".encode()
    file = files.file_upload(actor=CLOCK, branch=branch, kind="arrears", name=name, chunks=[data])
    files.file_check(file_id=file.pk)
    return file.pk


def _cutting(city: SmallCity) -> dict[str, list[dict[str, Any]]]:
    """A debtor of the east whose cut is proposed and barred."""
    account = debtor(city)
    hold = AccountHold.objects.create(account=account, kind="dispute", set_by_name="billing")
    order = cutoff_order(account, cutoff_batch(city.east, CLOCK))
    grade = Grade.objects.create(code="all", name_zh="全部", name_en="All", rank=1)
    reminder = DebtNotice.objects.create(
        case=order.case, stage="reminder", after_days=7, amount=account.overdue, issued_at=timezone.now()
    )
    kept, unwanted = (_file(account.branch, name) for name in ("a.csv", "b.csv"))
    batch = {"reference": order.batch.reference}
    return {
        "hold": [{"pk": hold.pk}],
        "debtor": [{"number": account.customer.account_number}],
        "debt_notice": [{"number": account.customer.account_number, "pk": reminder.pk}],
        "cutoff_letters": [{"reference": order.batch.reference}],
        "grade": [{"pk": grade.pk}],
        "cutoff_order": [{"reference": order.reference}],
        "cutoff_batch": [batch],
        "cutoff_batch_step": [{**batch, "step": step} for step in ("submit", "change", "add", "undo")],
        "cutoff_batch_order": [{**batch, "order": order.reference, "step": step} for step in ("hold", "exclude")],
        "cutoff_act": [{"reference": order.reference, "step": step} for step in ("cancel", "off", "reconnect", "safe")],
        "billing_file": [{"pk": kept}],
        "unwanted_file": [{"pk": unwanted}],
        "feed": [{"kind": "payments"}],
    }


@dataclass
class Planning:
    args: dict[str, list[dict[str, Any]]]
    drafts: tuple[str, ...]


def _planning(city: SmallCity) -> Planning:
    """A plan of the east with a draft, a joint work and an uploaded file; a published window; a day of its calendar."""
    pia, lena = (
        accounts.actor_of(accounts.user_with(role, city.east, username=name))
        for role, name in (("planner", "pia"), ("branch_lead", "lena"))
    )
    otto = accounts.actor_of(accounts.user_with("approver", city.east, username="otto"))
    period = plan_of(city, pia)
    draft = work_in(city, pia, "L12", period=period)
    parts = [work_in(city, pia, "T12", period=period) for _n in range(2)]
    joint = joint_create(actor=pia, period_id=period.pk, work_ids=[part.pk for part in parts])
    window = published_alone(city, pia, lena, otto, "T11")
    day = CalendarDay.objects.create(day=timezone.localdate(), kind="exam", name="期末考试", branch=city.east)
    row = ["C-9", "", "T12", "25:00", "", "", "", "a note in the file of the east"]
    sheet = uploaded(pia, book(HEADINGS, row), branch=city.east, period=period)
    assert window.outage is not None
    run = ScheduleRun.objects.create(
        period=period, state="done", crew_capacity=3, before=NOTHING_MEASURED, after=NOTHING_MEASURED
    )
    times = [[moment.isoformat() for moment in draft.windows.values_list("starts_at", "ends_at")[0]]]
    line = ScheduleLine.objects.create(run=run, work=draft, work_version=1, before=times, after=times)
    work, plan = {"reference": draft.reference}, {"pk": period.pk}
    return Planning(
        args={
            "plan": [plan],
            "plan_step": [{**plan, "step": step} for step in ("submit", "capacity")],
            "work": [work],
            "joint": [{"reference": joint.reference}],
            "work_step": [{**work, "step": "delete"}],
            "window": [{"reference": window.outage.reference, "step": step} for step in ("start", "move", "cancel")],
            "day": [{"pk": day.pk}],
            "schedule": [{"pk": run.pk}],
            "schedule_line": [{"pk": run.pk, "line_id": line.pk}],
            "sheet": [{"pk": sheet.pk}],
            "sheet_row": [{"pk": sheet.pk, "number": 2}],
        },
        drafts=(draft.reference, joint.reference, row[-1]),
    )


def _shed_plan(city: SmallCity) -> dict[str, list[dict[str, Any]]]:
    """A draft of the east's shedding plan with a block, a turn and a file; an element kept out of it."""
    asha = accounts.actor_of(User.objects.get(username="asha"))
    plan = shedding.draft(
        city, asha, branch=city.east, blocks={"E": ("T12",)}, turns=shedding.every_day("E", "08:00", "10:00")
    )
    kept = drafts.kept_out_set(actor=asha, element_id=city.id("T11"), why="ufls")
    agreement = agreements.agreement_set(actor=asha, customer_id=city.customers["wang"].pk, kind="shift", mw=0.5)
    digest = tables.table_keep(actor=asha, plan=plan, chunks=[b"stage,day,from,until,block\n1,1,08:00,10:00,E\n"])
    pk = {"pk": plan.pk}
    return {
        "shed_plan": [pk],
        "shed_block": [{**pk, "block_pk": plan.blocks.get().pk}],
        "shed_turn": [{**pk, "turn_pk": plan.turns.all()[0].pk}],
        "shed_table": [{**pk, "digest": digest}],
        "shed_kept": [{"pk": kept.pk}],
        "shed_agreement": [{"pk": agreement.pk}],
        **_shed_event(city, asha),
    }


def _shed_event(city: SmallCity, asha: Actor) -> dict[str, list[dict[str, Any]]]:
    """An approved plan of the east, which everybody may read about, and an event of it."""
    otto = accounts.actor_of(accounts.user_with("approver", city.east, username="otto"))
    made = shedding.plan(city, asha, otto, branch=city.east, blocks={"P": ("T12",)}, mw={"P": 1.0})
    begins = happening.minute() + 2 * happening.HOUR
    until = begins + happening.HOUR
    # what is off already, as everything in the east is, is not ordered off: so it is written, not decided
    event = SheddingEvent.objects.create(
        reference="LS-2026-000901", plan=made, branch=city.east, state="confirmed", colour="red", generation=1,
        author_name="Asha", target_mw=1.0, starts_at=begins, ends_at=until,
    )  # fmt: skip
    block = made.blocks.get()
    slot = Slot.objects.create(event=event, block=block, starts_at=begins, ends_at=until, mw_planned=1.0)
    return {
        "shed_public": [{"language": name, "branch": "0101", "code": "P"} for name in ("zh-hans", "en")],
        "shed_event": [{"reference": event.reference}],
        "shed_step": [{"reference": event.reference, "name": name} for name in ("change", "cancel")],
        "shed_slot_step": [{"reference": event.reference, "slot_pk": event.slots.get().pk, "name": "off"}],
        "shed_chart": [{"reference": event.reference, "name": "load"}],
        "shed_slot": [{"pk": slot.pk}],
    }


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of refusals need no line of log each."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet() -> None:
    """What tests before this one asked without a login counts against no request of the walk."""
    cache.clear()


@contextmanager
def undone() -> Iterator[list[str]]:
    """Whatever a request does is taken back, so that the next one finds the same world; yields what it wrote."""
    wrote: list[str] = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        changes = re.match(r"\s*(INSERT|UPDATE|DELETE)\b", sql) and context["cursor"].rowcount
        if changes and not any(table in sql for table in TRACES):
            wrote.append(sql)
        return result

    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # services open durable transactions of their own
    with connection.execute_wrapper(watch), block:
        yield wrote
        transaction.set_rollback(True)


@dataclass
class Walker:
    """Somebody with a browser or a token; every request starts from the same cookies."""

    who: str
    user: User | None = None
    key: str = ""

    def __post_init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        if self.user is not None:
            self.client.force_login(self.user, backend=BACKEND)
        self.cookies = self.client.cookies.output(header="", sep=";")

    def ask(self, method: str, url: str, data: dict[str, Any]) -> Any:
        client = self.client
        client.cookies = SimpleCookie(self.cookies)
        headers = {"Authorization": f"Token {self.key}"} if self.key else {}
        if url.startswith("/api/") and method != "GET":
            return client.generic(method, url, json.dumps(data), content_type="application/json", headers=headers)
        if method == "POST":
            return client.post(url, data, headers=headers)
        return client.generic(method, url, headers=headers)


def is_refused(response: Any) -> bool:
    to_login = response.status_code == 302 and response.headers["Location"].startswith("/accounts/login/")
    return response.status_code in REFUSED or to_login


def body_of(response: Any) -> str:
    raw = b"".join(response.streaming_content) if response.streaming else response.content
    return str(raw.decode("utf-8", "replace"))


def walk(walker: Walker, world: World, route: str, rule: Rule, allowed: dict[str, bool]) -> Iterator[str]:
    """What is wrong at this address, in words."""
    for url in world.urls(route, rule):
        for method, may in allowed.items():
            with undone() as wrote:
                response = walker.ask(method, url, world.data(rule) if method == "POST" else {})
                what = f"{walker.who} {method} {url} -> {response.status_code}"
                body = body_of(response)
            refused = is_refused(response)
            if response.status_code >= 500:
                yield what
            elif may and refused:
                yield f"{what}, expected an answer"
            elif not may and not refused and response.status_code != 422:  # 422: the refusal stands in the form
                yield f"{what}, expected a refusal"
            elif not may and wrote:
                yield f"{what}, but wrote {wrote[0][:80]}"
            elif response.status_code == 200:
                yield from (f"{what} shows {secret}" for secret in world.secrets(walker.who) if secret in body)


@pytest.mark.parametrize("who", PEOPLE)
def test_a_role_in_one_branch_reaches_nothing_in_another(who: str, world: World) -> None:
    user = None
    if who != "anonymous":
        user = accounts.user_with(who if who in ROLES else None, world.city.west, username=f"{who}-west")
    walker = Walker(who, user)

    wrong = [
        problem
        for route, rule in ROUTES.items()
        for problem in walk(walker, world, route, rule, {"GET": who in rule.get, "POST": who in rule.post})
    ]

    assert wrong == []


def test_a_token_reaches_what_its_scope_says_and_only_its_own_branch(world: World) -> None:
    world.args["outage"] = world.args["fault"]
    interface = {route: rule for route, rule in ROUTES.items() if route.startswith("api/") and not rule.is_public}
    wrong: list[str] = []
    named = sorted(set().union(*(rule.scopes | rule.readers for rule in interface.values())))
    others = [scope for scope in SCOPES if scope not in named]  # none of them opens anything here
    for scopes in (*([scope] for scope in named), others):
        _token, key = accounts.client_token(*scopes, branch=world.city.west, username=f"client-{scopes[0]}")
        walker = Walker("+".join(scopes), key=key)
        for route, rule in interface.items():
            may = not rule.scopes.isdisjoint(scopes)
            reads = may or not rule.readers.isdisjoint(scopes)
            allowed = {"GET": reads and bool(rule.get), "POST": may and bool(rule.post)}
            wrong += walk(walker, world, route, rule, allowed)

    assert wrong == []


def test_a_token_opens_no_page(world: World) -> None:
    _token, key = accounts.client_token(*SCOPES, username="client-everything")
    walker = Walker("a token of every scope", key=key)
    pages = {r: rule for r, rule in ROUTES.items() if not r.startswith("api/") and not rule.is_public}

    wrong = [p for r, rule in pages.items() for p in walk(walker, world, r, rule, {"GET": False, "POST": False})]

    assert wrong == []


@pytest.mark.parametrize("own", sorted({rule.own.lower() for rule in ROUTES.values() if rule.own}))
def test_in_the_own_branch_the_same_objects_are_reached(own: str, world: World) -> None:
    """Without this the walk above could be right by asking for nothing."""
    user = User.objects.get(username="mei") if own == "agent" else accounts.user_with(own, world.city.east)
    walker = Walker(own, user)
    refused = []
    for route, rule in ROUTES.items():
        for url in world.urls(route, rule) if rule.own.lower() == own else []:
            with undone():
                response = walker.ask("POST" if rule.own.isupper() else "GET", url, world.data(rule))
            if is_refused(response) or response.status_code >= 500:
                refused.append(f"{url} -> {response.status_code}")

    assert refused == []


def test_other_methods_write_nothing_and_break_nothing(world: World) -> None:
    """By somebody who holds every role everywhere."""
    user = accounts.user_with(None, username="all")
    for role in ROLES:
        accounts.user_with(role, username="all")
    walker = Walker("all", user)
    wrong = []
    for route, rule in ROUTES.items():
        url = world.urls(route, rule)[0]
        for method in ("PUT", "DELETE"):
            with undone() as wrote:
                response = walker.ask(method, url, world.data(rule))
            if response.status_code >= 500 or (wrote and not rule.is_public):
                wrong.append(f"{method} {url} -> {response.status_code} {wrote[:1]}")

    assert wrong == []


@pytest.mark.parametrize("who", [who for who in PEOPLE if who != "administrator"])
def test_djangos_admin_is_for_administrators(who: str, db: None) -> None:
    user = None
    if who != "anonymous":
        user = accounts.user_with(who if who in ROLES else None, username=f"{who}-everywhere")
    walker = Walker(who, user)
    pages = [f"/admin/{page}" for page in ("", "grid/branch/", "grid/customer/", "accounts/user/", "call_center/call/")]

    answers = [walker.ask(method, page, {}).status_code for page in pages for method in ("GET", "POST")]

    assert set(answers) <= {302, 403, 404, 405}


def test_missing_and_foreign_are_the_same_answer(world: World) -> None:
    """``F-2026-000123`` can be guessed; guessing must tell nothing."""
    walker = Walker("dispatcher", accounts.user_with("dispatcher", world.city.west))
    foreign, missing = world.outages["fault"].reference, "F-2001-000001"
    pages = (
        "/outages/{}/",
        "/faults/{}/etr/",
        "/notifications/outages/{}/",
        "/api/v1/outages/{}/",
        "/api/v1/faults/{}/",
    )
    for page in pages:
        theirs, nothing = (walker.ask("GET", page.format(reference), {}) for reference in (foreign, missing))

        assert (theirs.status_code, nothing.status_code) == (404, 404)
        assert plain(body_of(theirs), foreign) == plain(body_of(nothing), missing)


def plain(body: str, reference: str) -> str:
    """Without what differs from one answer to the next anyway: the protection of forms, and the question itself."""
    body = re.sub(r'(csrfmiddlewaretoken" value|X-CSRFToken": ?|nonce|data-now|datetime)="?[^"]+"?', "", body)
    body = re.sub(r">\d\d:\d\d:\d\d<", "><", body)  # the page's clock
    return re.sub(r'"[A-Za-z0-9]{64}"', "", body).replace(reference, "REFERENCE")


def test_an_unknown_key_is_as_missing_as_somebody_elses_call(world: World) -> None:
    walker = Walker("agent", accounts.user_with("agent", world.city.east, username="another-agent"))
    keys = (world.args["call"][0]["key"], uuid4())

    assert [walker.ask("GET", f"/console/call/{key}/", {}).status_code for key in keys] == [404, 404]
