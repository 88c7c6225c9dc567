"""What the headings of a file mean, and the words that its cells may say, in Chinese and in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing_cutoffs.models import FeedKind
from grid.spreadsheets.words import in_every_language


@dataclass(frozen=True)
class Column:
    """One column: ``reads`` says how its cells are understood, ``others`` what its heading may be as well."""

    name: str
    label: str | Promise
    others: tuple[str, ...]
    reads: str = "text"
    is_needed: bool = True
    example: str = ""  # for the template


_ACCOUNT: Final = Column(
    "account_number", _("account number"), ("户号", "用户编号", "客户编号", "用电户号", "account", "account no"),
    example="1234567890",
)  # fmt: skip

_SOURCE: Final = Column(
    "source_system", _("source system"), ("来源系统", "来源", "source"), is_needed=False, example="bank"
)

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    FeedKind.ARREARS: (
        _ACCOUNT,
        Column("as_of", _("as billing stood at"), ("统计时间", "截止时间", "数据时间", "as of"), "moment",
               example="2026-12-03 08:00"),
        Column("number", _("bill number"), ("账单号", "账单编号", "应收编号", "bill number", "bill no"),
               is_needed=False, example="2026-10-0001"),
        Column("due_on", _("due on"), ("缴费截止日", "应缴日期", "到期日", "缴费期限", "due date"), "day",
               is_needed=False, example="2026-11-01"),
        Column("open_amount", _("open amount"),
               ("欠费金额", "未缴金额", "应收余额", "欠费", "open amount", "amount"), "amount", is_needed=False,
               example="120.50"),
        Column("service_point", _("service point"), ("用电点", "用电点编号", "计量点", "计量点编号", "premises"),
               is_needed=False, example="SP0002"),
        Column("late_payments_year", _("paid late in twelve months"), ("逾期次数", "年逾期次数", "late payments"),
               "whole", is_needed=False, example="2"),
        Column("has_remote_switch", _("meter can be switched from afar"), ("远程停复电", "费控", "remote switch"),
               "flag", is_needed=False),
    ),
    FeedKind.PAYMENTS: (
        Column("payment_id", _("payment"), ("流水号", "缴费流水号", "交易流水号", "payment id", "transaction"),
               example="20261203-000017"),
        _ACCOUNT,
        Column("amount", _("amount"), ("缴费金额", "实收金额", "金额", "paid amount"), "amount", example="120.50"),
        Column("paid_at", _("paid at"), ("缴费时间", "交易时间", "到账时间", "time", "date"), "moment",
               example="2026-12-03 08:00"),
        Column("status", _("status"), ("状态", "到账状态", "缴费状态", "state"), "status", example="settled"),
        _SOURCE,
    ),
    FeedKind.HOLDS: (
        Column("ref", _("reference in the source"), ("编号", "单号", "工单号", "ref", "reference"), example="H-0017"),
        _ACCOUNT,
        Column("kind", _("kind"), ("类型", "保留类型", "type"), "kind", example="dispute"),
        Column("since", _("from"), ("开始时间", "起始时间", "自", "start"), "moment", is_needed=False),
        Column("until", _("until"), ("截止时间", "结束时间", "至", "有效期至", "end"), "moment", is_needed=False,
               example="2026-12-31 18:00"),
        Column("amount", _("Amount promised"), ("承诺金额", "promised", "amount"), "amount", is_needed=False),
        Column("reason", _("reason"), ("原因", "说明", "备注", "note"), is_needed=False),
        Column("orders_reconnection", _("agreed instead of payment"), ("同意复电", "分期协议", "agreement"), "flag",
               is_needed=False),
        Column("ended_at", _("ended at"), ("解除时间", "released"), "moment", is_needed=False),
        _SOURCE,
    ),
    FeedKind.FORECASTS: (
        Column("branch", _("branch"), ("分局", "供电单位", "单位编码", "分局编码", "branch code"), example="0101"),
        Column("day", _("day"), ("日期", "预报日期", "date"), "day", example="2026-12-04"),
        Column("low", _("lowest (°C)"), ("最低气温", "最低温度", "最低", "low", "min"), "degrees", example="-4"),
        Column("high", _("highest (°C)"), ("最高气温", "最高温度", "最高", "high", "max"), "degrees", example="6.5"),
        Column("issued_at", _("issued at"), ("发布时间", "预报时间", "issued"), "moment", example="2026-12-03 08:00"),
    ),
}  # fmt: skip

# the words of a cell and what they stand for; the values themselves always count
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "status": {
        "在途": "in_flight", "处理中": "in_flight", "已到账": "settled", "到账": "settled", "成功": "settled",
        "已缴": "settled", "paid": "settled", "已退回": "returned", "退回": "returned", "冲正": "returned",
        "撤销": "returned",
    },
    "kind": {
        "医疗": "medical", "医疗需要": "medical", "保电": "keep_power", "争议": "dispute", "电费争议": "dispute",
        "承诺": "promise", "承诺缴费": "promise", "分期": "promise", "其他": "other",
    },
}  # fmt: skip

_BRACKETS: Final = re.compile(r"\([^)]*\)")
_NOISE: Final = re.compile(r"[\s_*:：.·-]+")


def folded(heading: str) -> str:
    """A heading without its case, its blanks and what stands in brackets."""
    plain = _BRACKETS.sub("", unicodedata.normalize("NFKC", heading)).lower()
    return _NOISE.sub("", plain)


def understood(kind: str, headings: Sequence[str]) -> dict[str, int]:
    """Which column of the file is which of ours: by our name, by a label in either language, by another word."""
    places: dict[str, int] = {}
    for place, heading in enumerate(headings):
        said = folded(heading)
        for column in COLUMNS[kind]:
            if column.name not in places and said and said in _names(column):
                places[column.name] = place
                break
    return places


def _names(column: Column) -> set[str]:
    labels = in_every_language(lambda: column.label).values()
    return {folded(name) for name in (column.name, *column.others, *labels)}
