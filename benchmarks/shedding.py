"""The measurements of load shedding."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from django.db import connection, transaction
from django.utils import timezone

from benchmarks.machine import timed
from benchmarks.report import Result
from grid.models import Branch, GridElement
from outages.load_shedding import blocks, proposals
from outages.load_shedding.models import BlockElement, SheddingBlock, SheddingPlan
from outages.load_shedding.question import question_of
from outages.models import Outage

BLOCKS = 300
EVENTS = 20
PROPOSAL_SECONDS = 2.0


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
    plan = SheddingPlan.objects.create(branch=top, number=9_000, name="bench", effective_from=timezone.localdate())
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
    return rows
