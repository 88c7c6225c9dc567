"""The words that a cell with a choice may hold: ours in both languages, and those that branches use."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db.models import TextChoices
from django.utils import translation
from django.utils.translation import gettext as _

from outages.planned.models import Alternative, WorkClass, WorkType

YES: Final = "yes"
NO: Final = "no"

_YES_WORDS: Final = "是 √ ✓ ✔ 对 有 y yes true 1 t x ok 需要 固定 不可调整"
_NO_WORDS: Final = "否 × ✗ ✘ 不 无 没有 n no false 0 f - / 不需要 可调整"

_CHOICES: Final[dict[str, type[TextChoices]]] = {
    "work_type": WorkType, "work_class": WorkClass, "live_line": Alternative, "transfer": Alternative,
}  # fmt: skip
_WORDS: Final[dict[str, dict[str, str]]] = {
    "is_fixed": {YES: _YES_WORDS, NO: _NO_WORDS},
    "work_type": {
        WorkType.MAINTENANCE: "检修 计划检修 定检 维护 检修维护 线路检修 例行检修 保养",
        WorkType.DEFECT: "消缺 缺陷处理 设备消缺 隐患处理 抢修",
        WorkType.REPLACEMENT: "更换 更换设备 改造 技改 大修 更新改造",
        WorkType.CONSTRUCTION: "施工 基建 建设 迁改 电网建设 新建 工程施工 市政迁改",
        WorkType.CONNECTION: "接电 接火 搭火 业扩 新装 送电接入 业扩接火",
        WorkType.TEST: "试验 预试 预防性试验 调试 设备试验",
        WorkType.CLEARING: "清障 砍树 修剪树木 通道清理 树障清理",
        WorkType.CUSTOMER: "用户 用户工程 客户工程 用户检修 客户检修 用户申请",
        WorkType.OTHER: "其他 其它",
    },
    "work_class": {
        WorkClass.PLANNED: "计划 计划停电 计划内 计划检修 周计划 月计划 是",
        WorkClass.TEMPORARY: "临时 临时停电 计划外 临时检修 临停 否",
        WorkClass.EMERGENCY: "紧急 紧急停电 事故 抢修 故障 故障停电 非计划",
    },
    **{
        field: {
            Alternative.USED: "是 √ 已采用 采用 部分采用 已转供 可转供 转供 带电作业 可带电",
            Alternative.NOT_POSSIBLE: "否 × 不能 不可 无法 不具备条件 不可转供 不能转供 无 无联络 不可带电 不具备",
            Alternative.NOT_WORTH: "不采用 未采用 可行但未采用 不转供 未转供",
        }
        for field in ("live_line", "transfer")
    },
}  # fmt: skip


def _flat(text: str) -> str:
    return re.sub(r"[\s()\[\]_]+", "", unicodedata.normalize("NFKC", text).lower())


@lru_cache(maxsize=8)
def _known_words(field: str) -> dict[str, str]:
    known = {_flat(word): str(value) for value, words in _WORDS[field].items() for word in words.split()}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            known |= {_flat(label): value for value, label in choices_of(field)}
    return known | {value: value for value, _label in choices_of(field)}


def value_of(field: str, text: str) -> str | None:
    """The value that a word stands for, if it is known."""
    return _known_words(field).get(_flat(text))


def choices_of(field: str) -> list[tuple[str, str]]:
    """The values of a field with their words in the reader's language."""
    if field in _CHOICES:
        return [(str(value), str(label)) for value, label in _CHOICES[field].choices if value]
    return [(YES, _("yes")), (NO, _("no"))]


def choice_words(field: str) -> str:
    """What may be written there, for a message."""
    return ", ".join(label for _value, label in choices_of(field))


def has_choices(field: str) -> bool:
    """Is a field filled in by choosing?"""
    return field in _WORDS
