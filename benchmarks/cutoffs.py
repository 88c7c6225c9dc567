"""The measurements of cut-offs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Count
from django.test import override_settings
from django.utils import timezone

import standards
from accounts.actor import Actor
from benchmarks.machine import timed
from benchmarks.report import Result
from billing_cutoffs import progress, spread
from billing_cutoffs.models import ArrearsCase, CommandAttempt, CutoffBatch, CutoffOrder, CutoffStep
from billing_cutoffs.services import answers, batches, decisions, feed, grades, reconnection, running, sending, windows
from billing_cutoffs.services.orders import order_lock
from grid.models import Branch
from standards import loader
from tests.billing.calm import any_day_pack

ME = Actor.system("bench")
IN_ARREARS: Final = 20  # one account in so many
GRADING_SECONDS: Final = 60.0
BATCH_SECONDS: Final = 10.0  # of each gate, for 5,000 orders

# one account for every customer; every twentieth has a bill that fell due 45 days ago and counts from tonight on
_ACCOUNTS: Final = """
INSERT INTO billing_cutoffs_billingaccount (customer_id, branch_id, service_point_id, source_system, statement_at,
    overdue, bills_overdue, late_payments_year, has_remote_switch, grade_why)
SELECT c.id, c.branch_id, (SELECT min(s.id) FROM grid_servicepoint s WHERE s.customer_id = c.id), 'bench',
    now() - interval '1 hour', 0, 0, mod(c.id, 5), TRUE, '{}'
FROM grid_customer c
"""
_BILLS: Final = """
INSERT INTO billing_cutoffs_bill (account_id, number, due_on, open_amount)
SELECT a.customer_id, 'B' || a.customer_id, current_date - 45, 20 + mod(a.customer_id, 400)
FROM billing_cutoffs_billingaccount a WHERE mod(a.customer_id, %(each)s) = 0
"""
# the same debts summed, written and given a case, without grades, reasons or locks
_BARE: Final = (
    """
    UPDATE billing_cutoffs_billingaccount a SET overdue = d.overdue, oldest_due_on = d.due_on, bills_overdue = d.n
    FROM (SELECT account_id, sum(open_amount) AS overdue, min(due_on) AS due_on, count(*) AS n
          FROM billing_cutoffs_bill WHERE due_on < current_date GROUP BY account_id) d
    WHERE d.account_id = a.customer_id
    """,
    """
    INSERT INTO billing_cutoffs_arrearscase (account_id, branch_id, oldest_due_on)
    SELECT customer_id, branch_id, oldest_due_on FROM billing_cutoffs_billingaccount WHERE overdue > 0
    """,
)
_OURS: Final = "gradechange, cutoffstep, debtnotice, cutofforder, cutoffbatch, arrearscase, bill, billingaccount"


def grading(service_points: int) -> Result:
    """The night: what has fallen due, everybody's grade and why, and a proposal of whoever may be cut."""
    debtors = _debtors()
    bare = _bare()
    with timed() as graded:
        run = grades.accounts_grade(actor=ME)
    with timed() as proposed:
        orders = _propose()
    if run.in_arrears != debtors or run.opened != debtors or not orders:
        raise RuntimeError(f"{run.in_arrears} of {debtors} graded, {run.opened} cases, {orders} orders")
    with timed() as again:
        second = grades.accounts_grade(actor=ME)
    if second.regraded or second.opened:
        raise RuntimeError("a night without changes wrote something")
    _forget()
    ours = graded.seconds + proposed.seconds
    return Result(
        "grading", f"nightly grading and a proposal, {debtors:,} debtors over {service_points:,} service points",
        f"{ours:.1f} s", f"{GRADING_SECONDS:.0f} s", ours / GRADING_SECONDS, 1, True,
        f"bare: the budget; grading {graded.seconds:.1f} s (the bare sums and cases {bare:.1f} s, a night without"
        f" changes {again.seconds:.1f} s), {orders:,} orders proposed and guarded {proposed.seconds:.1f} s",
    )  # fmt: skip


