"""Whom no cut may reach, and when: judged anew whenever it is asked, for one order or for thousands.

``guards`` the table of protections · ``reading`` what they look at · ``judging`` and ``dates`` what follows from it ·
``words`` the same in the reader's language · ``ages`` how old the data are. What is done about it is
``services.guards``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from billing_cutoffs.protections.ages import data_age
from billing_cutoffs.protections.dates import day_bars
from billing_cutoffs.protections.guards import GUARDS, Finding, Guard, Needs, Stage
from billing_cutoffs.protections.judging import IN_FLIGHT_AGE, STATEMENT_AGE, judge
from billing_cutoffs.protections.reading import facts_read
from billing_cutoffs.protections.words import finding_text

__all__ = [
    "GUARDS",
    "IN_FLIGHT_AGE",
    "STATEMENT_AGE",
    "Finding",
    "Guard",
    "Needs",
    "Stage",
    "data_age",
    "day_bars",
    "finding_text",
    "findings",
]


def findings(*, order_ids: Collection[int], stage: Stage, at: datetime) -> dict[int, tuple[Finding, ...]]:
    """What stands against these orders, the worst first; an order that nothing stands against is not there.

    ``stage`` says what is about to be done. Until the command it is asked about the moment of the cut: its turn, or
    the window while no turn is drawn.
    """
    return judge(facts_read(order_ids=order_ids, stage=stage, at=at), stage=stage, at=at)
