"""The rule packs in words: what each value is called and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from django.utils.dates import WEEKDAYS
from django.utils.functional import Promise
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from standards import RulePack
from standards import values as s

SECTIONS: Final[dict[str, Promise]] = {
    "notice": _("Notice"),
    "planning": _("Planning"),
    "inform": _("What branches must report"),
    "fault": _("Faults"),
    "estimate": _("Estimates"),
    "console": _("Console"),
    "telling": _("Messages"),
    "arrears": _("Arrears"),
    "protections": _("Protections"),
    "shedding": _("Load shedding"),
    "reliability": _("Reliability"),
    "complaints": _("Complaints"),
    "compensation": _("Compensation"),
}

LABELS: Final[dict[str, Promise]] = {
    "notice.planned": _("notice of planned work"),
    "notice.temporary": _("notice of temporary work"),
    "notice.exempt_below": _("no notice needed below"),
    "notice.life_support": _("notice to life-support customers"),
    "notice.papers_before": _("execution papers before the work"),
    "notice.stated_day_only": _("only on the stated day"),
    "planning.month_due": _("month plan due before the month"),
    "planning.week_due": _("week plan due before the week"),
    "planning.reminder_early": _("first reminder before the outage"),
    "planning.reminder_late": _("last reminder before the outage"),
    "planning.overrun_warning": _("question before the planned end"),
    "planning.start_tolerance": _("start counts as on time within"),
    "planning.end_tolerance": _("end counts as on time within"),
    "planning.merge_within": _("works worth joining within"),
    "planning.peak_hours": _("domestic peak hours"),
    "inform.planned": _("planned outage, ahead"),
    "inform.temporary": _("temporary outage, ahead"),
    "inform.fault": _("fault, after it is known"),
    "inform.restored": _("restoration, after it happened"),
    "fault.arrival.urban": _("crew on site, urban"),
    "fault.arrival.rural": _("crew on site, rural"),
    "fault.arrival.remote": _("crew on site, remote"),
    "fault.restore_urban": _("restored after arrival, urban"),
    "fault.restore_rural": _("restored after arrival, rural"),
    "fault.restore_limit": _("restored, normal weather"),
    "fault.large_incident": _("large incident from"),
    "fault.large_incident_limit": _("restored, large incident"),
    "fault.severe_weather_1": _("restored, severe weather 1"),
    "fault.severe_weather_2": _("restored, severe weather 2"),
    "fault.explain_after": _("restored or explained within"),
    "fault.probable_after": _("suspected becomes probable after"),
    "estimate.expected_within": _("first estimate expected within"),
    "estimate.rounding": _("rounding of estimates"),
    "estimate.smallest_change": _("smallest change worth telling"),
    "estimate.next_update": _("news while there is no estimate, every"),
    "estimate.warn_before": _("warning before an estimate passes"),
    "console.recently_restored": _("counts as recently restored"),
    "console.upcoming": _("counts as upcoming"),
    "telling.quiet_hours": _("quiet hours"),
    "arrears.earliest_cut_after": _("earliest cut after the due date"),
    "arrears.debt_floor_residential": _("no cut for less than, residential"),
    "arrears.debt_floor_other": _("no cut for less than, others"),
    "arrears.letter.residential": _("cut-off letter, residential"),
    "arrears.letter.other": _("cut-off letter, others"),
    "arrears.letter.important": _("cut-off letter, important users"),
    "arrears.letter_option": _("cut-off letter, stricter option"),
    "arrears.final_warning": _("last warning before the cut"),
    "arrears.letter_valid": _("a letter is used up after"),
    "arrears.authority_copy": _("letters to important users copied to the authority"),
    "arrears.only_at_notified_time": _("cut only at the notified time"),
    "arrears.cut_hours": _("hours in which a cut may be made"),
    "arrears.no_cut_weekdays": _("no cut on"),
    "arrears.approval_residential": _("approved by, residential"),
    "arrears.approval_important": _("approved by, important users"),
    "arrears.four_eyes_above": _("a further approver for batches above"),
    "arrears.rate_per_hour": _("cuts an hour in a branch, at most"),
    "arrears.rate_per_feeder_hour": _("cuts an hour on a feeder, at most"),
    "arrears.answer_within": _("the meter's answer expected within"),
    "arrears.brake_share": _("cutting stops when reversed or complained about"),
    "arrears.brake_minimum": _("but not for fewer than"),
    "arrears.reconnect": _("reconnected after payment"),
    "arrears.reconnect_remote_residential": _("reconnected, remote residential"),
    "arrears.reconnect_remote_other": _("reconnected, remote others"),
    "arrears.reconnect_share": _("share of the overdue amount that reconnects"),
    "arrears.reconnect_mode": _("what a payment sets off"),
    "arrears.reconnect_warn": _("warning before the reconnection is due"),
    "arrears.late_fee_residential": _("late fee, residential"),
    "arrears.late_fee_this_year": _("late fee, others, this year's debt"),
    "arrears.late_fee_older": _("late fee, others, older debt"),
    "arrears.late_fee_minimum": _("smallest late fee"),
    "arrears.dispute_answer": _("dispute answered within"),
    "protections.life_support": _("never cut life support"),
    "protections.important": _("important users only with the company's approval"),
    "protections.medical_hold": _("no cut for a medical reason, at most"),
    "protections.non_working_days": _("no cut on non-working days"),
    "protections.eve": _("no cut on the eve of a non-working day"),
    "protections.winter": _("no cut in winter"),
    "protections.cold": _("no cut in cold, forecast at or below"),
    "protections.heat": _("no cut in heat, forecast at or above"),
    "protections.forecast_ahead": _("the forecast looks ahead"),
    "protections.forecast_age": _("a forecast counts for"),
    "shedding.measures": _("order of measures"),
    "shedding.colours": _("warning colours"),
    "shedding.colour_thresholds": _("gap for each colour"),
    "shedding.slot": _("length of a slot"),
    "shedding.levels": _("levels"),
    "shedding.protected_sites": _("protected sites"),
    "shedding.ledger_weight": _("weight of other outages in the fairness ledger"),
    "shedding.ledger_window": _("span of the fairness ledger"),
    "shedding.schedule_warning": _("warning before the published schedule runs out"),
    "shedding.stuck_after": _("slot reported as not restored after"),
    "shedding.energy_value.home": _("value of energy not served, homes"),
    "shedding.energy_value.business": _("value of energy not served, business"),
    "shedding.energy_value.industry": _("value of energy not served, industry"),
    "reliability.momentary": _("momentary interruption"),
    "reliability.frequent": _("frequent outages"),
    "reliability.promise_urban": _("promised reliability, urban"),
    "reliability.promise_rural": _("promised reliability, rural"),
    "reliability.repeated": _("repeated interruptions"),
    "reliability.major_event_beta": _("major-event day above the mean by"),
    "complaints.contact": _("complaint acknowledged within"),
    "complaints.answer": _("complaint answered within"),
    "compensation.missed_notice": _("missed notice"),
    "compensation.restore_home": _("late restoration, homes"),
    "compensation.restore_business": _("late restoration, businesses"),
    "compensation.restore_further": _("each further period"),
    "compensation.restore_further_every": _("further period"),
    "compensation.severe_first": _("severe weather, first"),
    "compensation.severe_further": _("severe weather, each further period"),
    "compensation.severe_further_every": _("severe weather, further period"),
    "compensation.severe_cap": _("severe weather, at most"),
}

RECONNECT_MODES: Final[dict[str, Promise]] = {
    "automatic": pgettext_lazy("reconnection", "automatic"),
    "safe": pgettext_lazy("reconnection", "safe: the customer confirms first"),
}


@dataclass(frozen=True)
class Row:
    label: Promise
    text: str
    citation: str
    effective: date
    verified: bool
    note: str


@dataclass(frozen=True)
class Section:
    title: Promise
    rows: list[Row]


def sections_of(pack: RulePack) -> list[Section]:
    """The pack as a table in sections."""
    return [
        Section(
            SECTIONS[name],
            [
                Row(
                    LABELS[r.path],
                    text_of(r.value),
                    r.value.citation,
                    r.value.effective,
                    r.value.verified,
                    r.value.note,
                )
                for r in rules
            ],
        )
        for name, rules in groupby(pack.rules(), key=lambda rule: rule.section)
    ]


def text_of(rule: s.Cited) -> str:
    """The value with its unit, in the reader's language."""
    match rule:
        case s.Span():
            return _span(rule)
        case s.Flag():
            return _t("yes") if rule.value else _t("no")
        case s.DailyWindow():
            return f"{rule.value.begins:%H:%M}–{rule.value.ends:%H:%M}"
        case s.Season():
            return f"{rule.value.first} – {rule.value.final}"
        case s.Limit():
            return f"{'≤' if rule.comparator == '<=' else '<'} {_minutes(rule.value)}"
        case s.CountInWindow():
            text = _t("%(count)d or more in %(days)d days") % {"count": rule.value.count, "days": rule.value.days}
            return f"{text} (≥ {rule.value.min_hours:g} h)" if rule.value.min_hours else text
        case s.Rounding():
            return " · ".join(
                f"≤ {step.up_to}: {step.step} min" if step.up_to else f"{step.step} min" for step in rule.value
            )
        case s.Listing() | s.Numbers():
            return f"{' → '.join(f'{v:g}' if isinstance(v, float) else v for v in rule.value)} ({rule.unit})"
        case s.Weekdays():
            return " · ".join(str(WEEKDAYS[number]) for number in rule.numbers)
        case s.ReconnectMode():
            return str(RECONNECT_MODES[rule.value])
        case s.Count() | s.Quantity() | s.Temperature():
            return f"{rule.value:g} {rule.unit}"
        case s.Term():
            return rule.value
    raise TypeError(type(rule).__name__)


def _span(rule: s.Span) -> str:
    number = rule.value
    words = {
        "minutes": ngettext("%(n)s minute", "%(n)s minutes", round(number)),
        "hours": ngettext("%(n)s hour", "%(n)s hours", round(number)),
        "days": ngettext("%(n)s day", "%(n)s days", round(number)),
        "business_days": ngettext("%(n)s working day", "%(n)s working days", round(number)),
    }
    return words[rule.unit] % {"n": f"{number:g}"}


def _minutes(number: float) -> str:
    return ngettext("%(n)s minute", "%(n)s minutes", round(number)) % {"n": f"{number:g}"}