def batch(service_points: int) -> Result:
    """One large batch through every gate, each of which runs every protection over it, and taken back again."""
    _debtors()
    grades.accounts_grade(actor=ME)
    with timed() as proposed:
        orders = _propose()
    made = CutoffBatch.objects.get()
    with timed() as submitted:
        batches.batch_submit(actor=ME, reference=made.reference)
    ready = made.orders.filter(state="eligible").count()
    with timed() as approved:
        decisions.batch_approve(actor=ME, reference=made.reference, typed_count=ready, is_confirmed=True)
    with timed() as seconded:
        decisions.batch_second(actor=ME, reference=made.reference, typed_count=ready, is_confirmed=True)
    with timed() as read:
        progress.counts_of(made)
        progress.protections_of(made)
        progress.lines_of(made, progress.orders_with_evidence(made)[:50])
    with timed() as drawn:
        spread.turns(
            list(made.orders.values_list("pk", "feeder_id")), opens=made.window_from, closes=made.window_until,
            rate_per_hour=made.rate_per_hour, rate_per_feeder_hour=made.rate_per_feeder_hour, seed=made.reference,
        )  # fmt: skip
    with timed() as undone:
        decisions.batch_undo(actor=ME, reference=made.reference, reason="bench")
    if made.orders.exclude(state="cancelled").exists():
        raise RuntimeError("a batch was taken back and left orders behind")
    _forget()
    slowest = max(watch.seconds for watch in (proposed, submitted, approved, seconded, undone))
    return Result(
        "batch", f"every gate of a batch of {orders:,} orders over {service_points:,} service points",
        f"{slowest:.1f} s", f"{BATCH_SECONDS:.0f} s", slowest / BATCH_SECONDS, 1, True,
        f"bare: the budget; proposed {proposed.seconds:.1f} s, handed in {submitted.seconds:.1f} s, approved"
        f" {approved.seconds:.1f} s and {seconded.seconds:.1f} s, its page read {read.seconds:.2f} s, turns drawn"
        f" {drawn.seconds:.2f} s, taken back {undone.seconds:.1f} s",
    )  # fmt: skip


def _debtors() -> int:
    _forget()
    with connection.cursor() as db:
        db.execute("SET statement_timeout = 0")
        db.execute(_ACCOUNTS)
        db.execute(_BILLS, {"each": IN_ARREARS})
        debtors = int(db.rowcount)
        db.execute("VACUUM ANALYZE billing_cutoffs_billingaccount, billing_cutoffs_bill")
    return debtors


def _bare() -> float:
    """Seconds of the bare statements, which are then taken back."""
    with timed() as watch, transaction.atomic(), connection.cursor() as db:
        for statement in _BARE:
            db.execute(statement)
        transaction.set_rollback(True)
    return watch.seconds


def _propose() -> int:
    """A batch of the whole company on the first day on which it may be carried out."""
    company = Branch.objects.order_by("pos")[0]
    hours = standards.pack(company.rule_pack).arrears.cut_hours.value
    day = windows.day_possible(branch=company, earliest=timezone.now() + timedelta(days=14))
    if day is None:
        raise RuntimeError("no day is possible")
    opens, closes = (datetime.combine(day, at, ZoneInfo(company.time_zone)) for at in (hours.begins, hours.ends))
    proposed = batches.batch_propose(actor=ME, branch_id=company.pk, window_from=opens, window_until=closes)
    return proposed.batch.orders.count()


def _forget() -> None:
    """Leave nothing behind that the next measurement would meet."""
    with connection.cursor() as db:
        db.execute(f"TRUNCATE {', '.join(f'billing_cutoffs_{name.strip()}' for name in _OURS.split(','))} CASCADE")


# --- a batch carried out ------------------------------------------------------------------------------

ORDERS: Final = 5_000  # as many as _CHOSEN names
ORDER_MS: Final = 60.0  # our own: with it, 5,000 orders take five of the 360 minutes in which cuts may be made

# so many of the proposed orders stand before their turn, each with its letter and its last warning served
_READY: Final = (
    "UPDATE billing_cutoffs_cutofforder SET state = 'cancelled' WHERE id NOT IN (%(chosen)s)",
    "UPDATE billing_cutoffs_cutofforder SET state = 'warned', scheduled_at = now() WHERE id IN (%(chosen)s)",
    """
    INSERT INTO billing_cutoffs_debtnotice (case_id, order_id, stage, amount, window_from, window_until, issued_at,
        served_at, served_how, served_by, served_note, failure)
    SELECT o.case_id, o.id, s.stage, o.amount, b.window_from, b.window_until, now() - s.before, now() - s.before,
           'by_hand', 'bench', 'bench', ''
    FROM billing_cutoffs_cutofforder o JOIN billing_cutoffs_cutoffbatch b ON b.id = o.batch_id,
         (VALUES ('letter', interval '9 days'), ('final_warning', interval '45 minutes')) AS s (stage, before)
    WHERE o.state = 'warned'
    """,
)
_CHOSEN: Final = "SELECT id FROM billing_cutoffs_cutofforder WHERE method = 'remote' ORDER BY id LIMIT 5000"


