"""One order as its page shows it: how far it is, every call and every answer, and its whole history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies, progress
from billing_cutoffs.dossier.notices import NoticeShown, notices_of
from billing_cutoffs.models import (
    CommandAttempt,
    CutoffOrder,
    CutoffStep,
    MeterAnswer,
    MeterCommand,
    Method,
    NoticeStage,
    SwitchPosition,
)
from billing_cutoffs.protections import Finding, finding_text

# what a call of the meter system came to
RESULTS: Final[Mapping[str, Any]] = {
    "": pgettext_lazy("call", "no answer: the sender died, or is waiting"),
    "accepted": pgettext_lazy("call", "taken, the answer follows"),
    "done": pgettext_lazy("call", "done"),
    "refused": pgettext_lazy("call", "refused"),
    "unsent": pgettext_lazy("call", "not sent: the meter system could not be reached"),
    "account": pgettext_lazy("call", "not sent: our login is refused"),
    "doubt": pgettext_lazy("call", "not known whether it arrived"),
    **dict(SwitchPosition.choices),
}
# what became of an answer
OUTCOMES: Final[Mapping[str, Any]] = {
    "": pgettext_lazy("answer", "not looked at yet"),
    "applied": pgettext_lazy("answer", "believed"),
    "already_known": pgettext_lazy("answer", "nothing new"),
    "stale": pgettext_lazy("answer", "older than what is known"),
    "not_yet": pgettext_lazy("answer", "not switched yet"),
    "asking": pgettext_lazy("answer", "the meter is asked"),
    "contradicts": pgettext_lazy("answer", "contradicts itself: the meter is asked"),
    "found_off": pgettext_lazy("answer", "off although the order had ended"),
    "not_ours": pgettext_lazy("answer", "off without an order of ours"),
    "no_position": pgettext_lazy("answer", "says nothing"),
    "wrong_meter": pgettext_lazy("answer", "names another meter"),
}


@dataclass(frozen=True)
class Stage:
    """One dot of the line at the top."""

    label: Any
    state: str  # done, now, todo
    at: datetime | None


@dataclass(frozen=True)
class OrderFile:
    order: CutoffOrder
    stages: list[Stage]
    findings: list[str]
    reason: str
    notices: list[NoticeShown]
    commands: list[tuple[MeterCommand, list[tuple[CommandAttempt, Any]]]]
    answers: list[tuple[MeterAnswer, Any]]
    history: list[tuple[CutoffStep, str, str]]


def order_file(order: CutoffOrder) -> OrderFile:
    """Everything about one order, in a fixed number of statements."""
    commands = list(order.commands.prefetch_related("attempts"))
    keys = [command.key for command in commands]
    answers = MeterAnswer.objects.filter(
        Q(command_key__in=keys) | Q(meter_number=order.service_point.meter_number, received_at__gte=order.created_at)
    ).exclude(meter_number="")  # fmt: skip
    steps = list(order.steps.all())
    return OrderFile(
        order=order,
        stages=list(_stages(order, steps)),
        findings=[finding_text(Finding.from_json(said)) for said in order.holds] if order.state == "held" else [],
        reason=progress.reason_text(order.state_reason),
        notices=notices_of(Q(order=order)),
        commands=[
            (command, [(attempt, RESULTS.get(attempt.result, attempt.result)) for attempt in command.attempts.all()])
            for command in commands
        ],
        answers=[(answer, OUTCOMES.get(answer.outcome, answer.outcome)) for answer in answers.order_by("pk")[:100]],
        history=[(step, progress.verb_text(step.verb), progress.reason_text(step.note)) for step in steps],
    )  # fmt: skip


def _stages(order: CutoffOrder, steps: list[CutoffStep]) -> Iterator[Stage]:
    """The way of an order; one that ended early or was never cut stops where it was."""
    first = {step.verb: step.at for step in reversed(steps)}
    served = {notice.stage: notice.served_at for notice in order.notices.all() if notice.served_at}
    moments = [
        (pgettext_lazy("stage", "Approved"), first.get("approve") or order.batch.approved_at),
        (pgettext_lazy("stage", "Letter arrived"), served.get(NoticeStage.LETTER)),
        (pgettext_lazy("stage", "Last warning"), served.get(NoticeStage.FINAL_WARNING)),
        (pgettext_lazy("stage", "Ordered off"), order.commanded_at),
        (pgettext_lazy("stage", "Off"), order.off_at),
        (pgettext_lazy("stage", "Paid"), order.paid_at),
        (pgettext_lazy("stage", "Ordered on"), order.reconnect_commanded_at),
        (pgettext_lazy("stage", "On again"), order.on_at),
    ]
    now = next((n for n, (_label, at) in enumerate(moments) if at is None), len(moments))
    is_over = order.state in lifecycle.ENDED
    for n, (label, at) in enumerate(moments):
        yield Stage(label, "done" if at is not None else "now" if n == now and not is_over else "todo", at)


# --- what may be done -------------------------------------------------------------------------------


def steps_open(*, actor: Actor, order: CutoffOrder) -> list[str]:
    """What this person may do with the order now; what they may not is not there."""
    return [
        name
        for name, (action, is_open) in DOORS.items()
        if is_open(order) and policies.may(actor=actor, action=action, branch=order.branch)
    ]


def _is_by_hand(order: CutoffOrder) -> bool:
    """A person may say what they saw: they were sent, or nobody is on the way to the meter any more."""
    return order.method == Method.FIELD or order.state != lifecycle.COMMANDED


DOORS: Final[Mapping[str, tuple[str, Any]]] = {
    "off": ("confirm", lambda o: o.state in (lifecycle.COMMANDED, lifecycle.FAILED) and _is_by_hand(o)),
    "not-done": ("confirm", lambda o: o.state == lifecycle.COMMANDED and o.method == Method.FIELD),
    "stays-on": ("confirm", lambda o: o.state in (lifecycle.COMMANDED, lifecycle.FAILED) and _is_by_hand(o)),
    "send-out": ("confirm", lambda o: o.state == lifecycle.FAILED and o.reconnect_due_at is None),
    "on": ("confirm", lambda o: o.state in lifecycle.OFF),
    "safe": ("say_safe", lambda o: o.state in (lifecycle.DISCONNECTED, lifecycle.PAID) and o.is_safe_at is None
             and o.reconnect_mode == "safe"),
    "reconnect": ("reconnect", lambda o: o.state in (lifecycle.COMMANDED, *lifecycle.OFF)
                  and o.state != lifecycle.RECONNECT_COMMANDED),
    "cancel": ("stop", lambda o: o.state in (*lifecycle.BEFORE_COMMAND, lifecycle.FAILED)),
}  # fmt: skip

NEXT_STEPS: Final[Mapping[str, Any]] = {
    "send-out": _("Send somebody there, or end the order."),
    "check": _("Paid, and not known whether it is off: send somebody to look."),
    "by_hand": _("Send somebody to switch it on."),
    "wait": _("It is tried again by itself."),
}
