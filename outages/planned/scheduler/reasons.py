"""What each move of a proposal is good for, in codes and figures that a page puts into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outages.planned.scheduler.problem import Broken, Job, Plan, Problem, borne_by
from outages.planned.scheduler.search import Proposal
from outages.planned.spans import joined

# {"code": "hours", "hours": 12.5, "with": ["W-…"]} · cuts, holiday: customers · mends: rule, day, with · room
Reason = dict[str, Any]


def reasons_of(proposal: Proposal, problem: Problem) -> dict[int, list[Reason]]:
    """For each work that moves: what is lost if it alone stays, and which rule its move mends."""
    jobs = {job.key: job for job in problem.jobs}
    after = {_name(one): one.by for one in proposal.after.broken}
    mended = [one for one in proposal.before.broken if after.get(_name(one), 0) < one.by]
    return {key: _reasons(jobs[key], jobs, proposal.plan, problem, mended) for key in proposal.moved}


def _reasons(job: Job, jobs: Mapping[int, Job], plan: Plan, problem: Problem, mended: list[Broken]) -> list[Reason]:
    stays = {**plan, job.key: job.windows}
    minutes = again = holiday = 0
    for group, customers in problem.groups.items():
        if job.key in group[0]:
            now = borne_by(group, customers, plan, problem)
            then = borne_by(group, customers, stays, problem)
            minutes, again, holiday = (
                saved + before - after
                for saved, before, after in zip((minutes, again, holiday), then, now, strict=True)
            )
    company = _company(job, jobs, plan)
    reasons: list[Reason] = [
        {
            "code": "mends",
            "rule": one.rule,
            "day": one.day.isoformat() if one.day else "",
            "with": [reference for reference in one.references if reference != job.reference],
        }
        for one in mended
        if job.reference in one.references and _is_out_of_it(job, one, plan, problem)
    ]
    if again > 0:
        reasons.append({"code": "cuts", "customers": again, "with": company})
    if minutes > 0:  # whose company it is has been said
        reasons.append({"code": "hours", "hours": round(minutes / 60, 1), "with": [] if again > 0 else company})
    if holiday > 0:
        reasons.append({"code": "holiday", "customers": holiday, "with": []})
    return reasons or [{"code": "room", "with": company}]


def _company(job: Job, jobs: Mapping[int, Job], plan: Plan) -> list[str]:
    """The works that are off for some of the same customers in one go with it."""
    mine = plan[job.key]
    return [
        other.reference
        for other in jobs.values()
        if other.key != job.key
        and not other.places.isdisjoint(job.places)
        and len(joined([*mine, *plan[other.key]])) < len(joined(mine)) + len(joined(plan[other.key]))
    ]


def _is_out_of_it(job: Job, one: Broken, plan: Plan, problem: Problem) -> bool:
    """Is it this work's move that mends it? Of an overfull day that is whoever has left it."""
    return one.day is None or one.day not in problem.days_of(plan[job.key])


def _name(one: Broken) -> tuple[object, ...]:
    return (one.rule, one.day) if one.day else (one.rule, *one.references)
