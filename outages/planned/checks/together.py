"""What else is off at the same time, or nearly: outages and works that share supply with the asked ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from outages.planned.checks.question import ASKED, ENDS_ONLY, RIVALS, Question, array, feeders_of, pack_of
from outages.planned.checks.words import NAMED, Conflict, Listing, RuleValue, When
from outages.planned.findings import Finding, Subject, Weight
from outages.planned.lifecycle import DRAFT, RETURNED, STANDING
from outages.templatetags.pages import grouped

Found = Iterator[tuple[int, Finding]]

# Outages beside the works: off now, or scheduled. A work's own outage is spoken of by the work; a debt is private,
# and what one customer alone suffers is no state of the network.
_OUTAGES: Final = """
outage AS (
    SELECT o.id AS key, CASE WHEN o.status = 'scheduled' THEN o.planned_start ELSE o.started_at END AS starts,
           CASE WHEN o.status = 'scheduled' THEN o.planned_end
                WHEN coalesce(o.etr, o.planned_end) > %(at)s THEN coalesce(o.etr, o.planned_end)
                ELSE %(unknown_until)s END AS ends
    FROM outages_outage o
    WHERE o.status IN ('scheduled', 'active', 'partially_restored') AND o.kind <> 'non_payment' AND o.level <> 'service'
      AND NOT EXISTS (SELECT FROM planned_workwindow x WHERE x.outage_id = o.id)
),
outage_place AS (
    SELECT DISTINCT i.outage_id AS key, coalesce(i.element_id, s.element_id) AS place
    FROM outage JOIN outages_outage o ON o.id = outage.key
    JOIN outages_interruption i ON i.outage_id = o.id
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
    WHERE CASE WHEN o.status = 'scheduled' THEN i.planned IS NOT NULL
               ELSE i.actual IS NOT NULL AND upper(i.actual) IS NULL END
)
"""

# both as one: whatever would be off, by the places without supply and by the elements that are opened
_EVERYTHING: Final = f"""
{ASKED}, {RIVALS}, {_OUTAGES},
window_of AS (
    SELECT false AS is_outage, key, starts, ends FROM rival_window
    UNION ALL
    SELECT true, key, starts, ends FROM outage WHERE starts < %(until)s AND ends > %(since)s
),
element_of AS (
    SELECT false AS is_outage, key, element, pos, last FROM rival_element
    UNION ALL
    SELECT true, m.outage_id, e.id, e.pos, e.last
    FROM outage JOIN outages_outage_elements m ON m.outage_id = outage.key
    JOIN grid_gridelement e ON e.id = m.gridelement_id
),
line AS (SELECT * FROM element_of JOIN window_of USING (is_outage, key))
"""  # noqa: S608 - only our own relations are put in

# how a statement ends: each conflict once for each asked work, with the element to name
_NAMED: Final = """
found AS (
    SELECT n, is_outage, key, min(starts) AS starts, max(ends) AS ends, min(element) AS element,
           sum(customers)::int AS customers
    FROM hit
    WHERE NOT EXISTS (SELECT FROM apart WHERE apart.n = hit.n AND apart.key = hit.key AND NOT hit.is_outage)
    GROUP BY n, is_outage, key
),
top AS (SELECT DISTINCT ON (is_outage, key) is_outage, key, element FROM element_of ORDER BY is_outage, key, pos)
SELECT found.n, found.key, coalesce(o.reference, w.reference, ''), coalesce(nullif(e.name, ''), e.code, ''),
       found.starts, found.ends, found.customers
