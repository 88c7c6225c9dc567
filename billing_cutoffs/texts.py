"""Words for debtors: reminder, cut-off letter, last warning and "supply is back", each in the customer's language.

One file per stage and language in ``templates/billing_cutoffs/messages``: the subject, a line ``---``, the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.template.loader import get_template

import standards
from outages.wording import spoken_time

TAIL: Final = 4  # digits of the account number: enough to know it by, too few to misuse
PLACE: Final = 40  # letters of an address: the whole must fit a text message in any alphabet


@dataclass(frozen=True)
class Facts:
    """All that a message about a debt is made of."""

    stage: str
    language: str
    at: datetime
    account_number: str
    amount: Decimal
    due_on: date
    place: str
    branch: str
    phone: str
    time_zone: str
    rule_pack: str
    begins: datetime | None = None
    ends: datetime | None = None


def compose(facts: Facts) -> tuple[str, str]:
    """Subject and text of one message."""
    language = "zh" if facts.language.startswith("zh") else "en"
    context = {
        "account": facts.account_number[-TAIL:],
        "amount": money(facts.amount, rule_pack=facts.rule_pack, language=language),
        "due": _day(facts.due_on, language),
        "window": _window(facts, language),
        "place": facts.place[:PLACE],
        "phone": facts.phone,
    }
    said = get_template(f"billing_cutoffs/messages/{facts.stage}.{language}.txt").render(context).strip()
    subject, _line, text = said.partition("\n---\n")
    return subject, text


def money(amount: Decimal, *, rule_pack: str, language: str) -> str:
    """320.00元, CNY 320.00: in the currency in which the branch's rules reckon."""
    currency = standards.pack(rule_pack).arrears.debt_floor_residential.unit
    if currency == "CNY" and language.startswith("zh"):
        return f"{amount:.2f}元"
    return f"{currency} {amount:.2f}"


def _day(day: date, language: str) -> str:
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day.day} {day:%B %Y}"


def _window(facts: Facts, language: str) -> str:
    if facts.begins is None or facts.ends is None:
        return ""
    zone = ZoneInfo(facts.time_zone)
    first, last = (spoken_time(moment, language, facts.at, zone) for moment in (facts.begins, facts.ends))
    return f"{first}到{last}" if language == "zh" else f"{first} and {last}"
