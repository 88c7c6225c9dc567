"""An event's page as the tests open it, and what is typed there."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone

from outages.load_shedding.models import SheddingEvent
from outages.load_shedding.question import question_of_event
from outages.load_shedding.views.hand import key_of
from tests.shedding.happening import HOUR, minute

EVENTS = "/shedding/events/"


def url(event: SheddingEvent, rest: str = "") -> str:
    return f"{EVENTS}{event.reference}/{rest}"


def page(client: Client, event: SheddingEvent, query: str = "") -> Any:
    answer = client.get(url(event) + query)
    assert answer.status_code == 200
    return answer


def steps(answer: Any) -> list[str]:
    return [step.state for step in answer.context["steps"]]


def local(moment: Any) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"


def order_of(event: SheddingEvent, **facts: Any) -> dict[str, Any]:
    begins = minute() + 2 * HOUR
    return {
        "version": event.version, "target_mw": "3", "stage": "", "starts_at": local(begins),
        "ends_at": local(begins + 2 * HOUR), "order_number": "省调令 7", "authority": "省调", **facts,
    }  # fmt: skip


def key(event: SheddingEvent, code: str) -> str:
    """The block's first turn, as its tick on the page names it."""
    return key_of(question_of_event(event), code, 0)
