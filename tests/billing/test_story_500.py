"""A batch of five hundred with every protection and the traps that lie after its approval, from statement to payment.

Who may be cut is said beforehand, line by line, in ``five_hundred``: exactly they are cut, and come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import BillingAccount, CutoffBatch, CutoffOrder, DebtNotice, MeterCommand, SimulatedMeter
from billing_cutoffs.protections import GUARDS, Finding, findings
from billing_cutoffs.services import answers, dunning, feed, proofs, record, sending
from billing_cutoffs.services.batches import batch_preview, batch_propose, batch_submit
from billing_cutoffs.services.commands import commands_queue
from billing_cutoffs.services.decisions import batch_approve, batch_resume, batch_second, batch_stop
from billing_cutoffs.services.grades import accounts_grade, grades_default
from billing_cutoffs.services.running import batches_turn
from billing_cutoffs.services.serving import notice_serve, notices_settle
from grid.models import Branch, Customer, ServicePoint
from notifications.models import Delivery, DeliveryState
from outages.models import Interruption
from outages.services import outage_open
from tests.billing.five_hundred import ALL, CASES, IN_ALL, MAY_BE_CUT, Debtors, five_hundred, forecast, pays, saturday
from tests.billing.told import payment
from tests.billing.world import CLOCK
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.notifications.post import receipt
from tests.notifications.world import turn
from tests.peers.sms_gateway import SmsGateway
from tests.planned.clock import time_passes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOON = timedelta(seconds=2)  # a prompt meter has answered by then
PER_FEEDER = 90


@dataclass
class Story:
    debtors: Debtors
    clerk: Actor
    approver: Actor
    third: Actor
    batch: CutoffBatch
    most: dict[str, int] = field(default_factory=dict)  # statements that a step took

    def orders(self, *cases: str) -> list[CutoffOrder]:
        numbers = [number for case in cases for number in self.debtors.of[case]]
        found = CutoffOrder.objects.filter(service_point__customer__account_number__in=numbers)
        return list(found.select_related("service_point__customer").order_by("pk"))

    def until(self, moment: Callable[[CutoffBatch], datetime]) -> None:
        """Time passes until that moment of the batch."""
        self.batch.refresh_from_db()
        time_passes(moment(self.batch) - timezone.now())
        self.batch.refresh_from_db()

    @contextmanager
    def counted(self, step: str) -> Iterator[None]:
        with CaptureQueriesContext(connection) as asked:
            yield
        self.most[step] = max(self.most.get(step, 0), len(asked))


@pytest.fixture
def story(open_city: SmallCity, settings: Settings, sms: SmsGateway) -> Story:
    grades_default()
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598")
    opens = saturday(timezone.now())
    debtors = five_hundred(open_city, Path(settings.RULE_PACKS_DIR), opens=opens)
    clerk, approver, third = (
        accounts.actor_of(accounts.user_with(role, open_city.bureau, username=name))
        for role, name in (("billing_clerk", "ben"), ("approver", "vera"), ("approver", "xu"))
    )
    dunned(sms)
    preview = batch_preview(actor=clerk, branch_id=open_city.bureau.pk)
    assert (preview.orders, preview.left_out) == (IN_ALL, {})
    with CaptureQueriesContext(connection) as asked:
        batch = batch_propose(
            actor=clerk, branch_id=open_city.bureau.pk, window_from=opens, window_until=opens + 4 * HOUR,
            rate_per_feeder_hour=60,
        ).batch  # fmt: skip
    return Story(debtors, clerk, approver, third, batch, {"propose": len(asked)})


def test_exactly_the_right_lines_are_held_for_the_right_reasons(story: Story, sms: SmsGateway) -> None:
    decided(story)
    announced(story, sms)
    opened(story)
    carried_out(story)
    the_clock_jumps(story)

    as_it_was_said_beforehand(story)
    everybody_pays(story)
    assert max(story.most.values()) <= 80, story.most  # whatever the number of orders


def dunned(sms: SmsGateway) -> None:
    """Everybody is graded, and reminded unless the debt is disputed, promised or on its way."""
    run = accounts_grade(actor=CLOCK)
    assert run.in_arrears == IN_ALL
    grades = set(BillingAccount.objects.values_list("grade__code", flat=True))
    assert grades == {"residential", "life-support", "important"}
    reminded = IN_ALL - sum(CASES[name].lines for name in ("dispute", "promise", "payment_in_flight"))
    assert dunning.reminders_issue(actor=CLOCK) == reminded
    turn()
    assert len(sms.journal) == reminded


def decided(story: Story) -> None:
    """Handed in; some pay, all or nearly all; approved by a second and, because it is large, by a third person."""
    of, batch = story.debtors.of, story.batch
    with story.counted("submit"):
        batch_submit(actor=story.clerk, reference=batch.reference)
    for account in of["paid_early"]:
        assert pays(account, "320.00") == "applied"
        assert pays(account, "320.00") == "already_known"  # told twice, it counts once
    for account in of["small_debt"]:
        pays(account, "305.00")
    for account in of["too_early"]:
        pays(account, "320.00")
    story.debtors.bills |= {
        **{account: [] for account in of["paid_early"]},
        **{account: [(45, "15.00")] for account in of["small_debt"]},
        **{account: [(10, "200.00")] for account in of["too_early"]},
    }
    known = sum(case.lines for name, case in ALL.items() if name in BEFORE_APPROVAL)
    count = IN_ALL - known
    for decide, who in ((batch_approve, story.approver), (batch_second, story.third)):
        with story.counted("approve"):
            decide(actor=who, reference=batch.reference, typed_count=count, is_confirmed=True)
    assert Counter(CutoffOrder.objects.values_list("state", flat=True)) == {
        "approved": count, "held": known - 3, "cancelled": 3,
    }  # fmt: skip


def announced(story: Story, sms: SmsGateway) -> None:
    """Every letter arrives at once but one, which somebody hands over a day too late."""
    late, *_none = story.orders("letter a day too late")
    before = len(sms.journal)
    assert dunning.letters_issue(batch_id=story.batch.pk, actor=CLOCK) == CutoffOrder.objects.filter(
        state="approved"
    ).count()  # fmt: skip
    messages_arrive(but=[late])
    assert len(sms.journal) - before == DebtNotice.objects.filter(stage="letter").count()
    assert state_of(late) == "approved"

    story.until(lambda batch: batch.window_from - 2 * DAY)
    notices_settle(actor=CLOCK)
    letter = late.notices.get(stage="letter")
    assert letter.failure == "no_receipt"
    notice_serve(
        notice_id=letter.pk, actor=story.clerk, how="by_hand", served_at=timezone.now() - MINUTE, note="given to 欠费户"
    )
    assert state_of(late) == "approved"


def opened(story: Story) -> None:
    """The night has brought statements and forecasts; turns are drawn, and before its window nothing is ordered."""
    story.until(lambda batch: batch.window_from - 44 * MINUTE)
    story.debtors.billed(without=story.debtors.of["statement_stale"])
    forecast(story.debtors)
    batches_turn(actor=CLOCK)
    some = [order.pk for order in story.orders("ordinary")[:3]]
    assert {found.code for found in against(some, "outside_window")} == {"outside_window"}
    ends = F("batch__window_until")
    for name, minutes in (("warning too late", 30), ("ordered when the clock jumps", 10),
                          ("waiting when the clock jumps", 4)):  # fmt: skip
        turn_at(story, story.orders(name), minutes)
    # the clock will jump over the last quarter of an hour, in which only these have their turn
    rest = CutoffOrder.objects.filter(scheduled_at__gt=ends - 16 * MINUTE)
    turn_at(story, [order for order in rest if order not in story.orders(*JUMPED)], 20)
    messages_arrive()


def carried_out(story: Story) -> None:
    """A quarter of an hour after the other; once it is stopped, and nothing happens until it goes on."""
    sprung: set[str] = set()
    for quarter in range(1, 19):
        time_passes(15 * MINUTE)
        if quarter == 8:
            stopped_and_resumed(story)
        with story.counted("turn"):
            batches_turn(actor=CLOCK)
        spring_traps(story, sprung)
        sending.commands_turn(actor=CLOCK)
        if story.debtors.of["paid before the meter answers"][0] in commanded():
            pays(story.debtors.of["paid before the meter answers"][0], "320.00")
        meters_answer()
        messages_arrive(but=[] if quarter == 17 else story.orders("warning too late"))
    assert sprung == set(TRAPS)


def stopped_and_resumed(story: Story) -> None:
    reference = story.batch.reference
    batch_stop(actor=story.clerk, reference=reference, reason="投诉核查")
    assert batches_turn(actor=CLOCK) == {}
    warned = list(CutoffOrder.objects.filter(state="warned").values_list("pk", flat=True))
    assert {found.code for found in against(warned, "batch_not_running")} == {"batch_not_running"}
    with transaction.atomic():
        assert commands_queue(order_ids=warned, purpose="disconnect", actor=CLOCK) == []
    batch_resume(actor=story.approver, reference=reference, reason="已核实")


def the_clock_jumps(story: Story) -> None:
    """Some are ordered off and some wait for their turn when the clock jumps past the end: nobody is switched off."""
    time_passes(6 * MINUTE)
    batches_turn(actor=CLOCK)
    ordered = set(MeterCommand.objects.filter(state="queued").values_list("order", flat=True))
    assert ordered == {order.pk for order in story.orders("ordered when the clock jumps")}
    time_passes(30 * MINUTE)
    assert sending.commands_turn(actor=CLOCK) == {"refused": len(ordered)}  # by the gate: no meter hears of it
    batches_turn(actor=CLOCK)
    while record.records_follow(actor=CLOCK):
        pass


def as_it_was_said_beforehand(story: Story) -> None:
    story.batch.refresh_from_db()
    assert story.batch.state == "done"
    told = {
        number: (case.holds, case.state, case.reason) for name, case in ALL.items() for number in story.debtors.of[name]
    }
    assert len(told) == IN_ALL
    found = {
        order.service_point.customer.account_number: (
            ",".join(hold["code"] for hold in order.holds), order.state, order.state_reason,
        )
        for order in story.orders(*ALL)
    }  # fmt: skip
    assert {number: found.get(number) for number in told if found.get(number) != told[number]} == {}
    off = {f"M{number}" for number in story.debtors.of["ordinary"]}
    assert set(SimulatedMeter.objects.filter(is_connected=False).values_list("pk", flat=True)) == off
    back = {f"M{number}" for number in story.debtors.of["paid before the meter answers"]}
    assert set(SimulatedMeter.objects.values_list("pk", flat=True)) == off | back  # no other was told anything
    assert open_interruptions() == MAY_BE_CUT.lines
    met = {case.holds or case.reason for case in CASES.values()} | {"outside_window", "batch_not_running"}
    assert set(GUARDS) - met == set()
    nothing_broken()


def everybody_pays(story: Story) -> None:
    """The bank tells of all of them at once, and twice; everybody has power again."""
    items = [payment(account, "320.00", name=f"L-{account}") for account in story.debtors.of["ordinary"]]
    items.append(payment("9999999999", "320.00", name="L-unknown"))
    with story.counted("payments"):
        outcomes = feed.payments_receive(actor=CLOCK, source_system="bank", items=items)
    assert Counter(one.outcome for one in outcomes) == {"applied": MAY_BE_CUT.lines, "unknown_account": 1}
    again = feed.payments_receive(actor=CLOCK, source_system="bank", items=items)
    assert {one.outcome for one in again} <= {"already_known", "unknown_account"}
    for _ in range(2):
        sending.commands_turn(actor=CLOCK, limit=IN_ALL)
        meters_answer()

    assert {order.state for order in story.orders("ordinary")} == {"reconnected"}
    assert not SimulatedMeter.objects.filter(is_connected=False).exists()
    assert SimulatedMeter.objects.exclude(commands=2).count() == 0  # off once and on once
    assert open_interruptions() == 0
    nothing_broken()


# --- the traps ----------------------------------------------------------------------------------------


def life_support(accounts_of: list[str], _story: Story) -> None:
    Customer.objects.filter(account_number__in=accounts_of).update(importance="life_support")


def two_households(accounts_of: list[str], _story: Story) -> None:
    ServicePoint.objects.filter(code="SP0002").update(meter_number=f"M{accounts_of[0]}")


def fault(_accounts: list[str], story: Story) -> None:
    element = ServicePoint.objects.get(code=f"P{story.debtors.of['fault since a second'][0]}").element_id
    outage_open(
        kind="fault",
        action="start",
        actor=CLOCK,
        element_ids=[element],
        started_at=timezone.now() - timedelta(seconds=1),
    )


def in_flight(accounts_of: list[str], _story: Story) -> None:
    pays(accounts_of[0], "320.00", status="in_flight")


def paid(accounts_of: list[str], _story: Story) -> None:
    for account in accounts_of:
        pays(account, "320.00")


TRAPS = {
    "paid seconds before the command": paid,
    "payment in flight since a second": in_flight,
    "two households on one meter": two_households,
    "fault since a second": fault,
    "life support since a second": life_support,
}
JUMPED = ("warning too late", "ordered when the clock jumps", "waiting when the clock jumps")
BEFORE_APPROVAL = [name for name in CASES if " " not in name and name != "forecast_unknown"]


def spring_traps(story: Story, sprung: set[str]) -> None:
    """The command stands in the queue, and a second before it leaves everything is different."""
    queued = MeterCommand.objects.filter(state="queued")
    waiting = set(queued.values_list("order__service_point__customer__account_number", flat=True))
    for name, change in TRAPS.items():
        if name not in sprung and waiting & set(story.debtors.of[name]):
            change(story.debtors.of[name], story)
            sprung.add(name)


# --- what everybody does --------------------------------------------------------------------------------


def messages_arrive(*, but: list[CutoffOrder] | None = None) -> None:
    """Letters and warnings are sent through the gateway, which says that they arrived; but not at these customers."""
    turn()
    without = [order.service_point.customer_id for order in but or []]
    letters = DebtNotice.objects.filter(order__isnull=False).values("letter_id")
    sent = Delivery.objects.filter(channel="sms", state=DeliveryState.ACCEPTED, letter_id__in=letters)
    for delivery in sent.exclude(customer_id__in=without):
        receipt(delivery, "DELIVRD")
    turn()
    while any(notices_settle(actor=CLOCK).values()):
        pass


def meters_answer() -> None:
    answers.simulator_turn(now=timezone.now() + SOON)
    while answers.answers_apply(actor=CLOCK):
        pass
    sending.commands_turn(actor=CLOCK)
    answers.simulator_turn(now=timezone.now() + SOON)
    answers.answers_apply(actor=CLOCK)


def commanded() -> set[str]:
    orders = CutoffOrder.objects.filter(state="commanded")
    return set(orders.values_list("service_point__customer__account_number", flat=True))


def turn_at(story: Story, orders: list[CutoffOrder], minutes: int) -> None:
    """Their turn is so many minutes before the end of the window."""
    moment = story.batch.window_until - minutes * MINUTE
    CutoffOrder.objects.filter(pk__in=[order.pk for order in orders]).update(scheduled_at=moment)


def against(order_ids: list[int], code: str) -> list[Finding]:
    """What of this kind stands against each of these at the command."""
    found = findings(order_ids=order_ids, stage="command", at=timezone.now())
    return [next(one for one in found[pk] if one.code == code) for pk in order_ids]


def state_of(order: CutoffOrder) -> str:
    return CutoffOrder.objects.get(pk=order.pk).state


def open_interruptions() -> int:
    return Interruption.objects.filter(outage__kind="non_payment", actual__isnull=False, actual__upper_inf=True).count()


def nothing_broken() -> None:
    assert proofs.invariants_broken() == {}
    call_command("verify_counts", stdout=StringIO())
