"""The measurements of load shedding."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.utils import timezone

from accounts.actor import Actor
from benchmarks.machine import timed
from benchmarks.report import Result
from grid.models import Branch, GridElement
from notifications import fanout, router
from notifications.models import DeliveryState, Notice
from outages.load_shedding import blocks, proposals
from outages.load_shedding.models import (
    BlockElement,
    Proposal,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    SheddingStep,
)
from outages.load_shedding.question import question_of
from outages.load_shedding.rotation import Announced, Row, expand
from outages.load_shedding.services import changes, clock
from outages.models import Outage

BLOCKS = 300
EVENTS = 20
PROPOSAL_SECONDS = 2.0
CHANGE_SECONDS = 60.0
ME = Actor.system("bench")


def proposing(service_points: int) -> Result:
    """All three proposals for an order of a third of the load, with everything that is read for them."""
    with transaction.atomic():
        plan, elements = _plan_of(BLOCKS)
        rows = _history_of(plan, EVENTS)
        target = 0.35 * sum(plan.blocks.values_list("load_kw", flat=True)) / 1000
        begins = timezone.now() + timedelta(hours=2)
        with timed() as reading:
            question = question_of(plan=plan, target_mw=target, begins=begins, until=begins + timedelta(hours=2))
        transaction.set_rollback(True)
    with timed() as choosing:
        found = [
            proposals.propose(letter, question.candidates, question.periods, question.limits)
            for letter in proposals.LETTERS
        ]
    if not all(one.is_tightest and one.meets_target for one in found):
        raise RuntimeError(f"not optimal, or short: {[one.shortfall_kw for one in found]}")
    ours = reading.seconds + choosing.seconds
    return Result(
        "shedding-proposals",
        f"three proposals of {BLOCKS} blocks with {elements:,} elements over {service_points:,} service points",
        f"{ours:.2f} s", f"{PROPOSAL_SECONDS:.0f} s", ours / PROPOSAL_SECONDS, 1, True,
        f"bare: the budget; reading {reading.seconds:.2f} s with a ledger of {rows:,} interruptions,"
        f" choosing {choosing.seconds:.2f} s, all optimal",
    )  # fmt: skip


def _plan_of(count: int) -> tuple[SheddingPlan, int]:
    """Every transformer of the city in one of so many blocks, measured; and how many transformers that are."""
    draw = Random(count)
    top = Branch.objects.order_by("pos")[0]
    plan = SheddingPlan.objects.create(
        branch=top, number=9_000 + SheddingPlan.objects.count(), name="bench", effective_from=timezone.localdate()
    )
    made = SheddingBlock.objects.bulk_create(
        SheddingBlock(plan=plan, code=f"B{n:03d}", mw_by_hour=[0.0] * 24, switchings=draw.randint(1, 6))
        for n in range(count)
    )
    elements = GridElement.objects.filter(kind="transformer").order_by("pos")
    rows = [BlockElement(plan=plan, block=made[draw.randrange(count)], element=element) for element in elements]
    BlockElement.objects.bulk_create(rows)
    blocks.places_measure(blocks.elements_of(plan))
    return plan, len(rows)


def _history_of(plan: SheddingPlan, events: int) -> int:
    """So many events of two hours, a fortnight apart, each with a third of the blocks; returns the interruptions."""
    now, draw = timezone.now(), Random(events)
    codes = list(plan.blocks.values_list("pk", flat=True))
    rows = 0
    for n in range(1, events + 1):
        since = now - timedelta(days=14 * n)
        outage = Outage.objects.create(
            reference=f"BENCH-{n}", kind="load_shedding", status="closed", branch=plan.branch, rule_pack="cn-sgcc",
            started_at=since, restored_at=since + timedelta(hours=2),
        )  # fmt: skip
        with connection.cursor() as db:
            db.execute(
                """INSERT INTO outages_interruption (outage_id, element_id, actual, customers, critical, load_kw)
                   SELECT %s, element_id, tstzrange(%s, %s), customers, critical, load_kw
                   FROM load_shedding_blockplace WHERE block_id = ANY(%s)""",
                [outage.pk, since, outage.restored_at, draw.sample(codes, len(codes) // 3)],
            )
            rows += db.rowcount
    # a year of history is known to the planner; what was written a moment ago is not
    _sql("ANALYZE outages_outage, outages_interruption, load_shedding_sheddingblock, load_shedding_blockplace")
    return rows


AREAS, STAGES, DAYS = 650, 8, 30
EXPAND_SECONDS = 5.0


def expanding() -> Result:
    """Every turn of a month in every stage: a large city's table, in which stage n has n turns in two days."""
    zone = ZoneInfo("Africa/Johannesburg")
    rows = [
        Row(stage, f"A{area:03d}", "monthly", day, time(hour % 24), time((hour + 2) % 24, 30))
        for stage in range(1, STAGES + 1)
        for area in range(AREAS)
        for day in range(1, 32)
        for hour in range(area + 3 * day, area + 3 * day + 5 * ((stage + 1) // 2), 5)
    ]
    begins = datetime(2026, 11, 1, tzinfo=zone)
    windows = [Announced(stage, begins, begins + timedelta(days=DAYS)) for stage in range(1, STAGES + 1)]
    with timed() as watch:
        spans = expand(rows, windows, zone)
    if {span.block for span in spans} != {row.block for row in rows}:
        raise RuntimeError(f"{len(spans)} turns, and not of every area")
    return Result(
        "shedding-schedule", f"{DAYS} days of {STAGES} stages of {AREAS} areas, {len(rows):,} rows",
        f"{watch.seconds:.1f} s", f"{EXPAND_SECONDS:.0f} s", watch.seconds / EXPAND_SECONDS, 1, True,
        f"bare: the budget; {len(spans):,} turns",
    )  # fmt: skip


def changing(service_points: int) -> Result:
    """A stage is cut short while every block has its turn ahead: from the order to the last message owed."""
    with transaction.atomic():
        plan, _elements = _plan_of(BLOCKS)
        event = _confirmed(plan)
    while router.route_events()[0]:
        pass  # events of other measurements make no messages here
    _sql("TRUNCATE notifications_delivery, notifications_noticechunk, notifications_notice CASCADE")
    with timed() as slots:
        clock.events_turn(actor=ME)
    announced, announcing = _told()
    _sql(
        "UPDATE notifications_delivery SET state = %s, done_at = now() WHERE state = %s",
        [DeliveryState.DELIVERED, DeliveryState.PENDING],
    )
    _sql("VACUUM ANALYZE notifications_delivery, outages_interruption")
    event.refresh_from_db()
    assert event.ends_at is not None
    last = Notice.objects.order_by("-pk").values_list("pk", flat=True)[0]
    with timed() as change:
        changes.event_change(
            actor=ME, event_id=event.pk, reason="bench", until=event.ends_at - timedelta(minutes=30)
        )  # fmt: skip
    owed, telling = _told()
    moved = SheddingStep.objects.filter(event=event, slot__isnull=False, verb="move").count()
    if moved != BLOCKS or owed < announced * 0.95:
        raise RuntimeError(f"{moved} slots moved, {owed} of {announced} customers hear of it")
    bare = _bare_copies(event, last)
    outages = list(event.slots.values_list("outage_id", flat=True))
    _sql("DELETE FROM outages_interruption WHERE outage_id = ANY(%s)", [outages])
    _sql("UPDATE outages_outage SET status = 'cancelled' WHERE id = ANY(%s)", [outages])
    _sql("UPDATE load_shedding_sheddingevent SET state = 'cancelled' WHERE id = %s", [event.pk])
    ours = change.seconds + telling
    return Result(
        "shedding-change", f"a change for {BLOCKS} blocks of {service_points:,} service points: {owed:,} messages owed",
        f"{ours:.1f} s", f"{CHANGE_SECONDS:.0f} s", ours / CHANGE_SECONDS, 1, True,
        f"bare: the budget; proposal, slots and outages {change.seconds:.1f} s, notices and fan-out {telling:.1f} s;"
        f" the same periods by one UPDATE and messages by one INSERT {bare:.1f} s; the first distribution before it"
        f" {slots.seconds + announcing:.1f} s with {announced:,} messages",
    )  # fmt: skip


def _told() -> tuple[int, float]:
    """How many messages the events of now come to, and the seconds until all of them are written down."""
    with timed() as watch:
        while router.route_events()[0]:
            pass
        owed = fanout.fan_out(max_steps=100_000)
    return owed, watch.seconds


def _confirmed(plan: SheddingPlan) -> SheddingEvent:
    """An event that gives every block its turn and waits for nothing but the clock."""
    now = timezone.now()
    begins = now + timedelta(hours=3)
    until = begins + timedelta(hours=2)
    event = SheddingEvent.objects.create(
        reference=f"BENCH-{plan.number}", branch=plan.branch, plan=plan, state="confirmed", colour="red",
        target_mw=2 * sum(plan.blocks.values_list("load_kw", flat=True)) / 1000,  # no block can be spared
        starts_at=begins, ends_at=until, chosen="M", author_name="bench", undo_until=now,
    )  # fmt: skip
    turn = {"from": begins.isoformat(), "until": until.isoformat()}
    codes = plan.blocks.order_by("code").values_list("code", flat=True)
    Proposal.objects.create(event=event, letter="M", generation=1, lines=[{"block": code, **turn} for code in codes])
    return event


def _bare_copies(event: SheddingEvent, after: int) -> float:
    """Seconds of writing the same once more: the periods of all places, and the messages of notices ``after``."""
    outages = list(event.slots.values_list("outage_id", flat=True))
    _sql("CREATE TEMPORARY TABLE bench_messages AS SELECT * FROM notifications_delivery WHERE notice_id > %s", [after])
    _sql("DELETE FROM notifications_delivery WHERE notice_id > %s", [after])
    with timed() as watch, transaction.atomic():
        _sql("UPDATE outages_interruption SET planned = planned WHERE outage_id = ANY(%s)", [outages])
        _sql("INSERT INTO notifications_delivery SELECT * FROM bench_messages")
    _sql("DROP TABLE bench_messages")
    return watch.seconds


def _sql(statement: str, parameters: list[Any] | None = None) -> None:
    with connection.cursor() as db:
        db.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        db.execute(statement, parameters)
