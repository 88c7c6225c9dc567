"""Any order of events: payments, holds, stops, answers, deaths of workers, time. Three sentences hold at every moment.

Never off without every legal step; never off after payment beyond the deadline without an alarm; what is protected is
never commanded.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import (
    AccountHold,
    CommandAttempt,
    CutoffBatch,
    CutoffOrder,
    DebtNotice,
    SimulatedMeter,
)
from billing_cutoffs.services import answers, reconnection, sending
from billing_cutoffs.simulator import Simulator
from grid.models import ServicePoint
from outages.models import Interruption
from tests.billing import world
from tests.billing.meters import CLOCK, account_of, meter, nothing_broken, orders_for, pays, queue, running
from tests.factories.grid import SmallCity
from tests.planned.clock import time_passes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]

BEHAVIOURS = ("prompt", "slow", "mute", "deaf", "refuses", "lies")
WATCH = timedelta(minutes=2)  # the alarm is looked for once a minute


class Course(RuleBasedStateMachine):
    """Three debtors with three meters, warned, in a window of some hours."""

    city: SmallCity
    ben: Actor
    points: list[ServicePoint]

    @initialize(behaviours=st.tuples(*[st.sampled_from(BEHAVIOURS)] * 3))
    def begin(self, behaviours: tuple[str, ...]) -> None:
        debtors = [world.debtor_at(point) for point in self.points]
        self.orders = orders_for(debtors, running(self.city, self.ben))
        for order, behaviour in zip(self.orders, behaviours, strict=True):
            meter(order, behaviour)
        self.held_since: dict[int, Any] = {}

    def order(self, n: int) -> CutoffOrder:
        return CutoffOrder.objects.get(pk=self.orders[n].pk)

    @rule(n=st.integers(0, 2))
    def ordered_off(self, n: int) -> None:
        queue(self.order(n))

    @rule(n=st.integers(0, 2))
    def paid(self, n: int) -> None:
        account = account_of(self.order(n))
        if account.overdue:
            pays(account)

    @rule(n=st.integers(0, 2))
    def disputed(self, n: int) -> None:
        order = self.order(n)
        if order.pk not in self.held_since:
            AccountHold.objects.create(account=account_of(order), kind="dispute", set_by_name="mei")
            newest = CommandAttempt.objects.order_by("-pk").values_list("pk", flat=True).first()
            self.held_since[order.pk] = newest or 0

    @rule(state=st.sampled_from(["stopped", "running"]))
    def stopped_or_resumed(self, state: str) -> None:
        CutoffBatch.objects.update(state=state)

    @rule()
    def sent(self) -> None:
        sending.commands_turn(actor=CLOCK)

    @rule()
    def answered(self) -> None:
        answers.simulator_turn()
        answers.answers_apply(actor=CLOCK)

    @rule(lane=st.sampled_from([0, 2]), has_reached=st.booleans())
    def sent_by_a_worker_that_dies(self, lane: int, has_reached: bool) -> None:
        """After its gate: before the call, or after the meter has it."""
        switch = Dying(has_reached)
        claim = sending._claim(sending._LANES[lane], 8)
        if claim is None:
            return
        with suppress(Died):
            claim.lane.work(claim, switch, CLOCK, timezone.now())

    @rule(minutes=st.sampled_from([1, 15, 120, 600, 1500]))
    def time_goes_by(self, minutes: int) -> None:
        """Whatever the clock should have done in that time is done."""
        time_passes(timedelta(minutes=minutes))
        reconnection.deadlines_watch(actor=CLOCK)

    @rule(n=st.integers(0, 2), position=st.sampled_from(["connected", "disconnected"]))
    def an_old_answer_arrives(self, n: int, position: str) -> None:
        order = self.order(n)
        item = {
            "answer_id": f"old-{timezone.now().timestamp()}",
            "meter_number": order.service_point.meter_number,
            "position": position,
            "read_at": (timezone.now() - timedelta(days=3)).isoformat(),
        }
        answers.answers_store(source_system="meters", items=[item])
        answers.answers_apply(actor=CLOCK)

    # --- what holds at every moment

    @invariant()
    def never_off_without_every_legal_step(self) -> None:
        nothing_broken()
        for order in CutoffOrder.objects.filter(state__in=lifecycle.OFF):
            stages = set(
                DebtNotice.objects.filter(order=order, served_at__lt=order.commanded_at).values_list("stage", flat=True)
            )
            assert stages >= {"letter", "final_warning"}
            assert order.commanded_at is not None
            assert order.batch.approved_at is not None

    @invariant()
    def never_off_after_payment_beyond_the_deadline_without_an_alarm(self) -> None:
        for order in CutoffOrder.objects.exclude(state__in=lifecycle.ENDED).filter(
            reconnect_due_at__lt=timezone.now() - WATCH
        ):
            assert order.escalated_at is not None, order.state

    @invariant()
    def what_is_protected_is_never_commanded(self) -> None:
        for order_id, since in getattr(self, "held_since", {}).items():
            later = CommandAttempt.objects.filter(
                pk__gt=since, question=False, command__order=order_id, command__purpose="disconnect"
            )
            assert not later.exists()

    def teardown(self) -> None:
        """In the end every meter behaves, time goes by, and whoever paid has power, as the record says."""
        if not hasattr(self, "orders"):
            return
        SimulatedMeter.objects.update(behaviour="prompt")
        for _ in range(12):
            time_passes(timedelta(minutes=20))
            sending.commands_turn(actor=CLOCK)
            answers.simulator_turn(now=timezone.now() + timedelta(seconds=2))
            answers.answers_apply(actor=CLOCK)
        for order in (self.order(n) for n in range(3)):
            is_on = SimulatedMeter.objects.get(pk=order.service_point.meter_number).is_connected
            if order.paid_at is not None or account_of(order).overdue == 0:
                assert (order.state in lifecycle.ENDED, is_on) == (True, True), order.state
            is_open = Interruption.objects.filter(
                service_point=order.service_point, actual__isnull=False, actual__upper_inf=True
            )
            assert is_open.exists() == (order.state in lifecycle.OFF)
        nothing_broken()
        _forget()


class Died(Exception):
    """The worker is gone."""


class Dying:
    """The simulator, and a worker that dies around its call."""

    account, at_once = "dying", 8

    def __init__(self, has_reached: bool) -> None:
        self.has_reached = has_reached

    def send(self, calls: Any) -> Any:
        if self.has_reached:
            Simulator().send(calls)
        raise Died

    def ask(self, questions: Any) -> Any:
        raise Died


def _forget() -> None:
    """Every course begins with the same city and no debts."""
    with connection.cursor() as db:
        db.execute("SET session_replication_role = replica")
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")
        db.execute("SET session_replication_role = origin")


TABLES = (
    "billing_cutoffs_commandattempt", "billing_cutoffs_meteranswer", "billing_cutoffs_metercommand",
    "billing_cutoffs_simulatedmeter", "billing_cutoffs_cutoffstep", "billing_cutoffs_debtnotice",
    "billing_cutoffs_clearance", "billing_cutoffs_cutofforder", "billing_cutoffs_cutoffbatch",
    "billing_cutoffs_accounthold", "billing_cutoffs_payment", "billing_cutoffs_bill", "billing_cutoffs_gradechange",
    "billing_cutoffs_arrearscase", "billing_cutoffs_billingaccount", "outages_interruption", "outages_outageevent",
    "outages_outage", "notifications_delivery", "notifications_letter", "notifications_notice",
)  # fmt: skip


def test_in_any_order_of_events(open_city: SmallCity, ben: Actor) -> None:
    Course.city, Course.ben = open_city, ben
    Course.points = [open_city.service_points[code] for code in ("SP0001", "SP0002", "SP0005")]
    run_state_machine_as_test(
        Course,
        settings=settings(
            max_examples=12, stateful_step_count=14, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), derandomize=False,
        ),
    )  # fmt: skip
