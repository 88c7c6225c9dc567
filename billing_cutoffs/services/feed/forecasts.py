"""The temperatures that are forecast, for the bars against cuts in cold and heat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.intake.items import DuplicateItem, Outcome, Refusals
from billing_cutoffs.intake.shapes import forecast_reader
from standards.errors import DomainError


class UnknownBranch(DomainError):
    """Not there, or not the sender's."""

    code = "unknown_branch"
    message = _("There is no branch of this code.")


_BRANCHES: Final = "SELECT b.code, b.id FROM grid_branch b WHERE b.code = ANY(%(codes)s) AND {scope}"
_WRITE: Final = """
INSERT INTO billing_cutoffs_temperatureforecast AS f (branch_id, day, low, high, issued_at, source_system)
SELECT t.branch, t.day, t.low, t.high, t.issued, %(source)s
FROM unnest(%(branches)s::bigint[], %(days)s::date[], %(low)s::float8[], %(high)s::float8[], %(issued)s::timestamptz[])
     t(branch, day, low, high, issued)
ORDER BY t.branch, t.day
ON CONFLICT (branch_id, day) DO UPDATE
SET low = excluded.low, high = excluded.high, issued_at = excluded.issued_at, source_system = excluded.source_system
WHERE f.issued_at <= excluded.issued_at
RETURNING f.branch_id, f.day
"""


def forecasts_receive(*, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """The weather service forecasts. Outcomes: applied, stale_forecast, or why an item is refused."""
    answers = Refusals(items, lambda item: f"{item.get('branch', '')} {item.get('day', '')}")
    told = answers.read(items, forecast_reader(timezone.now()))
    with transaction.atomic(), connection.cursor() as db:
        scope, params = policies.sql_condition(actor=actor, action="feed_arrears", pos="b.pos")
        codes = sorted({one.branch for one in told.values()})
        db.execute(_BRANCHES.format(scope=scope), {"codes": codes, **params})
        branches = dict(db.fetchall())
        first: dict[tuple[int, Any], int] = {}
        for at, one in told.items():
            if one.branch not in branches:
                answers.refuse(at, UnknownBranch(field="branch"))
            elif first.setdefault((branches[one.branch], one.day), at) != at:
                answers.refuse(at, DuplicateItem(field="day"))
        rows = [told[at] for at in first.values()]
        db.execute(
            _WRITE,
            {
                "source": source_system[:64],
                "branches": [branches[one.branch] for one in rows],
                "days": [one.day for one in rows],
                "low": [one.low for one in rows],
                "high": [one.high for one in rows],
                "issued": [one.issued_at for one in rows],
            },
        )
        written = set(db.fetchall())
        for key, at in first.items():
            answers.settle(at, "applied" if key in written else "stale_forecast")
    return answers.in_order()
