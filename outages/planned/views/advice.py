"""Merge advice for a plan: which works are worth one outage; they are joined with one button, and split with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

import standards
from accounts.actor import Actor
from accounts.requests import actor_of
from outages.planned import adviser, dossier, lifecycle, policies, selectors, services
from outages.planned.adviser import Candidate, Consent, MergeProposal
from outages.planned.agenda import look_of
from outages.planned.forms.advice import AdviceForm, JoinForm
from outages.planned.forms.steps import GateForm
from outages.planned.models import PlannedWork, PlanPeriod
from standards.errors import Conflict, DomainError, Forbidden

SHOWN: Final = 30  # each accepted proposal brings up the next


@dataclass(frozen=True)
class Offer:
    """One proposal as somebody sees it: who must agree to each work, and why this person cannot accept it."""

    proposal: MergeProposal
    lines: Sequence[tuple[Candidate, Consent | None, bool]]  # the last: whether the reader may see the work
    hindrance: str


@dataclass(frozen=True)
class JointLine:
    """One joint work of the plan as somebody sees it."""

    work: PlannedWork
    look: tuple[str, str]
    parts: Sequence[tuple[PlannedWork, bool]]  # the last: whether the reader may see it
    may_split: bool


@require_GET
@login_required
@never_cache
def advice(request: HttpRequest, pk: int) -> HttpResponse:
    """What could be one outage in this plan, and what has been made one."""
    actor = actor_of(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    form = AdviceForm(request.GET)
    within = form.cleaned_data["within"] if form.is_valid() else None
    rule = standards.pack(period.branch.rule_pack).planning.merge_within
    days = rule.delta.days if within is None else within
    proposals = adviser.proposals_for(period, at=timezone.now(), within=timedelta(days=days))
    context = {
        "period": period,
        "form": form,
        "days": days,
        "rule": rule,
        "offers": _offers(proposals[:SHOWN], actor),
        "more": max(0, len(proposals) - SHOWN),
        "is_decided": not lifecycle.joinable_in(period.state),
        "joints": _joints(period, actor),
    }
    return render(request, "planned/advice.html", context, status=422 if form.errors else 200)


def _offers(proposals: Sequence[MergeProposal], actor: Actor) -> list[Offer]:
    known = selectors.works_known(actor=actor, ids=[work.pk for proposal in proposals for work in proposal.works])
    offers = []
    for proposal in proposals:
        consents = {consent.work.pk: consent for consent in proposal.consents}
        lines = [(one, consents.get(one.work.pk), one.work.pk in known) for one in proposal.candidates]
        offers.append(Offer(proposal, lines, _hindrance(proposal.works, actor)))
    return offers


def _may_join(work: PlannedWork, actor: Actor) -> bool:
    return policies.may(actor=actor, action=lifecycle.join_action(work.state), branch=work.branch)


def _hindrance(works: Sequence[PlannedWork], actor: Actor) -> str:
    """Why this person cannot join these works; empty where nothing is in the way."""
    closed = [work for work in works if not _may_join(work, actor)]
    if not closed:
        return ""
    if any(policies.may(actor=actor, action="join", branch=work.branch) for work in closed):
        return _("What is handed in is joined by those who decide about it.")
    if len(closed) < len(works):
        return _("Only somebody who also plans for %(branch)s can join them.") % {"branch": closed[0].branch}
    return _("Your role may look at this, and does not join.")


def _joints(period: PlanPeriod, actor: Actor) -> list[JointLine]:
    joints = [(joint, list(joint.children.all())) for joint in selectors.joints_of(period)]
    known = selectors.works_known(actor=actor, ids=[part.pk for _joint, parts in joints for part in parts])
    return [
        JointLine(
            joint,
            look_of(joint.state),
            [(part, part.pk in known) for part in parts],
            dossier.may_split(joint, parts, actor=actor),
        )
        for joint, parts in joints
    ]


@require_POST
@login_required
def join(request: HttpRequest, pk: int) -> HttpResponse:
    """Make one outage of the works of a proposal."""
    actor = actor_of(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    if not any(policies.may(actor=actor, action=action, branch=period.branch) for action in ("join", "join_handed_in")):
        raise Forbidden()
    form = JoinForm(request.POST, actor=actor)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("planned:advice", pk)
    facts = form.cleaned_data
    ids = [work.pk for work in facts["works"]]
    try:
        joint = services.joint_create(actor=actor, period_id=pk, work_ids=ids, expected_versions=facts["versions"])
    except Conflict:
        messages.error(request, _("One of these works was changed meanwhile. Nothing was joined: look at it again."))
    except DomainError as refused:
        messages.error(request, str(refused))
    else:
        words = ngettext(
            "%(n)d work is one outage now: %(joint)s.", "%(n)d works are one outage now: %(joint)s.", len(ids)
        )
        messages.success(request, words % {"n": len(ids), "joint": joint.reference}, extra_tags=joint.reference)
    return _back(pk, facts["within"])


@require_POST
@login_required
def split(request: HttpRequest, reference: str) -> HttpResponse:
    """The works of a joint outage go their own ways again."""
    actor = actor_of(request)
    joint = selectors.work_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action=lifecycle.join_action(joint.state), branch=joint.branch)
    form = GateForm(request.POST)
    seen = form.cleaned_data["version"] if form.is_valid() else None
    try:
        parts = services.joint_split(actor=actor, work_id=joint.pk, expected_version=seen)
    except Conflict:
        messages.error(request, _("The joint outage was changed meanwhile. Nothing was split: look at it again."))
        return redirect("planned:work", reference)
    except DomainError as refused:
        messages.error(request, str(refused))
        return redirect("planned:work", reference)
    words = ngettext("%(n)d work goes its own way again.", "%(n)d works go their own ways again.", len(parts))
    messages.success(request, words % {"n": len(parts)})
    return redirect("planned:advice", joint.period_id)


def _back(pk: int, within: int | None) -> HttpResponseRedirect:
    query = f"?{urlencode({'within': within})}" if within is not None else ""
    return HttpResponseRedirect(reverse("planned:advice", args=[pk]) + query)
