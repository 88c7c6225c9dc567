"""Who must have been spoken to before the power goes: important customers, and those whose lives depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from outages.planned.checks.question import ASKED, Question
from outages.planned.findings import Finding, Weight
from outages.templatetags.pages import grouped

_WITHOUT_SHEET_SQL: Final = f"""
WITH {ASKED},
dependent AS MATERIALIZED (
    SELECT e.id AS place, c.id AS customer, c.importance
    FROM (SELECT DISTINCT place FROM asked_place) p
    JOIN grid_gridelement e ON e.id = p.place AND e.own_critical > 0
    JOIN grid_servicepoint s ON s.element_id = e.id
    JOIN grid_customer c ON c.id = s.customer_id AND c.importance <> 'normal'
)
SELECT n, count(DISTINCT d.customer) FILTER (WHERE d.importance <> 'life_support'),
       count(DISTINCT d.customer) FILTER (WHERE d.importance = 'life_support')
FROM asked JOIN asked_place USING (n) JOIN dependent d USING (place)
WHERE NOT EXISTS (SELECT FROM planned_risksheet r WHERE r.work_id = asked.key AND r.customer_id = d.customer)
GROUP BY n ORDER BY n
"""  # noqa: S608 - only our own relations are put in


def without_risk_sheet(question: Question) -> Iterator[tuple[int, Finding]]:
    """Important and life-support customers with whom nobody has agreed what they do meanwhile."""
    for number, important, life_support in question.rows(_WITHOUT_SHEET_SQL):
        if life_support:
            yield number, _life_support(life_support)
        if important:
            yield number, _important(important)


def _life_support(customers: int) -> Finding:
    return Finding(
        code="life_support",
        weight=Weight.ASKS,
        text=ngettext_lazy(
            "%(customers)s customer on life support has no risk sheet: agree what keeps them safe meanwhile.",
            "%(customers)s customers on life support have no risk sheet: agree what keeps them safe meanwhile.",
            customers,
        ),
        params={"customers": grouped(customers)},
        rule_text=_("Whose life depends on supply knows of the outage and is safe without it."),
        customers=customers,
    )


def _important(customers: int) -> Finding:
    return Finding(
        code="important",
        weight=Weight.ASKS,
        text=ngettext_lazy(
            "%(customers)s important customer has no risk sheet: agree what is done meanwhile.",
            "%(customers)s important customers have no risk sheet: agree what is done meanwhile.",
            customers,
        ),
        params={"customers": grouped(customers)},
        rule_text=_("Important customers know the risk and have agreed what is done meanwhile."),
        customers=customers,
    )
