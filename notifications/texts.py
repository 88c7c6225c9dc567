"""What a message says: the same sentence as every other channel, and what makes it a text message or a letter.

The sentence about an outage comes from ``outages.supply_status``, so that a message, an agent and a page say word
for word the same. The rest is in ``templates/notifications/messages``: one file per kind and language, the subject
before the line ``---`` and the words after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from grid.models import Branch, ServicePoint
from notifications.models import SAYS_OFF
from outages import kinds
from outages.causes import Cause
from outages.supply_status import judge
from outages.wording import is_around, spoken_time

SMS_LIMIT: Final = 8  # segments; more is a mistake of ours
SUBJECT_LIMIT: Final = 120  # letters; a long name of a place is cut, the words below have it whole

# the letters that count once in a text message of the GSM alphabet (3GPP TS 23.038, 6.2.1), and those that count twice
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE: Final = frozenset("^{}\\[~]|€\f")


_BROKEN: Final = (TemplateDoesNotExist, TemplateSyntaxError, LookupError, ValueError, TypeError)


class RenderError(Exception):
    """This message cannot be put into words; it fails alone."""


@dataclass(frozen=True)
class Facts:
    """All that a message about an outage is made of."""

    kind: str
    language: str
    at: datetime
    time_zone: str
    outage_kind: str
    reference: str
    place: str
    reason_zh: str
    reason_en: str
    since: datetime | None
    until: datetime | None
    next_update_by: datetime | None
    known_at: datetime | None
    restored_at: datetime | None
    # the window that this customer was told before it moved to ``since`` and ``until``, or was called off
    was_from: datetime | None
    was_until: datetime | None
    branch: str
    phone: str


@dataclass(frozen=True)
class Words:
    subject: str
    text: str
    letter: str


def compose(facts: Facts) -> Words:
    """The words of one message. Raises ``RenderError``."""
    language = _template_language(facts.language)
    try:
        context = _context(facts, language)
        subject, _line, text = _rendered(f"{facts.kind}.{language}", context).partition("\n---\n")
    except _BROKEN as broken:
        raise RenderError(type(broken).__name__) from broken
    return enclose(subject=subject, text=text, language=language, branch=facts.branch)


def enclose(*, subject: str, text: str, language: str, branch: str) -> Words:
    """The words of one message, and the letter around them. Raises ``RenderError``."""
    subject, text = fit(subject=subject, text=text)
    try:
        letter = _rendered(f"letter.{_template_language(language)}", {"text": text, "branch": branch})
    except _BROKEN as broken:
        raise RenderError(type(broken).__name__) from broken
    return Words(subject=subject, text=text, letter=letter)


def fit(*, subject: str, text: str) -> tuple[str, str]:
    """Subject and text as every channel can carry them, each one line. Raises ``RenderError``."""
    subject, text = _one_line(subject), _one_line(text)
    if not subject or not text:
        raise RenderError("empty")
    if sms_segments(text) > SMS_LIMIT:
        raise RenderError("too_long")
    if len(subject) > SUBJECT_LIMIT:
        subject = f"{subject[: SUBJECT_LIMIT - 1]}…"
    return subject, text


def _template_language(language: str) -> str:
    return "zh" if language.startswith("zh") else "en"


def sms_segments(text: str) -> int:
    """How many text messages this costs: 160 letters of the GSM alphabet, or 70 of any other, fewer when split."""
    if all(letter in _GSM or letter in _GSM_TWICE for letter in text):
        length, single, split = sum(2 if letter in _GSM_TWICE else 1 for letter in text), 160, 153
    else:
        length, single, split = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= single else -(-length // split)


def _context(facts: Facts, language: str) -> dict[str, str]:
    zone = ZoneInfo(facts.time_zone)
    said, cause = facts.restored_at, _cause(facts)
    # a block that the reason names is said by the reason, in the reader's language
    block = _reason(facts, language) if facts.place and not is_around(cause) else ""
    return {
        "sentence": _sentence(cause, facts, language, zone) if facts.kind in SAYS_OFF else "",
        "place": block or facts.place,
        "where": _where(facts.place if not block else "", language),
        "block": block,
        "restored": spoken_time(said, language, facts.at, zone) if said is not None else "",
        "window": _window(facts.since, facts.until, facts, language, zone),
        "was": _window(facts.was_from, facts.was_until, facts, language, zone),
        "reason": _reason(facts, language),
        "reference": facts.reference,
        "branch": facts.branch,
        "phone": facts.phone,
    }


def _window(
    begins: datetime | None, until: datetime | None, facts: Facts, language: str, zone: ZoneInfo
) -> str:  # fmt: skip
    """From when until when, as one says it."""
    if begins is None or until is None:
        return ""
    first, last = (spoken_time(moment, language, facts.at, zone) for moment in (begins, until))
    return f"{first}到{last}" if language == "zh" else f"{first} until {last}"


def _reason(facts: Facts, language: str) -> str:
    handler = kinds.handler_for(facts.outage_kind)
    if language == "zh":
        return facts.reason_zh or handler.reason_zh
    return facts.reason_en or handler.reason_en


def _where(place: str, language: str) -> str:
    if not place:
        return "您这里" if language == "zh" else "at your premises"
    return f"{place}一带" if language == "zh" else f"around {place}"


def _cause(facts: Facts) -> Cause:
    handler = kinds.handler_for(facts.outage_kind)
    return Cause(
        rank=handler.rank,
        kind=facts.outage_kind,
        blocks=True,
        reference=facts.reference,
        place=facts.place,
        reason_zh=_reason(facts, "zh"),
        reason_en=_reason(facts, "en"),
        since=facts.since,
        until=facts.until,
        next_update_by=facts.next_update_by,
        known_at=facts.known_at,
    )


def _sentence(cause: Cause, facts: Facts, language: str, zone: ZoneInfo) -> str:
    """Why it is off and when it will be back, in the words of the one answer."""
    premises = ServicePoint(branch=Branch(time_zone=zone.key))
    return judge(premises, [cause], at=facts.at, verified=False).sentence(language)


def _rendered(name: str, context: dict[str, str]) -> str:
    return get_template(f"notifications/messages/{name}.txt").render(context).strip()


def _one_line(text: str) -> str:
    """No line break or other control sign gets out of a name into a message."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
