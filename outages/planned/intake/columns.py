"""Which column is which: headings as branches write them, in Chinese, English, and our own template."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Field:
    """What a column can mean. ``label`` is its name in our template, ``names`` are other names for it."""

    name: str
    label: str | Promise
    names: tuple[str, ...]


def _field(name: str, label: str | Promise, names: str) -> Field:
    return Field(name, label, tuple(names.split()))


FIELDS: Final = (
    _field(
        "key", _("The branch's own number"),
        "编号 停电编号 计划编号 停电计划编号 申请单号 停电申请单号 申请编号 停电申请编号 检修单号 工作编号 计划单号"
        " poweroffid key plankey plannumber planno worknumber workno number outageid applicationno",
    ),
    _field(
        "branch", _("Branch"),
        "填报单位 单位 单位名称 供电单位 申请单位 停电单位 管理单位 供电所 供电分局 分局 branch office unit",
    ),
    _field(
        "feeder", _("Feeder"),
        "停电线路名称 停电线路 线路名称 线路 馈线 馈线名称 所属线路 配电线路 10kv线路 10kv线路名称 停电馈线"
        " linename feedername feeder line circuit",
    ),
    _field(
        "elements", _("Equipment switched off"),
        "停电设备名称 停电设备 设备名称 检修设备 检修设备名称 设备 停电台区 台区 台区名称 公变名称 公变 配变 配变名称"
        " 停电开关 断开设备 停电元件 停电变压器 pubtranname equipment element elements device devices asset"
        " transformer transformers",
    ),
    _field(
        "starts_at", _("Off from"),
        "停电开始时间 计划停电开始时间 开始时间 计划开始时间 停电开始 停电起始时间 起始时间 停电时间起 停电时间开始"
        " 停电时间自 停电时间从 开始 起 自 起时 停电起 计划停电时间开始 计划停电时间起 计划停电时间自"
        " starttime startsat poweroffstarttime outagestarttime offfrom start from begin begins",
    ),
    _field(
        "ends_at", _("Back by"),
        "停电结束时间 计划停电结束时间 结束时间 计划结束时间 停电结束 停电终止时间 终止时间 停电时间止 停电时间结束"
        " 停电时间至 计划送电时间 送电时间 恢复送电时间 复电时间 计划复电时间 送电结束 结束 止 至 止时 停电止"
        " 计划停电时间结束 计划停电时间止 计划停电时间至"
        " stoptime endtime endsat poweroffendtime outageendtime backby end to until ends",
    ),
    _field(
        "day", _("Day"),
        "停电日期 日期 工作日期 检修日期 计划日期 计划停电日期 开始日期 停电开始日期"
        " workday workdate date day startdate",
    ),
    _field("end_day", _("Last day"), "结束日期 停电结束日期 送电日期 复电日期 enddate lastday"),
    _field(
        "window", _("Window, from and to in one cell"),
        "停电时间 停电时段 计划停电时间 计划停电时段 停电起止时间 起止时间 时段 时间 工作时间"
        " window period time outagetime",
    ),
    _field("hours", _("Hours"), "停电时长 时长 预计时长 计划时长 停电小时数 持续时间 duration hours"),
    _field(
        "title", _("Works"),
        "检修内容 工作内容 主要工作内容 停电工作内容 工作任务 施工内容 作业内容 内容 项目名称 works work workcontent"
        " description job title",
    ),
    _field("reason", _("Reason for the public"), "停电原因 原因 对外停电原因 poweroffreason reason publicreason"),
    _field("work_type", _("Type of work"), "工作类型 检修类型 作业类型 工作类别 检修类别 worktype typeofwork"),
    _field(
        "work_class", _("Class of work"),
        "停电类型 停电性质 停电类别 计划类型 计划性质 计划类别 是否计划内"
        " typecode powerofftype class outagetype workclass",
    ),
    _field("scope", _("Area, in words"), "停电范围 影响范围 停电区域 停电地区 停电区间 scope area areainwords"),
    _field("work_order", _("Work order"), "工单号 工单编号 工单 工作票号 工作票 工作票编号 workorder ticket"),
    _field(
        "contact_name", _("Contact"),
        "负责人 工作负责人 现场负责人 联系人 项目负责人 contact contactname contactperson personincharge",
    ),
    _field(
        "contact_phone", _("Telephone"),
        "联系电话 电话 联系方式 手机 手机号 手机号码 负责人电话 联系人电话 telephone phone contactphone mobile",
    ),
    _field("crews", _("Crews"), "班组数 作业班组数 班组数量 队伍数 施工队伍数 crews crewcount numberofcrews"),
    _field(
        "is_fixed", _("The date cannot move"),
        "时间固定 固定时间 是否固定 不可调整 是否不可调整 日期固定 isfixed fixed datefixed",
    ),
    _field(
        "switching_note", _("Switching"), "操作说明 倒闸操作 停电操作 操作内容 运行方式调整 switching switchingnote"
    ),
    _field(
        "customer_work", _("Customer's own work at the same time"),
        "客户配合工作 用户配合工作 客户工作 配合工作 客户检修 customerwork customersownwork",
    ),
    _field("live_line", _("Live-line work"), "带电作业 是否带电作业 不停电作业 带电作业情况 liveline livelinework"),
    _field(
        "live_line_reason", _("Live-line work: why not"),
        "未带电作业原因 不带电作业原因 不能带电作业原因 livelinereason",
    ),
    _field(
        "transfer", _("Transfer supply"),
        "转供电 转供 是否转供 是否转供电 转供电情况 负荷转供 transfer transfersupply",
    ),
    _field(
        "transfer_reason", _("Transfer supply: why not"), "不能转供原因 未转供原因 不转供原因 转供说明 transferreason"
    ),
    _field(
        "temporary_reason", _("Why it cannot wait"),
        "临时停电原因 临时原因 紧急原因 不足7天原因 未提前7天原因 提前不足7天原因 提前不足原因 临停原因"
        " temporaryreason latereason whyitcannotwait reasonforshortnotice",
    ),
    _field("note", _("Note"), "备注 说明 备注说明 note notes remark remarks comment comments"),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Field]] = {field.name: field for field in FIELDS}

# headings that hold a name of ours and mean something else
_OTHER_NAMES: Final = (
    "序号 填报日期 填报时间 填报人 制表人 制表日期 审批人 审批日期 审核人 影响用户数 影响台区数量 影响台区数 停电户数"
    " 近两个月停电次数 变电站 变电站名称 变电站单位 subsname station workindex powerofftime 户数 问题 problem"
    " 实际停电时间 实际送电时间 实际开始时间 实际结束时间"
)
_OTHERS: Final = frozenset(_OTHER_NAMES.split())
PLACES: Final = ("feeder", "elements")
# what the checks may ask for, and a row can say even where the file has no column for it
ADDABLE: Final = ("temporary_reason", "live_line", "live_line_reason", "transfer", "transfer_reason")
PROBLEM: Final = _("Problem")  # the heading of the column that says what is wrong
_MANY: Final = frozenset({"elements"})  # several columns may name equipment


# in brackets these are no unit but half of what the heading says: 停电时间（起）
_TELLING: Final = frozenset({"起", "止", "自", "至", "从", "到", "开始", "结束", "from", "to", "until", "start", "end"})


def plain(heading: str) -> str:
    """A heading without what varies from file to file: width, case, spaces, punctuation, units in brackets."""
    text = unicodedata.normalize("NFKC", heading).lower()
    text = re.sub(r"[(\[【〔<](.*?)[)\]】〕>]", lambda found: found[1] if found[1].strip() in _TELLING else "", text)
    return re.sub(r"[\W_]+", "", text)


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    known: dict[str, str] = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            known |= {plain(str(field.label)): field.name for field in FIELDS}
    for field in FIELDS:
        known |= dict.fromkeys(field.names, field.name)
    return known


@lru_cache(maxsize=4096)
def field_of(heading: str) -> str:
    """The field that a heading names, or nothing. Of merged headings, joined by line breaks, the last says most."""
    known = _known()
    whole = plain(heading)
    if whole in known:
        return known[whole]
    last = plain(heading.rpartition("\n")[2])
    if last in known:
        return known[last]
    if any(other in whole for other in _OTHERS):
        return ""
    # 10kV停电线路名称: the longest name that stands in the heading; in English a part of a word says nothing
    inside = [name for name in known if len(name) >= 4 and name in whole and not name.isascii()]
    return known[max(inside, key=len)] if inside else ""


def guess(headings: Sequence[str]) -> dict[int, str]:
    """What the columns, counted from 0, mean where their headings are known; of two the same, the first."""
    mapping: dict[int, str] = {}
    taken: set[str] = set()
    for column, heading in enumerate(headings):
        name = field_of(heading)
        if name and (name not in taken or name in _MANY):
            mapping[column] = name
            taken.add(name)
    return mapping


def as_remembered(headings: Sequence[str], known: Mapping[str, str]) -> dict[int, str]:
    """The same by what somebody once said: ``known`` is a plain heading -> its field, or nothing if it is ignored."""
    guessed = guess(headings)
    mapping: dict[int, str] = {}
    for column, heading in enumerate(headings):
        name = known.get(plain(heading), guessed.get(column, ""))
        if name and (name not in mapping.values() or name in _MANY):
            mapping[column] = name
    return mapping


def to_remember(headings: Sequence[str], mapping: Mapping[int, str]) -> dict[str, str]:
    """What ``as_remembered`` wants to know later; of two columns with one heading the one that means something."""
    known = {plain(heading): "" for heading in headings}
    return known | {plain(headings[column]): name for column, name in mapping.items()}


def is_enough(mapping: Mapping[int, str]) -> bool:
    """Can a work be made of these columns: a place, and when it begins and ends?"""
    fields = set(mapping.values())
    ends = fields & {"ends_at", "hours"}
    return bool(fields.intersection(PLACES) and ("window" in fields or ("starts_at" in fields and ends)))


def fingerprint(headings: Sequence[str]) -> str:
    """The same for every file with these headings, in this order, and for the one that was handed back."""
    own = [plain(heading) for heading in headings if plain(heading) not in _ours()]
    return hashlib.sha256("\x1f".join(own).encode()).hexdigest()


@lru_cache(maxsize=1)
def _ours() -> frozenset[str]:
    """The headings of the columns that are added to a workbook when it is handed back."""
    ours: set[str] = set()
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            ours |= {plain(str(PROBLEM)), *(plain(str(BY_NAME[name].label)) for name in ADDABLE)}
    return frozenset(ours)
