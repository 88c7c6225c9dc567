"""A finding in the reader's language, made when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.pages import day as day_words
from accounts.pages import moment
from billing_cutoffs.protections.guards import GUARDS, Finding
from billing_cutoffs.texts import money
from grid.models import Importance
from outages.models import OutageKind


def finding_text(finding: Finding) -> str:
    """What stands against the cut, as one sentence without its full stop."""
    say = _TEXTS.get(finding.code)
    text = say(finding) if say is not None else _capital(str(GUARDS[finding.code].label))
    if finding.until is None or finding.code in _SAY_UNTIL_THEMSELVES:
        return text
    return _("%(what)s, until %(until)s") % {"what": text, "until": _moment(finding.until)}


def _moment(value: datetime) -> str:
    """By the clock it was written with: the branch's."""
    with timezone.override(value.tzinfo):
        return moment(value)


def _moment_of(iso: str) -> str:
    return _moment(datetime.fromisoformat(iso))


def _day_of(iso: str) -> str:
    noon = datetime.combine(date.fromisoformat(iso), time(12), timezone.get_current_timezone())
    return day_words(noon)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _paid(finding: Finding) -> str:
    if finding.detail["overdue"] == "0.00":
        return _("Nothing is overdue any more")
    return _("Only %(amount)s is overdue any more") % {"amount": _sum(finding.detail, "overdue")}


def _sum(detail: Mapping[str, Any], name: str) -> str:
    return money(Decimal(detail[name]), rule_pack=detail["pack"], language=get_language() or "en")


def _important(finding: Finding) -> str:
    if finding.detail.get("why") == "grade":
        return _("The grade of this debt: only in a batch approved for the whole company")
    return _("An important user (%(level)s): only in a batch approved for the whole company") % {
        "level": Importance(finding.detail["importance"]).label
    }


def _place_unknown(finding: Finding) -> str:
    if finding.detail["why"] == "another_customer":
        return _("The premises belong to another customer by now")
    return _("Billing does not say that the debt is for these premises")


def _shared_meter(finding: Finding) -> str:
    others = finding.detail["others"]
    return ngettext(
        "%(n)d other customer is supplied through this meter",
        "%(n)d other customers are supplied through this meter",
        others,
    ) % {"n": others}


def _promise(finding: Finding) -> str:
    if "amount" not in finding.detail:
        return _("The customer has promised to pay")
    return _("The customer has promised to pay %(amount)s") % {"amount": _sum(finding.detail, "amount")}


def _payment(finding: Finding) -> str:
    said = {"amount": _sum(finding.detail, "amount"), "since": _moment_of(finding.detail["since"])}
    if finding.needs == "person":
        return _("A payment of %(amount)s is on its way since %(since)s: ask what became of it") % said
    return _("A payment of %(amount)s is on its way since %(since)s") % said


def _small_debt(finding: Finding) -> str:
    return _("%(amount)s overdue: nobody is cut off for less than %(floor)s") % {
        "amount": _sum(finding.detail, "overdue"),
        "floor": _sum(finding.detail, "floor"),
    }


def _too_early(finding: Finding) -> str:
    days = finding.detail["days"]
    return ngettext(
        "%(days)d day overdue, a cut may follow after more than %(limit)d",
        "%(days)d days overdue, a cut may follow after more than %(limit)d",
        days,
    ) % {"days": days, "limit": finding.detail["limit"]}


def _statement_stale(finding: Finding) -> str:
    return _("Billing's last statement is of %(as_of)s") % {"as_of": _moment_of(finding.detail["as_of"])}


def _active_outage(finding: Finding) -> str:
    return _("Off for another reason: %(kind)s %(reference)s") % {
        "kind": OutageKind(finding.detail["kind"]).label,
        "reference": finding.detail["reference"],
    }


def _cold(finding: Finding) -> str:
    return _("Cold: %(degrees)s °C forecast, first on %(day)s") % _weather(finding, "low")


def _heat(finding: Finding) -> str:
    return _("Heat: %(degrees)s °C forecast, first on %(day)s") % _weather(finding, "high")


def _weather(finding: Finding, which: str) -> dict[str, str]:
    return {"degrees": f"{finding.detail[which]:g}", "day": _day_of(finding.detail["day"])}


def _forecast_unknown(finding: Finding) -> str:
    return _("No recent forecast for %(day)s; the next %(hours)d hours must be known") % {
        "day": _day_of(finding.detail["day"]),
        "hours": finding.detail["hours"],
    }


def _winter(finding: Finding) -> str:
    return _("Winter (%(first)s to %(final)s)") % finding.detail


def _holiday(finding: Finding) -> str:
    return _("%(day)s is a holiday") % {"day": _day_of(finding.detail["day"])}


def _weekend(finding: Finding) -> str:
    return _("%(day)s is at a weekend") % {"day": _day_of(finding.detail["day"])}


def _eve(finding: Finding) -> str:
    return _("The day after %(day)s is not worked") % {"day": _day_of(finding.detail["day"])}


def _weekday(finding: Finding) -> str:
    return _("No cuts on that day of the week: %(day)s") % {"day": _day_of(finding.detail["day"])}


def _outside_hours(finding: Finding) -> str:
    return _("Cuts are made between %(begins)s and %(ends)s") % finding.detail


def _notice_missing(finding: Finding) -> str:
    if finding.detail["why"] == "not_served":
        return _("No letter that names this window has provably arrived")
    served = {"served": _moment_of(finding.detail["served_at"])}
    if finding.detail["why"] == "too_late":
        return _("The letter arrived too late for this window: %(served)s") % served
    return _("The letter of %(served)s is used up: a new one is needed") % served


def _warning_missing(finding: Finding) -> str:
    if finding.detail["why"] == "not_served":
        return _("The last warning has not provably arrived")
    return _("The last warning was given only just now")


def _outside_window(finding: Finding) -> str:
    return _("The notified window is over") if finding.needs == "never" else _("The notified window is not open yet")


# whoever has no words of its own is called by the label of its guard
_TEXTS: Final[Mapping[str, Callable[[Finding], str]]] = {
    "paid": _paid,
    "important": _important,
    "place_unknown": _place_unknown,
    "shared_meter": _shared_meter,
    "promise": _promise,
    "payment_in_flight": _payment,
    "small_debt": _small_debt,
    "too_early": _too_early,
    "statement_stale": _statement_stale,
    "active_outage": _active_outage,
    "cold": _cold,
    "heat": _heat,
    "forecast_unknown": _forecast_unknown,
    "winter": _winter,
    "holiday": _holiday,
    "weekend": _weekend,
    "eve": _eve,
    "weekday": _weekday,
    "outside_hours": _outside_hours,
    "notice_missing": _notice_missing,
    "warning_missing": _warning_missing,
    "outside_window": _outside_window,
}
_SAY_UNTIL_THEMSELVES: Final = frozenset({"winter"})
