"""The guards: everything that may stand against a cut, the worst first, and what lifts it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from standards import RulePack
from standards.values import Cited, Flag

Stage = Literal["propose", "approve", "notice", "warn", "command"]
# "time": it clears by itself · "person": somebody looks into it and answers for it (``Clearance``) · "never": no cut
# of this order at all
Needs = Literal["time", "person", "never"]

STAGES: Final[tuple[Stage, ...]] = ("propose", "approve", "notice", "warn", "command")
AT_THE_END: Final[tuple[Stage, ...]] = ("warn", "command")
AT_THE_CUT: Final[tuple[Stage, ...]] = ("command",)


@dataclass(frozen=True)
class Guard:
    """One protection. ``rules`` are the values of the rule pack that bring it about, ``limits`` what they go with."""

    code: str
    label: Promise
    description: Promise
    needs: Needs = "time"
    stages: tuple[Stage, ...] = STAGES
    rules: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def is_in_force(self, pack: RulePack) -> bool:
        """Does this jurisdiction know it? What no rule brings about holds everywhere."""
        return not self.rules or any(_says_so(rule_of(pack, path)) for path in self.rules)

    def rules_of(self, pack: RulePack) -> dict[str, Cited]:
        """The values behind it with their sources, by the path that ``accounts.rules.LABELS`` has words for."""
        found = {path: rule_of(pack, path) for path in (*self.rules, *self.limits)}
        return {path: rule for path, rule in found.items() if rule is not None}


def rule_of(pack: RulePack, path: str) -> Cited | None:
    """The value at ``protections.winter``, if the pack has one."""
    found: Any = reduce(getattr, path.split("."), pack)
    return found if isinstance(found, Cited) else None


def _says_so(rule: Cited | None) -> bool:
    return rule.value if isinstance(rule, Flag) else rule is not None


_LETTER: Final = ("arrears.letter.residential", "arrears.letter.other", "arrears.letter.important")
_WEATHER: Final = ("protections.forecast_ahead", "protections.forecast_age")

_GUARDS: Final = (
    Guard(
        "paid",
        pgettext_lazy("guard", "paid"),
        _("Nothing is overdue any more, or so little that supply would come back."),
        "never",
        rules=("arrears.reconnect_share",),
    ),
    Guard(
        "life_support",
        pgettext_lazy("guard", "life support"),
        _("Somebody's life depends on the supply."),
        "never",
        rules=("protections.life_support",),
    ),
    Guard(
        "important",
        pgettext_lazy("guard", "important user"),
        _("Important users, and debts whose grade says so, are cut only in a batch approved for the whole company."),
        "never",
        rules=("protections.important",),
        limits=("arrears.approval_important",),
    ),
    Guard(
        "place_unknown",
        pgettext_lazy("guard", "place not certain"),
        _("Billing does not say which of the customer's premises the debt is for, or names another than the order."),
        "person",
    ),
    Guard(
        "shared_meter",
        pgettext_lazy("guard", "shared meter"),
        _("Other customers are supplied through the same meter: a cut would reach people who owe nothing."),
        "person",
    ),
    Guard(
        "medical",
        pgettext_lazy("guard", "medical need"),
        _("A medical need was stated."),
        limits=("protections.medical_hold",),
    ),
    Guard("keep_power", pgettext_lazy("guard", "supply to be kept"), _("The supply is to be kept (保电).")),
    Guard("dispute", pgettext_lazy("guard", "disputed bill"), _("The customer disputes the bill.")),
    Guard("promise", pgettext_lazy("guard", "promise to pay"), _("The customer has promised to pay by a date.")),
    Guard("other", pgettext_lazy("guard", "hold on the account"), _("Somebody has barred the cut for another reason.")),
    Guard(
        "payment_in_flight",
        pgettext_lazy("guard", "payment on its way"),
        _("A payment is on its way; once it has been for too long, a person finds out what became of it."),
    ),
    Guard(
        "small_debt",
        pgettext_lazy("guard", "small debt"),
        _("So little is overdue that nobody is cut off for it."),
        rules=("arrears.debt_floor_residential", "arrears.debt_floor_other"),
    ),
    Guard(
        "too_early",
        pgettext_lazy("guard", "too early"),
        _("The oldest bill is not overdue for long enough."),
        rules=("arrears.earliest_cut_after",),
    ),
    Guard(
        "statement_stale",
        pgettext_lazy("guard", "old billing data"),
        _("Billing has not said for days what is owed: the next statement clears it, or a person asks billing."),
        "person",
    ),
    Guard(
        "active_outage",
        pgettext_lazy("guard", "outage"),
        _("The premises are off for another reason, or will be at the time of the cut."),
    ),
    Guard(
        "cold",
        pgettext_lazy("guard", "cold"),
        _("Cold is forecast for the days after the cut."),
        rules=("protections.cold",),
        limits=_WEATHER,
    ),
    Guard(
        "heat",
        pgettext_lazy("guard", "heat"),
        _("Heat is forecast for the days after the cut."),
        rules=("protections.heat",),
        limits=_WEATHER,
    ),
    Guard(
        "forecast_unknown",
        pgettext_lazy("guard", "no forecast"),
        _("No recent forecast says that it will be neither too cold nor too hot."),
        rules=("protections.cold", "protections.heat"),
        limits=_WEATHER,
    ),
    Guard(
        "winter",
        pgettext_lazy("guard", "winter"),
        _("Homes and important users keep their supply in winter."),
        rules=("protections.winter",),
    ),
    Guard(
        "holiday",
        pgettext_lazy("guard", "holiday"),
        _("No cut on a holiday."),
        rules=("protections.non_working_days",),
    ),
    Guard(
        "weekend",
        pgettext_lazy("guard", "weekend"),
        _("No cut at a weekend, unless it is worked."),
        rules=("protections.non_working_days",),
    ),
    Guard(
        "eve",
        pgettext_lazy("guard", "eve of a day off"),
        _("No cut on the day before one that is not worked: nobody could switch it on again."),
        rules=("protections.eve",),
    ),
    Guard(
        "weekday",
        pgettext_lazy("guard", "weekday"),
        _("No cut on certain weekdays."),
        rules=("arrears.no_cut_weekdays",),
    ),
    Guard(
        "outside_hours",
        pgettext_lazy("guard", "time of day"),
        _("Cuts are made only within certain hours of the day."),
        rules=("arrears.cut_hours",),
    ),
    Guard(
        "notice_missing",
        pgettext_lazy("guard", "letter not served"),
        _("The letter that names this window has provably arrived, early enough, and is still valid."),
        stages=AT_THE_END,
        rules=_LETTER,
        limits=("arrears.letter_valid",),
    ),
    Guard(
        "warning_missing",
        pgettext_lazy("guard", "last warning not served"),
        _("The last warning has provably arrived, long enough before the cut."),
        stages=AT_THE_CUT,
        rules=("arrears.final_warning",),
    ),
    Guard(
        "outside_window",
        pgettext_lazy("guard", "not in the window"),
        _("A cut is made only in the window that the letter names."),
        stages=AT_THE_CUT,
        limits=("arrears.only_at_notified_time",),
    ),
    Guard(
        "batch_not_running",
        pgettext_lazy("guard", "batch not running"),
        _("The batch is not being carried out: not approved yet, stopped, or over."),
        stages=AT_THE_CUT,
    ),
)
# by code, the worst first
GUARDS: Final[Mapping[str, Guard]] = {guard.code: guard for guard in _GUARDS}
_RANK: Final = {code: rank for rank, code in enumerate(GUARDS)}


@dataclass(frozen=True)
class Finding:
    """One thing that stands against one order now. ``detail`` has the facts; ``words.finding_text`` has the words."""

    code: str
    needs: Needs
    until: datetime | None = None  # by the branch's clock
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        return _RANK[self.code]

    def as_json(self) -> dict[str, Any]:
        until = None if self.until is None else self.until.isoformat()
        return {"code": self.code, "needs": self.needs, "until": until, "detail": dict(self.detail)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Finding:
        """As it stands in ``CutoffOrder.holds``."""
        until = datetime.fromisoformat(said["until"]) if said["until"] else None
        return cls(said["code"], said["needs"], until, said["detail"])


def found(code: str, *, until: datetime | None = None, needs: Needs | None = None, **detail: Any) -> Finding:
    """A finding that needs what its guard needs, unless said otherwise."""
    return Finding(code, needs or GUARDS[code].needs, until, detail)
