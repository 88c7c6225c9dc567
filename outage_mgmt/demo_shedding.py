"""Load shedding of the demo city: a plan in force, its published stages, and an event that is running."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch, CustomerClass, ElementKind, GridElement, ServicePoint
from outages.load_shedding.models import Agreement, KeptOut, SheddingEvent, SheddingPlan, StageWindow
from outages.load_shedding.rotation import Row
from outages.load_shedding.services import agreements, choices, clock, drafts, events, plans, schedule, slots

SLOT: Final = timedelta(hours=2)
# by stage: how many blocks are off at once
STAGES: Final = ((1, "blue", 1), (2, "yellow", 2), (3, "orange", 3), (4, "red", 4))


class DemoShedding:
    """What the shedding desk of the bureau works with."""

    def __init__(self, bureau: Branch) -> None:
        people = get_user_model().objects
        self.dispatcher = Actor.for_user(people.get(username="dispatcher"))
        self.approver = Actor.for_user(people.get(username="approver"))
        self.bureau = bureau
        self.zone = ZoneInfo(bureau.time_zone)
        self.now = timezone.now().astimezone(self.zone).replace(second=0, microsecond=0)

    def run(self) -> None:
        plan = self.plan()
        self.agreements()
        self.published(plan)
        self.running(plan)

    def plan(self) -> SheddingPlan:
        """A block a feeder; the last feeder is shed by relays, so nobody may shed it by hand."""
        feeders = list(GridElement.objects.filter(kind=ElementKind.FEEDER, customers__gt=0).order_by("pos"))
        kept = feeders.pop()
        drafts.kept_out_set(actor=self.dispatcher, element_id=kept.pk, why=KeptOut.Why.UFLS, note="低频减载第二轮")
        plan = plans.plan_create(
            actor=self.dispatcher, branch=self.bureau, name="冬季有序用电方案", effective_from=self.now.date()
        )
        codes = []
        for n, feeder in enumerate(feeders, start=1):
            codes.append(f"B{n:02d}")
            drafts.block_save(
                actor=self.dispatcher, plan_id=plan.pk, code=codes[-1], element_ids=[feeder.pk],
                name=f"{feeder}区块", name_en=f"Block {n}",
            )  # fmt: skip
        plan.refresh_from_db()
        loads = sorted(max(block.mw_by_hour) for block in plan.blocks.all())
        stages = [(number, colour, round(sum(loads[:off]) * 0.9, 3)) for number, colour, off in STAGES]
        drafts.stages_set(actor=self.dispatcher, plan_id=plan.pk, stages=stages)
        drafts.turns_set(actor=self.dispatcher, plan_id=plan.pk, rows=self._table(codes))
        plans.plan_approve(actor=self.approver, plan_id=plan.pk, is_accepted=True)
        plan.refresh_from_db()
        return plan

    def agreements(self) -> None:
        """The six largest customers take some of their load off when they are asked."""
        largest = ServicePoint.objects.filter(
            customer__customer_class__in=(CustomerClass.INDUSTRIAL, CustomerClass.COMMERCIAL)
        ).order_by("-average_kw", "pk")  # fmt: skip
        terms = ((Agreement.Kind.SHIFT, 0.4, 240), (Agreement.Kind.AVOID, 0.25, 60), (Agreement.Kind.LIMIT, 0.5, 30))
        for n, point in enumerate(largest[:6]):
            kind, share, notice = terms[n % len(terms)]
            agreements.agreement_set(
                actor=self.dispatcher,
                customer_id=point.customer_id,
                kind=kind,
                mw=round(point.average_kw * share / 1000, 4),
                notice_minutes=notice,
                valid_until=self.now.date() + timedelta(days=200 + 30 * n),
            )

    def _table(self, codes: list[str]) -> list[Row]:
        """From six in the morning to ten at night in turns of two hours; every weekday begins with another block."""
        rows = []
        for stage, _colour, off in STAGES:
            for day in range(1, 8):
                for n in range(8):
                    begins = 6 + 2 * n
                    first = day * 3 + n * off
                    chosen = {codes[(first + k) % len(codes)] for k in range(min(off, len(codes)))}
                    rows += [Row(stage, code, "weekly", day, time(begins), time(begins + 2)) for code in sorted(chosen)]
        return rows

    def published(self, plan: SheddingPlan) -> None:
        """Today nobody else is shed; tomorrow evening the first stage is forecast. Beyond that nothing is known."""
        midnight = datetime.combine(self.now.date() + timedelta(days=1), time(0), self.zone)
        for stage, begins, until, certainty in (
            (0, self.now, midnight, StageWindow.Certainty.CONFIRMED),
            (0, midnight, midnight + timedelta(hours=16), StageWindow.Certainty.FORECAST),
            (1, midnight + timedelta(hours=16), midnight + timedelta(hours=22), StageWindow.Certainty.FORECAST),
        ):
            schedule.stage_publish(
                actor=self.dispatcher, plan_id=plan.pk, stage=stage, begins=begins, until=until, certainty=certainty
            )

    def running(self, plan: SheddingPlan) -> SheddingEvent:
        """Ordered, agreed to and begun: the first block is off, the next turn is ahead."""
        stage = plan.stages.get(number=1)
        event = events.event_order(
            actor=self.dispatcher, branch=self.bureau, stage=1, target_mw=stage.mw, starts_at=self.now,
            ends_at=self.now + 2 * SLOT, order_number="调度令 26-118", authority="省调",
        )  # fmt: skip
        for agreement in Agreement.objects.select_related("customer").order_by("pk")[: len(Agreement.Kind)]:
            events.measure_record(
                actor=self.dispatcher, event_id=event.pk, kind=agreement.kind, customer=agreement.customer,
                asked_mw=agreement.mw, relief_mw=round(agreement.mw * 0.9, 4), is_measured=True,
            )  # fmt: skip
        events.proposals_make(actor=self.dispatcher, event_id=event.pk)
        event = events.event_propose(
            actor=self.dispatcher, event_id=event.pk, letter="A", reason="晚高峰负荷缺口；错峰、避峰措施已用尽"
        )
        blocks = choices.blocks_of(event.proposals.get(letter=event.chosen))
        events.event_confirm(
            actor=self.approver, event_id=event.pk, is_checked=True, typed_blocks=len(blocks),
            at=timezone.now() - timedelta(minutes=1),
        )  # fmt: skip
        clock.events_turn(actor=Actor.system("clock"))
        for slot in event.slots.filter(state="planned", starts_at__lte=timezone.now()):
            slots.slot_off(actor=self.dispatcher, slot_id=slot.pk, at=timezone.now(), mw=slot.mw_planned)
        return event
