"""Cut-off orders by REST: read in one's branches, proposed for a draft, and never approved, commanded or freed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from rest_framework.viewsets import ViewSetMixin

from accounts.actor import Actor
from accounts.policies import SCOPE_CAPABILITIES
from billing_cutoffs.api import urls
from billing_cutoffs.models import CutoffBatch, CutoffOrder, CutoffStep
from billing_cutoffs.services import batches, decisions
from grid.models import ServicePoint
from standards.errors import Forbidden
from tests.api.clients import Machine, machine, refused
from tests.billing import world
from tests.billing.proposing import window
from tests.factories.grid import SmallCity


@pytest.fixture
def reader(city: SmallCity) -> Machine:
    return machine("cutoff:read", branch=city.east)


@pytest.fixture
def drafter(city: SmallCity) -> Machine:
    return machine("cutoff:draft", branch=city.east)


@pytest.fixture
def order(city: SmallCity, ben: Actor) -> CutoffOrder:
    return world.order(world.debtor(city), world.batch(city.east, ben), state="disconnected")


def number(city: SmallCity, code: str) -> str:
    return city.service_points[code].customer.account_number


def proposal(city: SmallCity, *accounts: str, **facts: Any) -> dict[str, Any]:
    times = {name: moment.isoformat() for name, moment in window(city.east).items()}
    return {"branch": city.east.code, **times, "items": [{"account": one} for one in accounts], **facts}


def references(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [row["reference"] for row in answer.json()["results"]]


# --- reading --------------------------------------------------------------------------------------------------------


def test_an_order_is_told_with_its_money_as_text_and_its_steps(reader: Machine, order: CutoffOrder) -> None:
    CutoffStep.objects.create(
        batch=order.batch, order=order, verb="confirm_off", before="commanded", after="disconnected",
        actor_kind="system", actor_name="cut-offs",
    )  # fmt: skip

    body = reader.get(f"cutoff-orders/{order.reference}/").json()

    assert (body["reference"], body["state"], body["amount"]) == (order.reference, "disconnected", "320.00")
    assert body["account"] == order.service_point.customer.account_number
    assert order.outage is not None
    assert (body["batch"], body["outage"]) == (order.batch.reference, order.outage.reference)
    assert [(step["verb"], step["after"]) for step in body["steps"]] == [("confirm_off", "disconnected")]


def test_the_list_is_narrowed_by_state_batch_account_branch_and_change(
    reader: Machine, order: CutoffOrder, city: SmallCity, ben: Actor
) -> None:
    other = world.order(world.debtor(city, "SP0002"), world.batch(city.east, ben), state="eligible")
    CutoffOrder.objects.filter(pk=order.pk).update(updated_at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat().replace("+", "%2B")

    assert references(reader.get("cutoff-orders/")) == [other.reference, order.reference]
    assert references(reader.get("cutoff-orders/?state=disconnected&state=paid")) == [order.reference]
    assert references(reader.get(f"cutoff-orders/?batch={other.batch.reference}")) == [other.reference]
    assert references(reader.get(f"cutoff-orders/?account={number(city, 'SP0001')}")) == [order.reference]
    assert references(reader.get(f"cutoff-orders/?branch={city.west.code}")) == []
    assert references(reader.get(f"cutoff-orders/?updated_after={since}")) == [other.reference]
    assert reader.get("cutoff-orders/?state=gone").status_code == 400


def test_an_offset_that_only_python_knows_is_a_time(reader: Machine) -> None:
    """PostgreSQL refuses offsets of sixteen hours and more; the instant is the same in UTC."""
    assert reader.get("cutoff-orders/?updated_after=2533-02-04T23:04:04%2B21:44").status_code == 200


def test_a_page_costs_the_same_however_many_orders_there_are(reader: Machine, city: SmallCity, ben: Actor) -> None:
    batch = world.batch(city.east, ben)
    debtors = world.crowd_of_debtors(city, 6)

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as spent:
            assert reader.get("cutoff-orders/").status_code == 200
        return len(spent)

    world.order(debtors[0], batch)
    cost()
    few = cost()
    for account in debtors[1:]:
        world.order(account, batch)

    assert cost() == few


def test_another_branch_and_other_scopes_see_nothing(order: CutoffOrder, city: SmallCity) -> None:
    west = machine("cutoff:read", branch=city.west)

    assert references(west.get("cutoff-orders/")) == []
    assert refused(west.get(f"cutoff-orders/{order.reference}/"), 404, "not_found")
    for scope in ("outage:read", "arrears:write", "payment:write", "meter_event:create", "protection:write"):
        if scope in SCOPE_CAPABILITIES:
            assert machine(scope).get("cutoff-orders/").status_code == 403


# --- proposing ------------------------------------------------------------------------------------------------------


def test_a_proposal_becomes_a_draft_that_a_person_hands_in(drafter: Machine, city: SmallCity, ben: Actor) -> None:
    world.debtor(city, "SP0001")

    answer = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"), note="October"))

    assert answer.status_code == 201
    body, batch = answer.json(), CutoffBatch.objects.get()
    made = CutoffOrder.objects.get()
    assert (body["batch"], body["accepted"], body["refused"]) == (batch.reference, 1, 0)
    assert body["items"][0]["order"] == made.reference
    assert body["items"][0]["outcome"] in ("proposed", "held")  # held, where the forecast is not known yet
    assert (batch.state, batch.note, batch.submitted_by) == ("draft", "October", None)
    batches.batch_check(actor=ben, reference=batch.reference)


def test_each_account_is_refused_by_itself(drafter: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0001")
    world.debtor(city, "SP0002", days=3)
    world.debtor(city, "SP0003")  # life support

    answer = drafter("cutoff-orders/", proposal(city, "404", *(number(city, f"SP000{n}") for n in (3, 2, 1))))

    outcomes = [item["outcome"] for item in answer.json()["items"]]
    assert outcomes[:3] == ["unknown_account", "protected", "too_early"]
    assert answer.json()["items"][1]["error"]["code"] == "protected"
    assert (answer.json()["accepted"], answer.json()["refused"]) == (1, 3)
    assert CutoffOrder.objects.get().service_point.code == "SP0001"


def test_where_nobody_may_be_proposed_there_is_no_draft_and_each_hears_why(drafter: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0003")

    answer = drafter("cutoff-orders/", proposal(city, number(city, "SP0003")))

    assert (answer.status_code, answer.json()["batch"]) == (200, None)
    assert answer.json()["items"][0]["outcome"] == "protected"
    assert not CutoffBatch.objects.exists()


def test_a_client_extends_its_own_draft_and_sending_again_adds_nothing(drafter: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0001")
    world.debtor(city, "SP0002")
    reference = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"))).json()["batch"]
    more = {"batch": reference, "items": [{"account": number(city, "SP0002")}, {"account": number(city, "SP0001")}]}

    answer = drafter("cutoff-orders/", more)

    assert (answer.status_code, answer.json()["accepted"], answer.json()["refused"]) == (200, 2, 0)
    assert drafter("cutoff-orders/", more).json() == answer.json()
    assert CutoffOrder.objects.filter(batch__reference=reference).count() == 2


def test_nobody_elses_draft_is_extended_and_none_that_was_handed_in(
    drafter: Machine, city: SmallCity, ben: Actor
) -> None:
    world.debtor(city, "SP0001")
    world.debtor(city, "SP0002")
    theirs = world.batch(city.east, ben)
    own = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"))).json()["batch"]
    CutoffBatch.objects.filter(reference=own).update(state="submitted")
    count = CutoffOrder.objects.count()

    for reference, code, status in ((theirs.reference, "not_found", 404), (own, "not_editable", 409)):
        items = [{"account": number(city, "SP0002")}]
        assert refused(drafter("cutoff-orders/", {"batch": reference, "items": items}), status, code)

    assert CutoffOrder.objects.count() == count


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"branch": "nowhere"}, "branch"),
        ({"items": []}, "items"),
        ({"window_from": None}, "window_from"),
        ({"level": "owner"}, "level"),
    ],
)
def test_a_wrong_body_is_refused_and_nothing_is_written(
    drafter: Machine, city: SmallCity, facts: dict[str, Any], field: str
) -> None:
    world.debtor(city, "SP0001")

    answer = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"), **facts))

    assert refused(answer, 400, "invalid", field)
    assert not CutoffBatch.objects.exists()


def test_a_window_in_which_nobody_may_be_cut_is_refused(drafter: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0001")
    soon = timezone.now() + timedelta(hours=1)
    times = {"window_from": soon.isoformat(), "window_until": (soon + timedelta(minutes=30)).isoformat()}

    answer = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"), **times))

    assert (answer.status_code, answer.json()["code"]) in [(422, "bad_window"), (422, "window_too_soon")]
    assert not CutoffBatch.objects.exists()


def test_another_branch_is_as_unknown_as_none(drafter: Machine, city: SmallCity) -> None:
    assert refused(drafter("cutoff-orders/", proposal(city, "1", branch=city.west.code)), 400, "invalid", "branch")


def test_reading_is_not_proposing(reader: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0001")

    assert refused(reader("cutoff-orders/", proposal(city, number(city, "SP0001"))), 403, "permission_denied")
    assert not CutoffBatch.objects.exists()


# --- what no token can do -------------------------------------------------------------------------------------------


def _routes(patterns: list[Any], prefix: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found |= _routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            view: Any = entry.callback
            assert issubclass(view.cls, ViewSetMixin)
            found[route] = set(view.actions.values())
    return found


def test_there_is_no_address_that_approves_commands_frees_or_ends() -> None:
    routes = _routes(urls.urlpatterns)

    assert set().union(*routes.values()) <= {"list", "retrieve", "create"}
    assert {route for route, actions in routes.items() if "create" in actions} == {
        "^arrears/$", "^payments/$", "^account-holds/$", "^temperature-forecasts/$", "^cut-complaints/$",
        "^cutoff-orders/$", "^cutoff-results/$",
    }  # fmt: skip


def test_no_scope_carries_what_only_people_decide() -> None:
    given = set().union(*SCOPE_CAPABILITIES.values())

    assert not given & {"cutoff.propose", "cutoff.approve", "protection.release", "arrears.read_call"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_a_held_order_does_not_move_by_any_method(city: SmallCity, ben: Actor, method: str) -> None:
    held = world.order(world.debtor(city), world.batch(city.east, ben), state="warned")
    CutoffOrder.objects.filter(pk=held.pk).update(state="held", state_before_hold="warned")
    everything = machine(*SCOPE_CAPABILITIES, branch=city.east)

    for action in ("", "release/", "command/", "execute/", "approve/"):
        answer = everything.send(method, f"cutoff-orders/{held.reference}/{action}", {"state": "warned"})
        assert answer.status_code in (404, 405)

    held.refresh_from_db()
    assert (held.state, held.state_before_hold) == ("held", "warned")


def test_a_client_that_proposes_can_neither_hand_in_nor_approve(drafter: Machine, city: SmallCity) -> None:
    world.debtor(city, "SP0001")
    reference = drafter("cutoff-orders/", proposal(city, number(city, "SP0001"))).json()["batch"]
    author = CutoffBatch.objects.get().author
    assert author is not None
    client = Actor.for_user(author)

    with pytest.raises(Forbidden):
        batches.batch_submit(actor=client, reference=reference)
    with pytest.raises(Forbidden):
        decisions.batch_approve(actor=client, reference=reference, typed_count=1, is_confirmed=True)

    assert CutoffBatch.objects.get().state == "draft"


def test_the_debt_stays_the_debtors_whoever_moves_in(reader: Machine, order: CutoffOrder, city: SmallCity) -> None:
    neighbour = city.service_points["SP0002"].customer
    ServicePoint.objects.filter(pk=order.service_point_id).update(customer=neighbour)

    said = reader.get(f"cutoff-orders/{order.reference}/").json()

    assert said["account"] == "1000000001" != neighbour.account_number
