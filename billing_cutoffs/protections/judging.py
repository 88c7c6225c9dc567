"""What stands against each order, from the facts alone: no statement is sent from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from billing_cutoffs.lifecycle import RUNNING
from billing_cutoffs.models import ApprovalLevel, HoldKind
from billing_cutoffs.protections import dates
from billing_cutoffs.protections.guards import GUARDS, Finding, Stage, found
from billing_cutoffs.protections.reading import Facts, Hold, Order, Place, Served, moment_of
from grid.models import CustomerClass, Importance
from standards.values import Span

# billing states every night; a week without a word means that the feed is broken, and what is owed is anybody's guess
STATEMENT_AGE: Final = timedelta(days=7)
# a bank needs up to three working days; after five days something went wrong on the way
IN_FLIGHT_AGE: Final = timedelta(days=5)

_IMPORTANT: Final = frozenset({Importance.IMPORTANT_1, Importance.IMPORTANT_2})


def judge(facts: Facts, *, stage: Stage, at: datetime) -> dict[int, tuple[Finding, ...]]:
    """The findings of every order that has any, the worst first."""
    # the calendar and the weather are the same for all who would be cut at one moment in one branch
    of_moment: dict[tuple[int, datetime], list[Finding]] = {}
    judged = {}
    for order in facts.orders:
        place, moment = facts.places[order.branch_id], moment_of(order, stage=stage, at=at)
        common = of_moment.get((order.branch_id, moment))
        if common is None:
            common = [*dates.day_findings(place, moment), *dates.weather_findings(place, moment, at=at)]
            of_moment[order.branch_id, moment] = common
        findings = [finding for finding in _own(facts, order, stage, at) if stage in GUARDS[finding.code].stages]
        if findings or common:
            judged[order.id] = tuple(sorted([*findings, *common], key=lambda finding: finding.rank))
    return judged


def _own(facts: Facts, order: Order, stage: Stage, at: datetime) -> Iterator[Finding]:
    place, moment = facts.places[order.branch_id], moment_of(order, stage=stage, at=at)
    yield from _debt(order, place, at)
    yield from _who(order, place)
    yield from _where(facts, order)
    yield from _holds(facts.holds.get(order.account_id, ()), place, at)
    yield from _money(facts, order, place, at)
    if off := facts.outages.get(order.id):
        until = None if off.until is None else _local(off.until, place)
        yield found("active_outage", until=until, reference=off.reference, kind=off.kind)
    winter = dates.winter_finding(place, moment, customer_class=order.customer_class, importance=order.importance)
    has_turn = stage == "command" or order.scheduled_at is not None
    opens, closes = (moment, moment + timedelta(microseconds=1)) if has_turn else (moment, order.window_until)
    hours = dates.hours_finding(place, opens, closes)
    yield from (finding for finding in (winter, hours) if finding is not None)
    yield from _letter(facts.notices.get((order.id, "letter")), order, place, moment)
    yield from _warning(facts.notices.get((order.id, "final_warning")), order, place, at)
    if not order.window_from <= at < order.window_until:
        is_over = at >= order.window_until
        opens_at = None if is_over else _local(order.window_from, place)
        yield found("outside_window", until=opens_at, needs="never" if is_over else None)
    if order.batch_state != RUNNING:
        yield found("batch_not_running", state=order.batch_state)


def _debt(order: Order, place: Place, at: datetime) -> Iterator[Finding]:
    rules = place.pack.arrears
    if order.is_settled or order.overdue <= order.amount * (100 - rules.reconnect_share.amount) / 100:
        yield found("paid", overdue=_money_text(order.overdue), pack=place.pack.name)
        return
    floor = place.pack.debt_floor(is_residential=order.customer_class == CustomerClass.RESIDENTIAL)
    if order.overdue < floor:
        yield found("small_debt", overdue=_money_text(order.overdue), floor=_money_text(floor), pack=place.pack.name)
    if rules.earliest_cut_after is not None and order.oldest_due_on is not None:
        # "more than" so many days: the day after the last of them is the first
        first = order.oldest_due_on + rules.earliest_cut_after.delta + timedelta(days=1)
        today = at.astimezone(place.zone).date()
        if today < first:
            overdue_for, limit = (today - order.oldest_due_on).days, int(rules.earliest_cut_after.value)
            yield found("too_early", until=dates.midnight(first, place), days=overdue_for, limit=limit)


def _who(order: Order, place: Place) -> Iterator[Finding]:
    rules = place.pack.protections
    if rules.life_support.value and order.importance == Importance.LIFE_SUPPORT:
        yield found("life_support")
    if order.level == ApprovalLevel.COMPANY:
        return
    if rules.important.value and order.importance in _IMPORTANT:
        yield found("important", importance=order.importance)
    elif order.is_company_grade and order.importance != Importance.LIFE_SUPPORT:
        yield found("important", why="grade")


def _where(facts: Facts, order: Order) -> Iterator[Finding]:
    if order.is_anothers:
        yield found("place_unknown", needs="never", why="another_customer")
    elif order.is_place_unknown and (order.id, "place_unknown") not in facts.clearances:
        yield found("place_unknown", why="not_said")
    if order.sharers and (order.id, "shared_meter") not in facts.clearances:
        yield found("shared_meter", others=order.sharers)


def _holds(holds: Sequence[Hold], place: Place, at: datetime) -> Iterator[Finding]:
    """One finding for each kind of hold: the one that stands longest."""
    longest: dict[str, tuple[datetime | None, Hold]] = {}
    for hold in holds:
        until = hold.until
        if hold.kind == HoldKind.MEDICAL and (cap := place.pack.protections.medical_hold) is not None:
            until = min(until or cap.after(hold.since), cap.after(hold.since))
        if until is not None and until <= at:
            continue
        known = longest.get(hold.kind)
        if known is None or (known[0] is not None and (until is None or until > known[0])):
            longest[hold.kind] = (until, hold)
    for kind, (until, hold) in longest.items():
        promised: dict[str, Any] = {}
        if hold.amount is not None:
            promised = {"amount": _money_text(hold.amount), "pack": place.pack.name}
        yield found(kind, until=None if until is None else _local(until, place), **promised)


def _money(facts: Facts, order: Order, place: Place, at: datetime) -> Iterator[Finding]:
    if (payment := facts.in_flight.get(order.account_id)) is not None:
        is_late = payment.latest <= at - IN_FLIGHT_AGE
        cleared_at = facts.clearances.get((order.id, "payment_in_flight"))
        # somebody found out what became of the late ones; a later payment is on its way all the same
        if not (is_late and cleared_at is not None and cleared_at >= payment.latest + IN_FLIGHT_AGE):
            yield found(
                "payment_in_flight",
                needs="person" if is_late else "time",
                amount=_money_text(payment.amount),
                since=_local(payment.latest, place).isoformat(),
                pack=place.pack.name,
            )
    # whoever asked billing in the meantime knows as much as a statement of that day
    said_at = max(order.statement_at, facts.clearances.get((order.id, "statement_stale"), order.statement_at))
    if said_at < at - STATEMENT_AGE:
        yield found("statement_stale", as_of=_local(order.statement_at, place).isoformat())


def _letter(letter: Served | None, order: Order, place: Place, moment: datetime) -> Iterator[Finding]:
    if letter is None or not _names_window(letter, order):
        yield found("notice_missing", why="not_served")
        return
    served_at = _local(letter.at, place).isoformat()
    if letter_deadline(letter.at, order=order, place=place) > order.window_from:
        yield found("notice_missing", needs="never", why="too_late", served_at=served_at)
    elif place.pack.arrears.letter_valid.after(letter.at) < moment:
        yield found("notice_missing", needs="never", why="used_up", served_at=served_at)


def letter_deadline(served_at: datetime, *, order: Order, place: Place) -> datetime:
    """From when a letter that arrived then may be followed by a cut."""
    letter = place.pack.arrears.letter
    if order.importance != Importance.NORMAL:
        span = letter.important
    else:
        span = letter.residential if order.customer_class == CustomerClass.RESIDENTIAL else letter.other
    return _after(served_at, span, place)


def _warning(warning: Served | None, order: Order, place: Place, at: datetime) -> Iterator[Finding]:
    span = place.pack.arrears.final_warning
    if span is None:
        return
    if warning is None or not _names_window(warning, order):
        yield found("warning_missing", why="not_served")
    elif (earliest := _after(warning.at, span, place)) > at:
        yield found("warning_missing", until=_local(earliest, place), why="too_soon")


def _names_window(notice: Served, order: Order) -> bool:
    return (notice.window_from, notice.window_until) == (order.window_from, order.window_until)


def _after(moment: datetime, span: Span, place: Place) -> datetime:
    """Business days are the branch's own."""
    if span.unit == "business_days":
        return place.calendar.working_days_after(moment.astimezone(place.zone), int(span.value))
    return span.after(moment)


def _local(moment: datetime, place: Place) -> datetime:
    return moment.astimezone(place.zone)


def _money_text(amount: Decimal) -> str:
    return f"{amount:.2f}"
