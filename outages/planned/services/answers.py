"""What somebody says about a work beside its facts: answers to findings, and risk sheets."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Customer
from outages.lifecycle import IllegalTransition
from outages.planned import lifecycle, policies
from outages.planned.models import CheckAnswer, RiskSheet
from outages.planned.services.works import steps_append, work_locked
from standards.errors import DomainError, NotFound


def answer_give(*, actor: Actor, work_id: int, code: str, reason: str) -> CheckAnswer:
    """Answer a finding: it stays, but no longer stands in the way. Kept with who said it."""
    words = reason.strip()
    if not words:
        raise DomainError(_("An answer needs words."), field="reason")
    with transaction.atomic():
        work = work_locked(work_id)
        policies.require(actor=actor, action="answer", branch=work.branch)
        if work.state not in lifecycle.UNDECIDED:
            raise IllegalTransition(action="answer", current=work.state)
        answer, _created = CheckAnswer.objects.update_or_create(
            work=work, code=code[:24],
            defaults={
                "reason": words[:500], "actor_name": actor.name, "actor_id": actor.user_id, "at": timezone.now(),
            },
        )  # fmt: skip
        steps_append(actor=actor, verb="answer", works=[work], note=words[:500], facts={"code": code[:24]})
        return answer


def risk_sheet_write(
    *,
    actor: Actor,
    work_id: int,
    customer: Customer,
    measures: str,
    agreed_with: str,
    own_generator: bool = False,
    agreed_at: datetime | None = None,
) -> RiskSheet:
    """Note what an important or life-support customer of this work was told and does meanwhile."""
    if not measures.strip() or not agreed_with.strip():
        missing = "agreed_with" if measures.strip() else "measures"
        raise DomainError(_("Say what is done meanwhile, and with whom it was agreed."), field=missing)
    with transaction.atomic():
        work = work_locked(work_id)
        policies.require(actor=actor, action="answer", branch=work.branch)
        if not customer.service_points.filter(element__in=work.work_places.values("element")).exists():
            raise NotFound(field="customer")
        sheet, _created = RiskSheet.objects.update_or_create(
            work=work, customer=customer,
            defaults={
                "own_generator": own_generator, "measures": measures.strip()[:500],
                "agreed_with": agreed_with.strip()[:64], "agreed_at": agreed_at or timezone.now(),
                "actor_name": actor.name,
            },
        )  # fmt: skip
        steps_append(actor=actor, verb="risk_sheet", works=[work], facts={"account": customer.account_number[-4:]})
        return sheet
