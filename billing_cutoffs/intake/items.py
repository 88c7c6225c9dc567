"""The values of one item, however they were sent, and what is wrong with them: always one item, never the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from standards.errors import DomainError

MOST_ITEMS: Final = 10_000  # of one batch
FIRST_YEAR: Final = 2000  # whatever is older, or lies further ahead, is a mistake of a clock or of a keyboard
YEARS_AHEAD: Final = 5
CLOCKS_DIFFER: Final = timedelta(minutes=5)  # by so much another system's clock may be ahead

T = TypeVar("T")
Item = Mapping[str, Any]


class BadItem(DomainError):
    """An item of which something cannot be read; nothing of it is taken in."""

    code = "bad_item"
    status = 400
    message = _("This is not an item: names with values are expected.")


class Missing(BadItem):
    code = "missing"
    message = _("This value is missing.")


class BadText(BadItem):
    code = "bad_text"
    message = _("Text of at most %(most)d characters is expected.")


class BadAmount(BadItem):
    code = "bad_amount"
    message = _("An amount is written as text with at most two decimals, such as 812.30, and is not negative.")


class NotPositive(BadAmount):
    message = _("The amount must be more than nothing.")


class BadDate(BadItem):
    code = "bad_date"
    message = _("A day is written 2026-12-03, and must be plausible.")


class BadTime(BadItem):
    code = "bad_time"
    message = _("A time is written 2026-12-03T08:00:00+08:00, must be plausible and must not lie ahead.")


class BadChoice(BadItem):
    code = "bad_choice"
    message = _("One of these is expected: %(choices)s.")


class BadNumber(BadItem):
    code = "bad_number"
    message = _("A whole number from 0 to %(most)d is expected.")


class BadFlag(BadItem):
    code = "bad_flag"
    message = _("True or false is expected.")


class BadTemperature(BadItem):
    code = "bad_temperature"
    message = _("Temperatures are numbers from -90 to 60 °C, the lowest not above the highest.")


class DuplicateItem(BadItem):
    """The sender contradicts itself within one batch: no row of the two is better than the other."""

    code = "duplicate_item"
    message = _("The same thing stands in this batch twice: only the first is taken.")


@dataclass(frozen=True)
class Outcome:
    """What became of one item: ``outcome`` is what was done, or the code of ``error``."""

    key: str  # as the sender names the item
    outcome: str
    error: DomainError | None = None

    @classmethod
    def refused(cls, key: str, error: DomainError) -> Outcome:
        return cls(key, error.code, error)


class Refusals:
    """The outcomes of a batch as they become known, at their places in it."""

    def __init__(self, items: Sequence[Any], keys: Callable[[Item], str]) -> None:
        self.keys = [key_shown(item, keys) for item in items]
        self.found: dict[int, Outcome] = {}

    def refuse(self, at: int, error: DomainError) -> None:
        self.found[at] = Outcome.refused(self.keys[at], error)

    def settle(self, at: int, outcome: str) -> None:
        self.found[at] = Outcome(self.keys[at], outcome)

    def read(self, items: Sequence[Any], reader: Callable[[Item], T]) -> dict[int, T]:
        """The items that can be read, by their places; the others are refused."""
        good: dict[int, T] = {}
        for at, item in enumerate(items):
            try:
                if not isinstance(item, Mapping):
                    raise BadItem()
                good[at] = reader(item)
            except BadItem as wrong:
                self.refuse(at, wrong)
        return good

    def in_order(self) -> list[Outcome]:
        return [self.found[at] for at in range(len(self.keys))]


def key_shown(item: Any, keys: Callable[[Item], str]) -> str:
    """What the sender calls an item, even one that cannot be read."""
    return keys(item)[:200] if isinstance(item, Mapping) else ""


# --- values -------------------------------------------------------------------------------------------

_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_DEGREES: Final = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,4})?")
_YES: Final = frozenset({"1", "true", "yes", "y", "是", "有", "√"})
_NO: Final = frozenset({"0", "false", "no", "n", "否", "无"})


def text(item: Item, name: str, *, most: int, is_needed: bool = True) -> str:
    """Raises ``Missing``, ``BadText``."""
    value = item.get(name)
    if value is None or value == "":
        if is_needed:
            raise Missing(field=name)
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a number that names something
    if not isinstance(value, str) or len(value) > most or _CONTROL.search(value):
        raise BadText(field=name, most=most)
    value = value.strip()
    if is_needed and not value:
        raise Missing(field=name)
    return value


def amount(item: Item, name: str) -> Decimal:
    """Never through a float: what a sender rounds is not ours to guess. Raises ``Missing``, ``BadAmount``."""
    value = item.get(name)
    if value is None or value == "":
        raise Missing(field=name)
    if isinstance(value, Decimal):
        value = format(value, "f")
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise BadAmount(field=name)
    return Decimal(value).quantize(Decimal("0.01"))


def day(item: Item, name: str) -> date:
    """Raises ``Missing``, ``BadDate``."""
    value = item.get(name)
    if value is None or value == "":
        raise Missing(field=name)
    if isinstance(value, str):
        value = _parsed(date.fromisoformat, value)
    if not isinstance(value, date) or isinstance(value, datetime) or not _is_plausible(value):
        raise BadDate(field=name)
    return value


def moment(item: Item, name: str, *, now: datetime, default: datetime | None = None) -> datetime:
    """A time that has come; without a zone the site's own counts. Raises ``Missing``, ``BadTime``."""
    value = item.get(name)
    if value is None or value == "":
        if default is None:
            raise Missing(field=name)
        return default
    value = any_moment(item, name)
    if value > now + CLOCKS_DIFFER:
        raise BadTime(field=name)
    return value


def any_moment(item: Item, name: str) -> datetime:
    """A time, past or ahead. Raises ``BadTime``."""
    value = item.get(name)
    if isinstance(value, str):
        value = _parsed(datetime.fromisoformat, value)
    if not isinstance(value, datetime) or not _is_plausible(value.date()):
        raise BadTime(field=name)
    return (value if value.tzinfo else timezone.make_aware(value)).astimezone(UTC)


def _parsed(parser: Callable[[str], T], value: str) -> T | None:
    try:
        return parser(value.strip())
    except ValueError:
        return None


def _is_plausible(value: date) -> bool:
    return FIRST_YEAR <= value.year <= timezone.now().year + YEARS_AHEAD


def choice(item: Item, name: str, choices: Sequence[str]) -> str:
    """Raises ``Missing``, ``BadChoice``."""
    value = item.get(name)
    if value is None or value == "":
        raise Missing(field=name)
    if value not in choices:
        raise BadChoice(field=name, choices=", ".join(choices))
    return str(value)


def flag(item: Item, name: str) -> bool | None:
    """Nothing said is ``None``. Raises ``BadFlag``."""
    value = item.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _YES | _NO:
        raise BadFlag(field=name)
    return word in _YES


def whole(item: Item, name: str, *, most: int) -> int | None:
    """Nothing said is ``None``. Raises ``BadNumber``."""
    value = item.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadNumber(field=name, most=most)
    return value


def temperature(item: Item, name: str) -> float:
    """Raises ``Missing``, ``BadTemperature``."""
    value = item.get(name)
    if value is None or value == "":
        raise Missing(field=name)
    if isinstance(value, str) and _DEGREES.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool) or not -90 <= value <= 60:
        raise BadTemperature(field=name)
    return float(value)
