"""A cut in the unified record: private everywhere, changed by its order only, on the board when a promise is broken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.kinds import FollowsItsOrder
from billing_cutoffs.models import CutoffOrder, MeterAnswer
from billing_cutoffs.services import record
from grid.models import ServicePoint
from outages import services as outages
from outages.models import Outage
from outages.selectors import outages_public, outages_visible_to
from outages.supply_status import supply_status
from tests.api.clients import machine, refused
from tests.billing import world
from tests.factories import accounts
from tests.factories.grid import SmallCity


@pytest.fixture
def cut(city: SmallCity, ben: Actor) -> CutoffOrder:
    return world.order(world.debtor(city), world.batch(city.east, ben), state="disconnected")


@pytest.fixture
def overdue(city: SmallCity, ben: Actor) -> CutoffOrder:
    """Paid, and still off two hours after it should have been on again."""
    return late(world.order(world.debtor(city), world.batch(city.east, ben), state="reconnect_failed"))


def late(order: CutoffOrder) -> CutoffOrder:
    record.record_promise(order=order, actor=world.CLOCK, due_at=timezone.now() + timedelta(hours=1))
    due = timezone.now() - timedelta(hours=2)
    CutoffOrder.objects.filter(pk=order.pk).update(reconnect_due_at=due)
    Outage.objects.filter(cutoff_order=order).update(etr=due)
    order.refresh_from_db()
    return order


def record_of(order: CutoffOrder) -> Outage:
    assert order.outage is not None
    return order.outage


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


# --- it follows its order -------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("outage_restore", {"restored_at": "now"}),
    ("outage_set_etr", {"etr": "later", "etr_source": "operator"}),
    ("outage_void", {"reason": "x"}),
    ("outage_change_extent", {"add_element_ids": "T11"}),
]


@pytest.mark.parametrize(("verb", "facts"), CHANGES, ids=[verb for verb, _facts in CHANGES])
def test_nobody_changes_the_record_beside_the_order(
    cut: CutoffOrder, city: SmallCity, verb: str, facts: dict[str, Any]
) -> None:
    now = timezone.now()
    meant = {"now": now, "later": now + timedelta(hours=1), "T11": city.ids("T11")}
    facts = {name: meant.get(value, value) for name, value in facts.items()}
    before = Outage.objects.filter(pk=record_of(cut).pk).values().get()

    with pytest.raises(FollowsItsOrder):
        getattr(outages, verb)(outage_id=cut.outage_id, actor=Actor.system("tests"), **facts)

    assert Outage.objects.filter(pk=record_of(cut).pk).values().get() == before


def test_nobody_opens_one_beside_an_order(city: SmallCity) -> None:
    with pytest.raises(FollowsItsOrder):
        outages.outage_open(
            kind="non_payment", action="start", actor=Actor.system("tests"), started_at=timezone.now(),
            service_point_ids=[city.service_points["SP0001"].pk],
        )  # fmt: skip

    assert not Outage.objects.exists()


def test_the_interface_of_faults_does_not_find_it(cut: CutoffOrder) -> None:
    client = machine("outage:write", "outage:read")
    path = f"faults/{record_of(cut).reference}/restore/"

    assert refused(client(path, {"restored_at": timezone.now().isoformat()}), 404, "not_found")
    cut.refresh_from_db()
    assert record_of(cut).status == "active"


# --- who sees it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["agent", "dispatcher", "planner", "branch_lead", "administrator"])
def test_whoever_reads_no_cut_offs_sees_none_anywhere(overdue: CutoffOrder, city: SmallCity, role: str) -> None:
    outage, user = record_of(overdue), accounts.user_with(role, city.bureau)
    desk = browser(user)
    addresses = [
        "/board/", "/board/?kind=non_payment", "/board/?overdue=true", "/board/outages.csv", "/board/map.geojson",
        "/faults/", "/console/", "/planned/", "/planned/reports/", "/live/since/",
    ]  # fmt: skip

    assert list(outages_visible_to(accounts.actor_of(user))) == []
    for address in addresses:
        response = desk.get(address, {"since": "0"} if "live" in address else {})
        text = b"".join(response) if response.streaming else response.content
        assert outage.reference not in text.decode(), address
        assert overdue.reference not in text.decode(), address
    assert desk.get(reverse("outages:detail", args=[outage.reference])).status_code in (403, 404)
    totals = desk.get("/board/").context
    assert totals is None or "totals" not in totals or totals["totals"].outages == 0


def test_the_public_and_every_other_scope_see_none(overdue: CutoffOrder) -> None:
    outage = record_of(overdue)
    client = machine("outage:read", "outage:write", "event:read", "supply:read", "report:create", "plan:submit")
    point = overdue.service_point

    assert list(outages_public()) == []
    assert client.get("outages/").json()["results"] == []
    assert client.get("outages/?kind=non_payment").json()["results"] == []
    assert refused(client.get(f"outages/{outage.reference}/"), 404, "not_found")
    assert refused(client.get(f"outages/{outage.reference}/events/"), 404, "not_found")
    assert client.get("events/").json()["events"] == []
    for key, value in (("service_point", point.code), ("meter", point.meter_number)):
        answer = client.get(f"supply-status/?{key}={value}")
        assert outage.reference not in answer.content.decode()
        assert (answer.json()["results"][0]["state"], answer.json()["results"][0]["causes"]) == ("unknown", [])


def test_who_reads_cut_offs_reads_those_of_their_own_branches(cut: CutoffOrder, city: SmallCity) -> None:
    outage = record_of(cut)
    both = accounts.user_with("billing_clerk", city.west, username="both")
    accounts.user_with("dispatcher", city.east, username="both")

    assert machine("outage:read", "cutoff:read").get(f"outages/{outage.reference}/").json()["kind"] == "non_payment"
    # a dispatcher of the east who collects in the west reads no debt of the east
    assert list(outages_visible_to(accounts.actor_of(both))) == []


def test_its_page_names_order_and_batch_to_the_clerk(cut: CutoffOrder, ben_user: User) -> None:
    page = browser(ben_user).get(reverse("outages:detail", args=[record_of(cut).reference])).content.decode()

    assert cut.reference in page
    assert cut.batch.reference in page
    assert reverse("billing_cutoffs:order", args=[cut.reference]) in page


# --- the board ------------------------------------------------------------------------------------------------------


def shown(client: Client, address: str = "/board/") -> list[str]:
    return [row.outage.reference for row in client.get(address).context["rows"]]


def test_a_broken_promise_stands_at_the_top_of_its_owners_board(
    overdue: CutoffOrder, city: SmallCity, ben_user: User
) -> None:
    asha = accounts.actor_of(accounts.asha(city.bureau))
    big = outages.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("F1"),
        started_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip

    response = browser(ben_user).get("/board/")

    first, second = response.context["rows"]
    assert (first.outage, second.outage) == (overdue.outage, big)
    assert (first.is_loud, first.tone, first.shape) == (True, "red", "cutoff")
    assert "should have been on again for 2 h" in str(first.facts.stage)
    assert response.context["totals"].overdue == 1


def test_a_cut_or_a_promise_that_still_holds_is_no_work_of_the_board(
    cut: CutoffOrder, city: SmallCity, ben: Actor, ben_user: User
) -> None:
    world.order(world.debtor(city, "SP0002"), cut.batch, state="reconnect_commanded")

    assert shown(browser(ben_user)) == []


def test_no_debtors_door_is_on_a_map(overdue: CutoffOrder, ben_user: User) -> None:
    assert browser(ben_user).get("/board/map.geojson").json()["features"] == []


def test_the_stepper_knows_of_the_payment(overdue: CutoffOrder, ben_user: User) -> None:
    page = browser(ben_user).get(reverse("outages:detail", args=[record_of(overdue).reference]))

    assert [step["state"] for step in page.context["steps"]] == ["done", "done", "now", "todo", "todo"]


# --- a meter that says otherwise ------------------------------------------------------------------------------------


def answered(order: CutoffOrder, position: str, *, minutes: float, key: str = "a") -> None:
    MeterAnswer.objects.create(
        source_system="ami", answer_id=f"{key}{minutes}", meter_number=order.service_point.meter_number,
        position=position, read_at=timezone.now() - timedelta(minutes=minutes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "disagrees"),
    [
        ([("connected", 2)], True),
        ([("connected", 30)], False),  # from before the cut
        ([("connected", 4), ("disconnected", 2)], False),
        ([("disconnected", 4), ("connected", 2), ("unknown", 1)], True),
        ([], False),
    ],
)
def test_a_meter_that_has_power_although_it_was_cut_is_a_disagreement(
    cut: CutoffOrder, answers: list[tuple[str, float]], disagrees: bool
) -> None:
    for position, minutes in answers:
        answered(cut, position, minutes=minutes)

    assert supply_status(cut.service_point, verified=True).disagreement is disagrees
    assert supply_status(cut.service_point).causes == ()


def test_the_answer_for_everybody_else_costs_no_statement_more(
    cut: CutoffOrder, city: SmallCity, django_assert_num_queries: Any
) -> None:
    points = ServicePoint.objects.select_related("branch")
    debtor, neighbour = points.get(pk=cut.service_point_id), points.get(code="SP0002")

    with django_assert_num_queries(3):  # the record, hazards reported, and the published turns of load shedding
        assert supply_status(neighbour).disagreement is False
    with django_assert_num_queries(4):
        supply_status(debtor)
