"""The pages of batches: proposed with a preview, read by whoever decides, stopped, taken back, exported."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from accounts.actor import Actor
from accounts.models import AccessEvent, User
from billing_cutoffs.models import AccountHold, CutComplaint, CutoffBatch, CutoffOrder
from billing_cutoffs.services.decisions import batch_undo
from billing_cutoffs.services.running import batches_turn
from grid.models import ServicePoint
from tests.billing.proposing import approved, everything, proposed, settled, states, submitted, window
from tests.billing.world import CLOCK, batch, crowd_of_debtors, debtor, order
from tests.factories import accounts
from tests.factories.grid import SmallCity


@pytest.fixture
def clerk(ben_user: User) -> Client:
    return _signed_in(ben_user)


@pytest.fixture
def approver(otto_user: User) -> Client:
    return _signed_in(otto_user)


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(of: CutoffBatch, tail: str = "") -> str:
    return f"/cutoffs/batches/{of.reference}/{tail}"


def text(response: Any) -> str:
    assert isinstance(response, HttpResponse)
    return " ".join(response.content.decode().split())


def step(client: Client, of: CutoffBatch, name: str, **data: Any) -> Any:
    return client.post(url(of, f"steps/{name}/"), {"version": of.version, **data}, follow=True)


# --- proposing ----------------------------------------------------------------------------------------


def said(city: SmallCity, **more: Any) -> dict[str, Any]:
    when = window(city.east)
    return {
        "branch": city.east.pk, "level": "station", "day": when["window_from"].date().isoformat(), "begins": "09:00",
        "ends": "15:00", "accounts": "", "note": "", **more,
    }  # fmt: skip


def test_a_clerk_sees_what_a_choice_comes_to_and_proposes_it(city: SmallCity, clerk: Client) -> None:
    debtor(city, "SP0001", amount="812.30")
    debtor(city, "SP0002", days=3)

    form = text(clerk.get("/cutoffs/batches/new/"))
    preview = text(clerk.post("/cutoffs/batches/new/", said(city), headers={"HX-Request": "true"}))
    plain = text(clerk.post("/cutoffs/batches/new/", said(city, preview="1", note="kept")))
    assert CutoffBatch.objects.count() == 0
    page = clerk.post("/cutoffs/batches/new/", said(city), follow=True)

    assert "First possible day" not in form
    for shown in (preview, plain):
        assert "CNY 812.30" in shown
        assert "1 × The debt is too young for a cut." in shown
    assert 'value="kept"' in plain
    made = CutoffBatch.objects.get()
    assert page.redirect_chain[-1][0] == url(made)
    assert "1 order is proposed." in text(page)
    assert states(made) == {"1000000001": "eligible"}


def test_accounts_that_cannot_be_in_it_are_told_with_the_reason(city: SmallCity, clerk: Client) -> None:
    debtor(city, "SP0001")

    page = text(clerk.post("/cutoffs/batches/new/", said(city, accounts="1000000001, 1000000009"), follow=True))

    assert "1000000009: There is no such account in this branch." in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"begins": "07:00"}, "A window lies within one day, between 09:00 and 16:00."),
        ({"rate_per_hour": "700"}, "Between 1 and 600"),
        ({"branch": "0"}, "Select a valid choice"),
        ({"accounts": "1000000003"}, "there is nothing to propose"),
    ],
)
def test_a_wrong_proposal_stays_on_the_page(
    city: SmallCity, clerk: Client, wrong: dict[str, str], message: str
) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0003")

    page = clerk.post("/cutoffs/batches/new/", said(city, **wrong))

    assert page.status_code in (409, 422)
    assert message in text(page)
    assert CutoffBatch.objects.count() == 0


# --- deciding -----------------------------------------------------------------------------------------


def test_the_batch_says_what_holds_whom_by_which_rule(city: SmallCity, ben: Actor, clerk: Client) -> None:
    debtor(city, "SP0001")
    account = debtor(city, "SP0002")
    debtor(city, "SP0003")
    AccountHold.objects.create(account=account, kind="dispute", set_by_name="x")
    of = proposed(city.east, ben)

    page = text(clerk.get(url(of)))
    held = text(clerk.get(url(of) + "?why=dispute"))
    found = text(clerk.get(url(of) + "?q=1000000003"))

    for words in ("Disputed bill", "life support", "Billing as of", "Protections that ran", "C***"):
        assert words.lower() in page.lower() or words == "C***"
    assert "1000000002" in held
    assert "1000000001" not in held
    assert "1000000003" in found
    assert "1000000002" not in found


def test_whoever_handed_it_in_waits_for_a_second_person(
    city: SmallCity, ben: Actor, clerk: Client, approver: Client
) -> None:
    debtor(city, "SP0001")
    of = submitted(city.east, ben)

    mine, theirs = text(clerk.get(url(of))), text(approver.get(url(of)))

    assert "Waiting for a second person" in mine
    assert "steps/approve/" not in mine
    assert clerk.get(url(of, "steps/approve/")).status_code == 403
    assert "Waiting for a second person" not in theirs
    assert "steps/approve/" in theirs
    with translation.override("zh-hans"):
        chinese = clerk.get(url(of), headers={"Accept-Language": "zh-hans"})
    assert chinese.status_code == 200


def test_an_approver_sees_what_changed_ticks_and_types_the_count(city: SmallCity, ben: Actor, approver: Client) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    of = submitted(city.east, ben)
    settled("1000000001")
    before = everything(of)

    assert approver.get(url(of, "steps/approve/")).status_code == 200
    unread = step(approver, of, "approve", typed_count=2)
    assert unread.status_code == 422
    assert everything(of) == before

    moved = step(approver, of, "approve", typed_count=2, is_confirmed="on")
    assert moved.status_code == 409
    assert "1 orders can be carried out now, not 2" in text(moved)
    assert "1 ended without a cut" in text(moved)  # what changed since it was handed in
    assert CutoffBatch.objects.get().state == "submitted"

    done = step(approver, of, "approve", typed_count=1, is_confirmed="on")
    assert "Its letters go out now." in text(done)
    assert states(of) == {"1000000001": "cancelled", "1000000002": "approved"}


def test_two_approvers_do_not_collide(city: SmallCity, ben: Actor, approver: Client) -> None:
    debtor(city, "SP0001")
    of = submitted(city.east, ben)
    of.version -= 1

    late = step(approver, of, "approve", typed_count=1, is_confirmed="on")

    assert late.status_code == 409
    assert "Somebody else was faster" in text(late)
    assert CutoffBatch.objects.get().state == "submitted"


def test_a_batch_goes_back_with_a_reason_and_is_changed(
    city: SmallCity, ben: Actor, clerk: Client, approver: Client
) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    of = submitted(city.east, ben)

    step(approver, of, "return", reason="Leave out No. 502")
    assert "Leave out No. 502" in text(clerk.get(url(of)))
    out = of.orders.get(service_point__code="SP0002")
    clerk.post(url(of, f"orders/{out.reference}/exclude/"), {"version": 1, "reason": "as asked"})
    of.refresh_from_db()
    changed = step(clerk, of, "change", day=said(city)["day"], begins="10:00", ends="15:00", rate_per_hour=50)
    assert "The batch is changed." in text(changed)
    of.refresh_from_db()
    step(clerk, of, "submit")
    of.refresh_from_db()

    approving = text(approver.get(url(of, "steps/approve/")))
    assert "Changed since it was sent back" in approving
    assert out.reference in approving
    assert "as asked" in approving
    assert (of.state, of.rate_per_hour) == ("submitted", 50)


def test_orders_are_held_released_and_answered_for_with_a_reason(
    city: SmallCity, ben: Actor, clerk: Client, approver: Client
) -> None:
    debtor(city, "SP0001")
    of = submitted(city.east, ben)
    one = of.orders.get()
    address = url(of, f"orders/{one.reference}/")

    assert clerk.post(address + "hold/", {"version": 1}).status_code == 422
    clerk.post(address + "hold/", {"version": 1, "reason": "She is in hospital"})
    assert states(of) == {"1000000001": "held"}
    assert "She is in hospital" in text(approver.get(url(of)))
    assert clerk.post(address + "release/", {"version": 2, "reason": "x"}).status_code == 403

    approver.post(address + "release/", {"version": 2, "reason": "Asked her: she pays"})
    assert states(of) == {"1000000001": "eligible"}
    assert approver.get(address + "nonsense/").status_code == 404


# --- carried out --------------------------------------------------------------------------------------


def test_the_overview_has_what_stopped_first_and_what_waits_for_whom(
    city: SmallCity, ben: Actor, approver: Client, clerk: Client
) -> None:
    debtor(city, "SP0001")
    submitted(city.east, ben)
    of = batch(city.east, ben, state="running", approved_at=timezone.now())
    people = crowd_of_debtors(city, 6)
    for account in people:
        order(account, of, state="disconnected")
        CutComplaint.objects.create(account=account, by_name="mei")
    late = order(debtor(city, "SP0002"), of, state="paid")
    CutoffOrder.objects.filter(pk=late.pk).update(reconnect_due_at=timezone.now())
    batches_turn(actor=CLOCK)

    page = text(approver.get("/cutoffs/"))

    assert "1 customer who has paid is without power beyond the deadline." in page
    assert page.index("Stopped by the brake") < page.index("Waiting for approval")
    assert "Your approval" in page
    assert "A second person's approval" in text(clerk.get("/cutoffs/")).replace("&#x27;", "'")
    stopped = text(approver.get(url(of)))
    assert "6 of the 7 cuts of the last hour, 6 complaints" in stopped


def test_a_batch_is_stopped_resumed_and_taken_back_with_reasons(
    city: SmallCity, ben: Actor, clerk: Client, approver: Client
) -> None:
    of = batch(city.east, ben, state="running", approved_at=timezone.now())
    order(debtor(city, "SP0001"), of, state="warned")
    order(debtor(city, "SP0002"), of, state="disconnected")

    assert step(clerk, of, "stop").status_code == 422
    assert "Storm" in text(step(clerk, of, "stop", reason="Storm"))
    of.refresh_from_db()
    step(approver, of, "resume", reason="Storm over")
    of.refresh_from_db()
    assert of.state == "running"
    receipt = text(step(clerk, of, "undo", reason="Wrong month"))

    assert "Receipt: taken back" in receipt
    assert "Wrong month" in receipt
    assert "1000000002" in receipt
    assert states(of) == {"1000000001": "cancelled", "1000000002": "disconnected"}
    assert "Receipt: taken back" in text(clerk.get(url(of)))  # it is there tomorrow, too


def test_a_running_batch_refreshes_its_figures_alone(city: SmallCity, ben: Actor, clerk: Client) -> None:
    of = batch(city.east, ben, state="running", approved_at=timezone.now())
    order(debtor(city, "SP0001"), of, state="warned")

    fragment = clerk.get(url(of), headers={"HX-Request": "true"})

    assert fragment.headers["Vary"].count("HX-Request") == 1
    assert "<h1" not in text(fragment)
    assert "Next turn" in text(fragment)


def test_the_trail_has_every_decision(city: SmallCity, ben: Actor, otto: Actor, clerk: Client) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0003")
    of = approved(city.east, ben, otto)
    batch_undo(actor=ben, reference=of.reference, reason="=Wrong month")

    answer: Any = clerk.get(url(of, "decisions.csv"))
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode().lstrip("\ufeff"))))

    assert [(row[1], row[3], row[4]) for row in rows[1:]] == [
        ("Ben", "1000000001", "proposed"),
        ("Ben", "1000000003", "proposed"),
        ("Ben", "1000000003", "held"),
        ("Ben", "", "proposed"),
        ("Ben", "", "handed in"),
        ("Otto", "", "approved"),
        ("Otto", "1000000001", "approved"),
        ("Ben", "1000000001", "ended without a cut"),
        ("Ben", "1000000003", "ended without a cut"),
        ("Ben", "", "taken back altogether"),
    ]
    assert "life support" in rows[3][8].lower()
    assert rows[-1][7] == "'=Wrong month"  # nothing runs in a spreadsheet
    assert AccessEvent.objects.get(verb="export").object_ref == of.reference


def test_the_debt_stays_the_debtors_whoever_moves_in(city: SmallCity, ben: Actor, clerk: Client) -> None:
    debtor(city, "SP0001")
    of = proposed(city.east, ben)
    made = of.orders.get()
    neighbour = city.service_points["SP0002"].customer
    ServicePoint.objects.filter(pk=made.service_point_id).update(customer=neighbour)

    page = text(clerk.get(url(of)))
    sheet = clerk.get(f"/cutoffs/orders/{made.reference}/evidence/")

    assert "1000000001" in page
    assert neighbour.account_number not in page
    assert sheet.context["account"].customer.account_number == "1000000001"


def test_the_pages_take_as_many_statements_for_many_orders_as_for_few(
    city: SmallCity, ben: Actor, clerk: Client
) -> None:
    people = crowd_of_debtors(city, 60)
    counts: list[int] = []
    for some in (people[:5], people[5:]):
        of = batch(city.east, ben, state="approved", approved_at=timezone.now())
        for account in some:
            order(account, of, state="noticed")
        with CaptureQueriesContext(connection) as seen:
            for address in (url(of), url(of, "steps/undo/"), "/cutoffs/", "/cutoffs/batches/"):
                assert clerk.get(address).status_code == 200
        counts.append(len(seen))

    assert counts[1] == counts[0]


def test_an_agent_and_an_outsider_find_no_batches(city: SmallCity, ben: Actor, dora_user: User) -> None:
    debtor(city, "SP0001")
    of = proposed(city.east, ben)
    agent = _signed_in(accounts.mei(city.east))
    outsider = _signed_in(dora_user)

    assert agent.get("/cutoffs/").status_code == 403
    assert "/cutoffs/" not in text(agent.get("/board/"))
    assert outsider.get(url(of)).status_code == 404
    assert outsider.post(url(of, "steps/undo/"), {"version": 1, "reason": "x"}).status_code == 404
    assert states(of) == {"1000000001": "eligible"}