def execution(service_points: int) -> Result:
    """A batch whose turn has come: guarded, ordered off, every meter's answer applied, each cut in the record."""
    with _any_day():
        made = _ready()
        ready = made.orders.filter(state="warned").count()
        done: Counter[str] = Counter()
        with timed() as guarded:
            done.update(running.batches_turn(actor=ME))
        with timed() as ours:
            while made.orders.filter(state__in=("warned", "commanded")).exists():
                done.update(sending.commands_turn(actor=ME))
                done["answered"] += answers.simulator_turn()
                answers.answers_apply(actor=ME)
        off = made.orders.filter(state="disconnected").count()
        if off < ready * 0.95:
            left = made.orders.order_by().values_list("state").annotate(Count("pk"))
            raise RuntimeError(f"{off} of {ready} orders are off: {dict(left)}, {dict(done)}")
        bare = _four_commits(off)
        _end(made)
    ms = 1000 * (guarded.seconds + ours.seconds) / off
    return Result(
        "execution", f"{off:,} orders checked and carried out over {service_points:,} service points",
        f"{ms:.0f} ms each", f"{ORDER_MS:.0f} ms", ms / ORDER_MS, 1, True,
        f"bare: our own budget; checked and ordered in {guarded.seconds:.1f} s, sent, answered and entered in the"
        f" record in {ours.seconds:.0f} s by one process with simulated meters; the four commits that an order cannot"
        f" do without: {1000 * bare / off:.1f} ms each",
    )  # fmt: skip


@contextmanager
def _any_day() -> Iterator[None]:
    """Cuts are made today, whatever day, hour and weather it is."""
    packs = dict(Branch.objects.values_list("pk", "rule_pack"))
    with TemporaryDirectory() as folder, override_settings(RULE_PACKS_DIR=folder, METER_GATEWAY="simulator"):
        name = any_day_pack(Path(folder))
        loader.load()
        Branch.objects.update(rule_pack=name)
        try:
            yield
        finally:
            for pk, pack in packs.items():
                Branch.objects.filter(pk=pk).update(rule_pack=pack)
    loader.load()


def _ready() -> CutoffBatch:
    """The batch of today with ``ORDERS`` orders in it."""
    _debtors()
    grades.accounts_grade(actor=ME)
    company = Branch.objects.order_by("pos")[0]
    now = timezone.now()
    opens = (now + timedelta(days=14)).astimezone(ZoneInfo(company.time_zone)).replace(hour=9)
    proposed = batches.batch_propose(
        actor=ME, branch_id=company.pk, window_from=opens, window_until=opens + timedelta(hours=6)
    )
    made = proposed.batch
    CutoffBatch.objects.filter(pk=made.pk).update(
        state="running", approved_at=now - timedelta(days=10), rate_per_hour=10 * ORDERS, rate_per_feeder_hour=ORDERS,
        window_from=now - timedelta(minutes=30), window_until=now + timedelta(hours=5),
    )  # fmt: skip
    with connection.cursor() as db:
        for statement in _READY:
            db.execute(statement % {"chosen": _CHOSEN} if "%(chosen)s" in statement else statement)
        db.execute("VACUUM ANALYZE billing_cutoffs_cutofforder, billing_cutoffs_debtnotice")
    CutoffStep.objects.create(batch=made, verb="draw", actor_kind="system", actor_name="bench")
    return CutoffBatch.objects.get(pk=made.pk)


def _four_commits(orders: int) -> float:
    """Seconds of as many orders changed four times each, one commit a time: sent, taken, answered, off."""
    ids = list(CutoffOrder.objects.filter(state="disconnected").values_list("pk", flat=True)[:orders])
    with timed() as watch, connection.cursor() as db:
        for pk in ids:
            for _commit in range(4):
                db.execute("UPDATE billing_cutoffs_cutofforder SET version = version + 1 WHERE id = %s", [pk])
    return watch.seconds


def _end(made: CutoffBatch) -> None:
    """Everybody pays and is on again, so that no measurement after this one meets an outage."""
    off = made.orders.filter(state="disconnected").select_related("case__account__customer")
    paid = [_payment(order.case.account.customer.account_number) for order in off]
    feed.payments_receive(actor=ME, source_system="bench", items=paid)
    while made.orders.filter(state__in=("disconnected", "paid", "reconnect_commanded")).exists():
        sending.commands_turn(actor=ME)
        answers.simulator_turn()
        answers.answers_apply(actor=ME)
    _forget()


# --- paid, and the command to switch on is out --------------------------------------------------------

PAYMENTS: Final = 1_000
PAYMENTS_A_SECOND: Final = 50
RECONNECT_SECONDS: Final = 2.0  # 99 of 100 payments


