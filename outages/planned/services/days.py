"""The work calendar: days on which planned outages are unwelcome, and weekends that are worked."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch, CalendarDay, DayKind
from outages.planned import policies
from outages.planned.lifecycle import YEARS
from standards.errors import DomainError, Forbidden, NotFound


class DayKnown(DomainError):
    code = "day_known"
    status = 409
    message = _("This day is in the work calendar already.")


def calendar_day_add(
    *, actor: Actor, day: date, kind: str, name: str, name_en: str = "", branch: Branch | None = None
) -> CalendarDay:
    """Say what a day is, for one branch and all below it, or (``None``) for everybody."""
    _require(actor, branch)
    if not name.strip():
        raise DomainError(_("A day needs a name."), field="name")
    if day.year not in YEARS:
        raise DomainError(_("The date is not plausible."), field="day")
    if kind == DayKind.WORKING and day.weekday() < 5:
        raise DomainError(_("Only a Saturday or a Sunday is made a working day."), field="day")
    try:
        with transaction.atomic():
            return CalendarDay.objects.create(
                day=day, kind=kind, name=name.strip()[:64], name_en=name_en.strip()[:64], branch=branch
            )
    except IntegrityError as known:
        raise DayKnown(field="day") from known


def calendar_day_delete(*, actor: Actor, day_id: int) -> CalendarDay:
    """The day is like others again. The history keeps that it was otherwise."""
    with transaction.atomic():
        day = CalendarDay.objects.select_for_update(of=("self",)).select_related("branch").filter(pk=day_id).first()
        if day is None:
            raise NotFound(field="day")
        _require(actor, day.branch)
        day.delete()
        return day


def _require(actor: Actor, branch: Branch | None) -> None:
    if branch is None:
        if not policies.may_everywhere(actor=actor, action="calendar"):
            raise Forbidden()
    else:
        policies.require(actor=actor, action="calendar", branch=branch)
