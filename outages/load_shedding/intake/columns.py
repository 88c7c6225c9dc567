"""What the columns of a rotation table are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

# name: the words that head such a column, without blanks and in small letters; the first is what we write ourselves
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "stage": ("stage", "级别", "阶段", "等级", "轮次", "level"),
    "day": ("day", "日", "日期", "几号", "dayofmonth", "date"),
    "weekday": ("weekday", "星期", "周几", "星期几", "dayofweek"),
    "cycle_day": ("cycleday", "循环日", "周期日", "第几天"),
    "period": ("cycledays", "周期天数", "循环天数", "period"),
    "counts_from": ("countedfrom", "起算日", "起算日期"),
    "time": ("time", "时段", "时间", "停电时段", "轮停时段", "hours"),
    "starts": ("from", "起", "开始", "开始时间", "停电时间", "start", "begins", "offfrom"),
    "ends": ("until", "止", "结束", "结束时间", "送电时间", "to", "end", "ends", "backby"),
    "block": ("block", "区块", "轮停区块", "组", "分组", "area", "group", "queue"),
    "possible": ("possible", "可能", "仅可能", "maybe"),
}

_STAGE: Final = re.compile(r"(?:stage|level|第|阶段|级别)?(\d{1,2})(?:级|阶段|级别)?")
_NAMES: Final = {word: name for name, words in WORDS.items() for word in words}


def plain(text: str) -> str:
    """A heading as it is compared: full width or not, with or without blanks and brackets."""
    return re.sub(r"[\s_\-:()（）]+", "", unicodedata.normalize("NFKC", text).lower())


def name_of(heading: str) -> str:
    """Which of our columns a heading names; empty for none."""
    return _NAMES.get(plain(heading), "")


def stage_of(heading: str) -> int | None:
    """The stage that a heading names: stage 3, 第3级, 3."""
    found = _STAGE.fullmatch(plain(heading))
    return int(found[1]) if found else None


def hours_of(headings: Sequence[str]) -> dict[int, int]:
    """Column -> hour of a half-hour table, whose headings are the numbers 1 to 24; nothing for any other table."""
    found = {at: int(text) for at, text in enumerate(map(plain, headings)) if text.isascii() and text.isdigit()}
    return found if sorted(found.values()) == list(range(1, 25)) else {}