def reconnect(service_points: int) -> Result:
    """Payments come in at a steady rate; each of them is to send its command, through the worker's own queue."""
    _debtors()
    accounts = _cut(PAYMENTS)
    begin = timezone.now() + timedelta(seconds=1)
    moments = {number: begin + timedelta(seconds=n / PAYMENTS_A_SECOND) for n, number in enumerate(accounts)}
    with _worker(), ThreadPoolExecutor(max_workers=8) as pool:
        called = dict(pool.map(_pay, moments.items()))
        waits = _waits(called)
    if len(waits) < len(accounts):
        left = CutoffOrder.objects.order_by().values_list("state").annotate(Count("pk"))
        raise RuntimeError(f"{len(accounts) - len(waits)} payments set off no command: {dict(left)}")
    _all_on()
    _forget()
    p99 = waits[int(len(waits) * 0.99) - 1]
    return Result(
        "reconnect", f"payment to command to switch on, {PAYMENTS_A_SECOND} payments/s over"
        f" {service_points:,} service points", f"p99 {p99:.2f} s", f"{RECONNECT_SECONDS:.0f} s",
        p99 / RECONNECT_SECONDS, 1, True,
        f"bare: the budget; {len(waits):,} payments one by one, half of them within {waits[len(waits) // 2]:.2f} s,"
        f" all within {waits[-1]:.2f} s; simulated meters, the worker's two processes beside the payments",
    )  # fmt: skip


def _cut(number: int) -> list[str]:
    """So many debtors are off, as the record says; their account numbers."""
    grades.accounts_grade(actor=ME)
    cases = list(
        ArrearsCase.objects.filter(account__service_point__isnull=False)
        .select_related("account__customer", "account__service_point", "branch").order_by("pk")[:number]
    )  # fmt: skip
    now = timezone.now()
    company = Branch.objects.order_by("pos")[0]
    made = CutoffBatch.objects.create(
        reference="B-BENCH", branch=company, state="running", approved_at=now, author_name="bench",
        window_from=now - timedelta(hours=1), window_until=now + timedelta(hours=5), rate_per_hour=10 * number,
        rate_per_feeder_hour=10 * number, rule_pack=company.rule_pack,
    )  # fmt: skip
    orders = CutoffOrder.objects.bulk_create(
        CutoffOrder(
            reference=f"N-BENCH-{case.pk}", batch=made, case=case, branch=case.branch, method="remote",
            service_point=case.account.service_point, amount=case.account.overdue, state="commanded",
            commanded_at=now,
        )
        for case in cases
    )  # fmt: skip
    for order in orders:
        with transaction.atomic(durable=True):
            reconnection.off_now(order=order_lock(order.pk), actor=ME, at=now)
    return [case.account.customer.account_number for case in cases]


@contextmanager
def _worker() -> Iterator[None]:
    """The site's own worker, with two processes, on the queue of commands."""
    command = [sys.executable, "-m", "celery", "-A", "outage_mgmt", "worker", "-c", "2", "-Q", "ring", "-l", "ERROR"]
    process = subprocess.Popen(command, env={**os.environ, "METER_GATEWAY": "simulator"})
    try:
        time.sleep(8)  # it starts
        yield
    finally:
        process.terminate()
        process.wait()


def _pay(due: tuple[str, datetime]) -> tuple[str, datetime]:
    """One payment at its moment; when it was handed in."""
    number, moment = due
    time.sleep(max((moment - timezone.now()).total_seconds(), 0))
    called = timezone.now()
    feed.payments_receive(actor=ME, source_system="bench", items=[_payment(number)])
    return number, called


def _payment(number: str) -> dict[str, str]:
    """More than anybody here owes, settled just now."""
    return {
        "payment_id": f"P{number}", "account_number": number, "amount": "100000.00", "status": "settled",
        "paid_at": timezone.now().isoformat(),
    }  # fmt: skip


def _all_on() -> None:
    """The meters answer, so that no measurement after this one meets an outage."""
    while answers.simulator_turn() or answers.answers_apply(actor=ME):
        time.sleep(1)


def _waits(called: dict[str, datetime]) -> list[float]:
    """Seconds from each payment to its command, the shortest first; the last ones get a little time."""
    end = time.monotonic() + 30
    while True:
        sent = CommandAttempt.objects.filter(command__purpose="reconnect", question=False).order_by("-pk")
        at = dict(sent.values_list("command__order__case__account__customer__account_number", "started_at"))
        if len(at) >= len(called) or time.monotonic() > end:
            return sorted((at[number] - moment).total_seconds() for number, moment in called.items() if number in at)
        time.sleep(0.5)
