"""Better windows for a whole plan: fewer customer-hours and fewer repeated cuts, within what the branch can do.

Two plans are compared by one measure: the rules that they break first, then what customers bear. The search is
OR-Tools' CP-SAT over the days and hours at which each work could be. Its rules are soft with a weight that nothing
else outweighs, so the branch's own plan is always among the answers, and the proposal is never worse than it.

``problem`` says what a plan is and measures it · ``reading`` fills it from the database · ``options`` where a work
could be · ``search`` looks for the best · ``reasons`` says what each move is good for.
"""

from outages.planned.scheduler.problem import Broken, Job, Measure, Plan, Problem, measure
from outages.planned.scheduler.reading import problem_of
from outages.planned.scheduler.reasons import Reason, reasons_of
from outages.planned.scheduler.search import SECONDS, Proposal, schedule

__all__ = [
    "SECONDS",
    "Broken",
    "Job",
    "Measure",
    "Plan",
    "Problem",
    "Proposal",
    "Reason",
    "measure",
    "problem_of",
    "reasons_of",
    "schedule",
]