FROM found
LEFT JOIN top USING (is_outage, key)
LEFT JOIN grid_gridelement e ON e.id = coalesce(found.element, top.element)
LEFT JOIN outages_outage o ON found.is_outage AND o.id = found.key
LEFT JOIN planned_plannedwork w ON NOT found.is_outage AND w.id = found.key
ORDER BY found.n, found.starts, 3, found.is_outage, found.key
"""


@dataclass(frozen=True)
class Hit:
    """One other work or outage in the way of one asked work."""

    reference: str
    customers: int
    conflict: Conflict


def _hits(question: Question, rows: Iterable[tuple[Any, ...]]) -> dict[int, list[Hit]]:
    found: defaultdict[int, list[Hit]] = defaultdict(list)
    for number, key, reference, element, starts, ends, customers in rows:
        named = reference or _asked_reference(question, key)
        when = When(starts, ends, question.by_number[number].time_zone)
        found[number].append(Hit(named, customers, Conflict(named, element, when)))
    return dict(found)


def _asked_reference(question: Question, key: int) -> str:
    subject = question.by_key.get(key)
    return subject.reference if subject else ""


def _conflicts(hits: list[Hit]) -> Listing:
    return Listing.of([hit.conflict for hit in hits])


def _references(hits: list[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.reference for hit in hits if hit.reference))


# --- the same element, upstream, downstream -----------------------------------------------------------

_OVERLAP_SQL: Final = f"""
WITH {_EVERYTHING},
here AS (SELECT n, place, starts, ends FROM asked_place JOIN asked_window USING (n)),
there AS (
    SELECT false AS is_outage, key, place, starts, ends FROM rival_place JOIN rival_window USING (key)
    UNION ALL
    SELECT true, key, place, starts, ends FROM outage_place JOIN outage USING (key)
),
shared AS (
    SELECT here.n, there.is_outage, there.key, here.place, min(there.starts) AS starts, max(there.ends) AS ends
    FROM here JOIN there ON there.place = here.place AND there.starts < here.ends AND here.starts < there.ends
    GROUP BY here.n, there.is_outage, there.key, here.place
),
hit AS (
    SELECT s.n, s.is_outage, s.key, s.starts, s.ends, NULL::bigint AS element, e.own_customers AS customers
    FROM shared s JOIN grid_gridelement e ON e.id = s.place
    UNION ALL
    SELECT a.n, line.is_outage, line.key, line.starts, line.ends, line.element, 0
    FROM asked_element a JOIN asked_window w USING (n)
    JOIN line ON (line.pos BETWEEN a.pos AND a.last OR a.pos BETWEEN line.pos AND line.last)
              AND line.starts < w.ends AND w.starts < line.ends
),
{_NAMED}
"""  # noqa: S608 - only our own relations are put in


def overlap(question: Question) -> Found:
    """The same supply is off already, or planned off by another, at the same time."""
    for number, hits in overlaps(question).items():
        yield (
            number,
            Finding(
                code="overlap",
                weight=Weight.ASKS,
                text=_("Off at the same time: %(conflicts)s. Choose another time, join them, or say why both must be."),
                params={"conflicts": _conflicts(hits)},
                rule_text=_("One piece of the network is off for one reason at a time."),
                references=_references(hits),
                customers=max(hit.customers for hit in hits),
            ),
        )


def overlaps(question: Question) -> dict[int, list[Hit]]:
    """For each work what shares supply with it and is off in one of its windows."""
    return _hits(question, question.rows(_OVERLAP_SQL))


# --- the way of the transfer --------------------------------------------------------------------------

# the tie's far side is the one that is not below what the work opens; whatever is opened above it cuts the way
_TIE_SQL: Final = f"""
WITH {_EVERYTHING},
asked_tie AS (SELECT * FROM unnest(%(tie_n)s::int[], %(tie)s::bigint[]) AS t(n, tie)),
beside AS (
    SELECT t.n, e.parent_id AS element FROM asked_tie t JOIN grid_gridelement e ON e.id = t.tie
    UNION
    SELECT t.n, g.b_id FROM asked_tie t JOIN grid_gridtie g ON g.a_id = t.tie
    UNION
    SELECT t.n, g.a_id FROM asked_tie t JOIN grid_gridtie g ON g.b_id = t.tie
),
far AS (
    SELECT beside.n, e.pos FROM beside JOIN grid_gridelement e ON e.id = beside.element
    WHERE NOT EXISTS (SELECT FROM asked_element a WHERE a.n = beside.n AND e.pos BETWEEN a.pos AND a.last)
),
hit AS (
    SELECT far.n, line.is_outage, line.key, line.starts, line.ends, line.element, 0 AS customers
    FROM far JOIN asked_window w USING (n)
    JOIN line ON far.pos BETWEEN line.pos AND line.last AND line.starts < w.ends AND w.starts < line.ends
    UNION ALL
    SELECT t.n, line.is_outage, line.key, line.starts, line.ends, line.element, 0
    FROM asked_tie t JOIN asked_window w USING (n)
    JOIN line ON line.element = t.tie AND line.starts < w.ends AND w.starts < line.ends
),
{_NAMED}
"""  # noqa: S608


def tie_out(question: Question) -> Found:
    """The tie that should take over, or what feeds it, is off at that time."""
    ties = [(s.number, s.transfer_tie_id) for s in question.subjects if s.transfer_tie_id is not None]
    if not ties:
        return
    rows = question.rows(_TIE_SQL, tie_n=array(n for n, _tie in ties), tie=array(tie for _n, tie in ties))
    for number, hits in _hits(question, rows).items():
        yield (
            number,
            Finding(
                code="tie_out",
                weight=Weight.ASKS,
                text=_("The transfer has no supply then: %(conflicts)s. Choose another tie or another time."),
                params={"conflicts": _conflicts(hits)},
                rule_text=_("A tie can take over only while it and the feeder behind it are on."),
                references=_references(hits),
            ),
        )


# --- feeders that back each other up ------------------------------------------------------------------

_BACKUP_SQL: Final = f"""
WITH {ASKED}, {RIVALS},
asked_feeder AS ({feeders_of("asked_element", key="n")}),
rival_feeder AS ({feeders_of("rival_element", key="key")}),
tied AS (
    SELECT a.feeder_id AS one, b.feeder_id AS other FROM grid_gridtie t
    JOIN grid_gridelement a ON a.id = t.a_id JOIN grid_gridelement b ON b.id = t.b_id
    WHERE a.feeder_id <> b.feeder_id
),
backs AS (SELECT one, other FROM tied UNION SELECT other, one FROM tied),
element_of AS (SELECT false AS is_outage, key, element, pos FROM rival_element),
hit AS (
    SELECT a.n, false AS is_outage, r.key, r.starts, r.ends, NULL::bigint AS element, 0 AS customers
    FROM asked_feeder a JOIN asked_window w USING (n) JOIN backs ON backs.one = a.feeder
    JOIN (rival_feeder JOIN rival_window USING (key)) r
      ON r.feeder = backs.other AND r.starts < w.ends AND w.starts < r.ends
),
{_NAMED}
"""  # noqa: S608


def backup_out(question: Question) -> Found:
    """Two feeders that back each other up are worked on at the same time."""
    rows = question.rows(_BACKUP_SQL, ends_only=list(ENDS_ONLY))
    for number, hits in _hits(question, rows).items():
        yield (
            number,
            Finding(
                code="backup_out",
                weight=Weight.ASKS,
                text=_("A feeder that backs this one up is worked on then: %(conflicts)s. Choose another time."),
                params={"conflicts": _conflicts(hits)},
                rule_text=_("Feeders that back each other up are not off at the same time."),
                references=_references(hits),
            ),
        )


# --- worth joining ------------------------------------------------------------------------------------

_MERGE_SQL: Final = f"""
WITH {ASKED}, {RIVALS},
here AS (
    SELECT p.n, p.place, w.starts, w.ends, v.within
    FROM asked_place p JOIN asked_window w USING (n)
    JOIN unnest(%(n)s::int[], %(within)s::interval[]) AS v(n, within) USING (n)
),
there AS (SELECT key, place, starts, ends FROM rival_place JOIN rival_window USING (key)),
near AS (
    SELECT here.n, there.key, here.place, bool_or(there.starts < here.ends AND here.starts < there.ends) AS at_once
    FROM here JOIN there ON there.place = here.place
         AND there.starts < here.ends + here.within AND here.starts < there.ends + here.within
    WHERE NOT EXISTS (SELECT FROM apart WHERE apart.n = here.n AND apart.key = there.key)
    GROUP BY here.n, there.key, here.place
),
pair AS (
    SELECT near.n, near.key, sum(e.own_customers)::int AS customers
    FROM near JOIN grid_gridelement e ON e.id = near.place
    GROUP BY near.n, near.key HAVING NOT bool_or(near.at_once)
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY n ORDER BY customers DESC, key) AS rank,
           count(*) OVER (PARTITION BY n) AS in_all
    FROM pair
)
SELECT r.n, r.key, coalesce(w.reference, ''), r.customers, r.in_all
FROM ranked r LEFT JOIN planned_plannedwork w ON w.id = r.key
WHERE r.rank <= %(named)s ORDER BY r.n, r.rank
"""  # noqa: S608


def merge_candidate(question: Question) -> Found:
    """Another work takes the same customers off within a few days: one outage could do for both."""
    within = [pack_of(subject).planning.merge_within.delta for subject in question.subjects]
    rows = question.rows(
        _MERGE_SQL,
        margin=max(within),
        states=(*STANDING, DRAFT, RETURNED),
        within=array(f'"{delta.total_seconds():.0f} s"' for delta in within),
        named=NAMED,
    )
    found: defaultdict[int, list[tuple[str, int, int]]] = defaultdict(list)
    for number, key, reference, customers, in_all in rows:
        found[number].append((reference or _asked_reference(question, key), customers, in_all))
    for number, near in found.items():
        yield number, _merge(question.by_number[number], near)


def _merge(subject: Subject, near: list[tuple[str, int, int]]) -> Finding:
    rule = pack_of(subject).planning.merge_within
    customers = near[0][1]
    named = [reference for reference, _customers, _all in near if reference]
    return Finding(
        code="merge_candidate",
        weight=Weight.TELLS,
        text=_(
            "Within %(days)s: %(works)s, with up to %(customers)s of the same customers. Think of one joint outage."
        ),
        params={
            "days": RuleValue(rule),
            "works": Listing(tuple(named or ["–"]), near[0][2] - len(near)),
            "customers": grouped(customers),
        },
        rule_path="planning.merge_within",
        rule=rule,
        references=tuple(dict.fromkeys(named)),
        customers=customers,
    )
