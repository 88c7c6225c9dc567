"""A believable city in a made-up Chinese prefecture, the same every time for the same seed.

云岭市 (Yunling) has urban, rural and remote branches, 110 kV stations with 35 kV stations behind them, 10 kV
feeders in sections with switches and fuses, open ties between neighbouring feeders, 台区 transformers, and the
people behind them. Nobody in it exists: numbers and names are drawn, e-mail addresses end in example.com.
"""

# ruff: noqa: SIM905 - long lists of words read better as text

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

import numpy as np

from grid.importers.names import initials
from grid.importers.staging import Staging
from grid.models import AreaClass, ElementKind

PER_TRANSFORMER = (50, 111)  # service points behind one transformer
PER_FEEDER = (11, 22)  # transformers on one feeder
FEEDERS_PER_STATION = 5
TRANSFORMERS_PER_BLOCK = 64
CENTRE = (108.62, 27.94)

_SURNAMES = list(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔"
    "谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙史黎贺顾毛郝龚邵万覃武钱戴严莫孔向常汤"
)
_GIVEN = list(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国文辉力海波宁贵福生龙元全胜学祥才发武新利清飞彬富顺信"
    "子成康星光天达安岩中茂进林有坚和彪博诚先敬震振壮会思群豪心邦承乐绍功松善厚庆民友裕河哲江浩亮政谦亨奇固之轮翰朗"
    "伯宏言若鸣朋斌梁栋维启克伦翔旭鹏泽晨辰士以致树炎德行时泰盛雄琛钧冠策腾楠榕风航弘倩雪琳婷慧莹梅怡佳欣悦"
)
_ENGLISH = ["Anna Smith", "Peter Jones", "Maria Garcia", "David Miller", "Laura Rossi", "Tom Baker", "Ivan Petrov"]
_STREETS = (
    "东风路 建设路 人民路 解放路 新华路 中山路 和平路 胜利路 滨河路 迎宾大道 文化路 工农路 青年路 "
    "环城南路 环城北路 锦江路 梵净路 桃源路 学府路 站前路 金滩路 沿江大道 南门街 北关街 西外街 "
    "东门巷 花果路 体育路 园丁路 凤凰路"
).split()
_COMPOUNDS = (
    "锦绣花园 阳光小区 金鑫家园 御景苑 滨江华府 翠屏小区 龙腾新城 凤凰城 幸福里 丽景花园 明珠花园 "
    "桂花园 丹桂苑 金色家园 水岸名都 世纪新城 书香门第 紫荆苑 铁路小区 电力小区 教师新村 供销社宿舍 "
    "粮食局宿舍 机械厂宿舍"
).split()
_TOWNS = (
    "坝黄镇 云场坪镇 漾头镇 桐木坪乡 瓦屋乡 滑石乡 和平乡 大坪乡 鱼塘乡 黄道乡 六龙山乡 茶店镇 "
    "敖寨乡 下溪乡 谢桥镇 川硐镇"
).split()
_VILLAGES_A = list("大小上下前后东西老新石木岩溪龙凤马牛")
_VILLAGES_B = ("湾村 坪村 寨村 田村 塘村 坡村 冲村 沟村 岭村 坝村 井村 桥村").split()
_STATIONS = (
    "城东 城南 城西 城北 河滨 桃园 金盘 马岩 灯塔 川硐 茶店 谢桥 坝黄 漾头 云场 黄道 龙田 "
    "松桃 平头 盘石 孟溪 大兴 寨英 乌罗"
).split()
_FEEDERS = list("东西南北中甲乙丙丁安宁平昌隆兴旺福禄寿喜金银铜铁江河湖海山川松竹梅兰菊荷柳杏桃李")
_SHOPS = ("超市 餐馆 药店 理发店 五金店 服装店 宾馆 茶楼 网吧 汽修厂").split()
_WORKS = ("水泥厂 机砖厂 木材加工厂 食品厂 纺织厂 锰业公司 包装厂 机械厂").split()
_FARMS = ("养殖场 茶场 提灌站 果园 蔬菜基地").split()
_PUBLIC = ("人民医院 中心小学 第一中学 自来水厂 派出所 卫生院 污水处理厂 养老院 汽车站 广播电视台").split()

_CLASSES = ("residential", "commercial", "industrial", "agricultural", "public")
_CLASS_SHARES = {
    AreaClass.URBAN: (0.87, 0.10, 0.008, 0.004, 0.018),
    AreaClass.RURAL: (0.90, 0.05, 0.012, 0.025, 0.013),
    AreaClass.REMOTE: (0.93, 0.02, 0.005, 0.037, 0.008),
}
_CLASS_KW = {"residential": 0.45, "commercial": 2.4, "industrial": 38.0, "agricultural": 3.0, "public": 14.0}

ELEMENT_COLUMNS = (
    "code", "kind", "name", "branch", "parent", "ties", "is_source", "normally_open", "lon", "lat", "geometry",
)  # fmt: skip
CUSTOMER_COLUMNS = (
    "account_number", "name", "initials", "customer_class", "importance", "language", "branch", "phone", "email",
)  # fmt: skip
POINT_COLUMNS = (
    "code", "meter_number", "account_number", "element", "address", "lon", "lat", "contracted_kw", "average_kw",
)  # fmt: skip


@dataclass(frozen=True)
class _Area:
    code: str
    name: str
    name_en: str
    area_class: AreaClass
    lon: float
    lat: float


@dataclass(frozen=True)
class _Transformer:
    code: str
    branch: str
    area_class: AreaClass
    lon: float
    lat: float
    place: str  # compound, street or village that its addresses begin with
    size: int


@dataclass
class _City:
    prefix: str
    areas: list[_Area] = field(default_factory=list)
    transformers: list[_Transformer] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)  # elements

    def add(
        self,
        code: str,
        kind: ElementKind,
        name: str,
        branch: str,
        *,
        parent: str = "",
        ties: str = "",
        is_source: bool = False,
        normally_open: bool = False,
        at: tuple[float, float] | None = None,
        line: list[tuple[float, float]] | None = None,
    ) -> str:
        lon, lat = (f"{at[0]:.6f}", f"{at[1]:.6f}") if at else ("", "")
        geometry = json.dumps([[round(x, 6), round(y, 6)] for x, y in line]) if line else ""
        source, is_open = ("yes" if is_source else "no"), ("yes" if normally_open else "no")
        self.rows.append((code, kind, name, branch, parent, ties, source, is_open, lon, lat, geometry))
        return code


def stage(staging: Staging, *, service_points: int, seed: int, prefix: str) -> None:
    """Fill the staging with a city of so many service points."""
    city = _network(service_points=service_points, rng=np.random.default_rng([seed, 0]), prefix=prefix)
    staging.progress(5, "reading")
    staging.copy_rows(
        "branches",
        file="",
        columns=["code", "name", "name_en", "parent", "area_class"],
        rows=[
            (prefix, "云岭供电局", "Yunling bureau", "", "urban"),
            *((a.code, a.name, a.name_en, prefix, a.area_class) for a in city.areas),
        ],
    )
    staging.copy_rows("elements", file="", columns=ELEMENT_COLUMNS, rows=city.rows)
    staging.begin("customers", "", CUSTOMER_COLUMNS)
    staging.begin("service_points", "", POINT_COLUMNS)
    number = 0
    for block, start in enumerate(range(0, len(city.transformers), TRANSFORMERS_PER_BLOCK)):
        transformers = city.transformers[start : start + TRANSFORMERS_PER_BLOCK]
        customers, points = _people(
            transformers, first=number, rng=np.random.default_rng([seed, 1, block]), prefix=prefix
        )
        staging.copy_chunk("customers", CUSTOMER_COLUMNS, customers)
        staging.copy_chunk("service_points", POINT_COLUMNS, points)
        number += sum(t.size for t in transformers)
        staging.progress(5 + 30 * start // len(city.transformers), "reading")


# --- the network --------------------------------------------------------------------------------------


def _network(*, service_points: int, rng: np.random.Generator, prefix: str) -> _City:
    city = _City(prefix)
    sizes: list[int] = []
    left = service_points
    while left > 0:
        size = min(int(rng.integers(*PER_TRANSFORMER)), left)
        sizes.append(size)
        left -= size
    feeders: list[list[int]] = []
    while sizes:
        take = int(rng.integers(*PER_FEEDER))
        feeders.append(sizes[:take])
        sizes = sizes[take:]
    stations = max(1, math.ceil(len(feeders) / FEEDERS_PER_STATION))
    city.areas = _areas(min(60, stations), rng, prefix)
    ends: list[str] = []  # the last section of each feeder, where it can meet its neighbour
    owners: list[str] = []
    spots: list[tuple[float, float]] = []
    high_voltage: list[str] = []
    for station in range(stations):
        area = city.areas[min(station * len(city.areas) // stations, len(city.areas) - 1)]
        bus, at = _station(city, station, area, high_voltage, rng)
        mine = range(station * FEEDERS_PER_STATION, min((station + 1) * FEEDERS_PER_STATION, len(feeders)))
        for place, feeder in enumerate(mine):
            end, spot = _feeder(
                city, feeder, feeders[feeder], area, bus[place % 2], at, 2 * math.pi * place / len(mine), rng
            )
            ends.append(end)
            owners.append(area.code)
            spots.append(spot)
    for feeder in range(len(ends) - 1):  # 联络开关: every feeder meets the next one at its far end
        code = f"{prefix}K{feeder + 1:04d}"
        name = f"10kV{feeder + 1:03d}-{feeder + 2:03d}联络开关"
        city.add(
            code, ElementKind.SWITCH, name, owners[feeder],
            parent=ends[feeder], ties=ends[feeder + 1], normally_open=True, at=spots[feeder],
        )  # fmt: skip
    return city


def _areas(count: int, rng: np.random.Generator, prefix: str) -> list[_Area]:
    areas = []
    for n in range(count):
        share = (n + 0.5) / count
        area_class = AreaClass.URBAN if share < 0.5 else AreaClass.RURAL if share < 0.85 else AreaClass.REMOTE
        distance = {AreaClass.URBAN: 0.05, AreaClass.RURAL: 0.28, AreaClass.REMOTE: 0.5}[area_class]
        angle = float(rng.uniform(0, 2 * math.pi))
        stem = _STATIONS[n % len(_STATIONS)] + ("" if n < len(_STATIONS) else str(n // len(_STATIONS) + 1))
        areas.append(
            _Area(
                code=f"{prefix}{n + 1:02d}",
                name=f"{stem}供电{'分局' if area_class == AreaClass.URBAN else '所'}",
                name_en=f"Branch {n + 1}",
                area_class=area_class,
                lon=CENTRE[0] + distance * math.cos(angle),
                lat=CENTRE[1] + 0.8 * distance * math.sin(angle),
            )
        )
    return areas


def _station(
    city: _City, station: int, area: _Area, high_voltage: list[str], rng: np.random.Generator
) -> tuple[tuple[str, str], tuple[float, float]]:
    """A 110 kV station, or in the country a 35 kV one fed from it; two busbars each."""
    at = (area.lon + float(rng.normal(0, 0.012)), area.lat + float(rng.normal(0, 0.01)))
    code = f"{city.prefix}S{station + 1:03d}"
    name = _STATIONS[station % len(_STATIONS)] + (
        "" if station < len(_STATIONS) else f"{station // len(_STATIONS) + 1}号"
    )
    if area.area_class == AreaClass.URBAN or not high_voltage:
        city.add(code, ElementKind.SUBSTATION, f"110kV{name}变电站", area.code, is_source=True, at=at)
        high_voltage.append(code)
    else:
        feeding = high_voltage[station % len(high_voltage)]
        line = city.add(f"{code}-35", ElementKind.SECTION, f"35kV{name}线", area.code, parent=feeding, at=at)
        city.add(code, ElementKind.SUBSTATION, f"35kV{name}变电站", area.code, parent=line, at=at)
    first = city.add(f"{code}-M1", ElementKind.BUSBAR, f"{name}站10kVⅠ段母线", area.code, parent=code, at=at)
    second = city.add(f"{code}-M2", ElementKind.BUSBAR, f"{name}站10kVⅡ段母线", area.code, parent=code, at=at)
    return (first, second), at


def _feeder(
    city: _City,
    number: int,
    sizes: list[int],
    area: _Area,
    bus: str,
    at: tuple[float, float],
    angle: float,
    rng: np.random.Generator,
) -> tuple[str, tuple[float, float]]:
    """Head, breaker, three or four sections with switches between them, laterals behind fuses, transformers."""
    code = f"{city.prefix}F{number + 1:04d}"
    stem = _FEEDERS[number % len(_FEEDERS)] + _FEEDERS[(number * 7 + number // len(_FEEDERS)) % len(_FEEDERS)]
    name = f"10kV{stem}线"
    city.add(code, ElementKind.FEEDER, name, area.code, parent=bus, at=at)
    last = city.add(f"{code}-B", ElementKind.BREAKER, f"{name}出线断路器", area.code, parent=code, at=at)
    reach = {AreaClass.URBAN: 0.004, AreaClass.RURAL: 0.011, AreaClass.REMOTE: 0.02}[area.area_class]
    sections = max(1, round(len(sizes) / 5))
    spot, transformer = at, 0
    for section in range(sections):
        if section:
            last = city.add(
                f"{code}-Q{section}", ElementKind.SWITCH, f"{name}{section}号分段开关", area.code, parent=last, at=spot
            )
        start = spot
        angle += float(rng.normal(0, 0.25))
        spot = (start[0] + reach * math.cos(angle), start[1] + 0.9 * reach * math.sin(angle))
        middle = ((start[0] + spot[0]) / 2 + float(rng.normal(0, reach / 12)), (start[1] + spot[1]) / 2)
        last = city.add(
            f"{code}-L{section + 1}", ElementKind.SECTION, f"{name}{section + 1}段", area.code,
            parent=last, at=middle, line=[start, middle, spot],
        )  # fmt: skip
        here = sizes[len(sizes) * section // sections : len(sizes) * (section + 1) // sections]
        lateral = ""
        for i, size in enumerate(here):
            transformer += 1
            side = (middle[0] + float(rng.normal(0, reach / 4)), middle[1] + float(rng.normal(0, reach / 4)))
            if i == 2:  # from the third on they hang on a lateral
                fuse = city.add(
                    f"{code}-U{section + 1}", ElementKind.FUSE, f"{name}{section + 1}段支线跌落熔断器", area.code,
                    parent=last, at=middle,
                )  # fmt: skip
                lateral = city.add(
                    f"{code}-Z{section + 1}", ElementKind.SECTION, f"{name}{section + 1}段支线", area.code,
                    parent=fuse, at=side, line=[middle, side],
                )  # fmt: skip
            place = _place(area.area_class, rng)
            full = city.add(
                f"{code}-T{transformer:02d}", ElementKind.TRANSFORMER, f"{place}{transformer}号台区", area.code,
                parent=lateral or last, at=side,
            )  # fmt: skip
            city.transformers.append(_Transformer(full, area.code, area.area_class, side[0], side[1], place, size))
    return last, spot


def _place(area_class: AreaClass, rng: np.random.Generator) -> str:
    if area_class == AreaClass.URBAN:
        street = f"{_STREETS[int(rng.integers(len(_STREETS)))]}{int(rng.integers(1, 300))}号"
        return street + (_COMPOUNDS[int(rng.integers(len(_COMPOUNDS)))] if rng.random() < 0.7 else "")
    village = _VILLAGES_A[int(rng.integers(len(_VILLAGES_A)))] + _VILLAGES_B[int(rng.integers(len(_VILLAGES_B)))]
    return _TOWNS[int(rng.integers(len(_TOWNS)))] + village


# --- the people ---------------------------------------------------------------------------------------


def _people(transformers: list[_Transformer], *, first: int, rng: np.random.Generator, prefix: str) -> tuple[str, str]:
    """Customers and service points of some transformers, as tab-separated text."""
    n = sum(t.size for t in transformers)
    surname = rng.integers(len(_SURNAMES), size=n).tolist()
    given = rng.integers(len(_GIVEN), size=(n, 2)).tolist()
    chance = rng.random(size=(n, 6))
    same_customer = (chance[:, 0] < 0.03).tolist()  # a flat and its garage, a shop with two meters
    same_phone = (chance[:, 1] < 0.02).tolist()  # a landlord
    has_email = (chance[:, 2] < 0.08).tolist()
    foreign = (chance[:, 3] < 0.004).tolist()
    rank = chance[:, 4].tolist()
    short_name = (chance[:, 5] < 0.3).tolist()
    phone_tail = rng.integers(100_000_000, 1_000_000_000, size=n).tolist()
    spread = rng.normal(0, 0.0006, size=(n, 2)).round(6)
    load = rng.lognormal(0, 0.5, size=n)
    kinds = rng.random(size=n)
    pick = rng.integers(1_000, size=n).tolist()
    customers: list[str] = []
    points: list[str] = []
    i = 0
    account, phone = "", ""
    for transformer in transformers:
        shares = np.cumsum(_CLASS_SHARES[transformer.area_class])
        classes = np.minimum(np.searchsorted(shares, kinds[i : i + transformer.size]), 4).tolist()
        at = (spread[i : i + transformer.size] + np.array([transformer.lon, transformer.lat])).tolist()
        for j, (class_number, (lon, lat)) in enumerate(zip(classes, at, strict=True)):
            customer_class = _CLASSES[class_number]
            number = first + i
            if not (same_customer[i] and j):
                account = f"{prefix}{number + 1:09d}"
                if not (same_phone[i] and j):
                    phone = f"+861{3 + phone_tail[i] % 7}{phone_tail[i]:09d}"
                language = "zh-hans"
                if customer_class == "residential":
                    name = _SURNAMES[surname[i]] + _GIVEN[given[i][0]] + ("" if short_name[i] else _GIVEN[given[i][1]])
                    if foreign[i]:
                        name, language = _ENGLISH[pick[i] % len(_ENGLISH)], "en"
                else:
                    name = _organisation(customer_class, transformer.place, _SURNAMES[surname[i]], pick[i])
                importance = _importance(customer_class, rank[i])
                email = f"u{account}@example.com" if has_email[i] else ""
                customers.append(
                    f"{account}\t{name}\t{initials(name)}\t{customer_class}\t{importance}\t{language}"
                    f"\t{transformer.branch}\t{phone}\t{email}\n"
                )
            kw = _CLASS_KW[customer_class] * float(load[i])
            points.append(
                f"SP{prefix}{number + 1:08d}\t{prefix}7{number + 1:08d}\t{account}\t{transformer.code}"
                f"\t{_address(transformer, customer_class, j, pick[i])}\t{lon:.6f}\t{lat:.6f}"
                f"\t{max(4, round(kw * 6))}\t{kw:.3f}\n"
            )
            i += 1
    return "".join(customers), "".join(points)


def _organisation(customer_class: str, place: str, surname: str, pick: int) -> str:
    area = place[:2]
    if customer_class == "commercial":
        return f"{area}{surname}记{_SHOPS[pick % len(_SHOPS)]}"
    if customer_class == "industrial":
        return f"云岭市{area}{_WORKS[pick % len(_WORKS)]}"
    if customer_class == "agricultural":
        return f"{area}{surname}家{_FARMS[pick % len(_FARMS)]}"
    return f"云岭市{area}{_PUBLIC[pick % len(_PUBLIC)]}"


def _importance(customer_class: str, rank: float) -> str:
    if customer_class == "residential":
        return "life_support" if rank < 0.0006 else "normal"
    if customer_class == "public":
        return "important_1" if rank < 0.06 else "important_2" if rank < 0.25 else "normal"
    if customer_class == "industrial":
        return "important_1" if rank < 0.02 else "important_2" if rank < 0.12 else "normal"
    return "normal"


def _address(transformer: _Transformer, customer_class: str, j: int, pick: int) -> str:
    if transformer.area_class != AreaClass.URBAN:
        return f"{transformer.place}{pick % 12 + 1}组{j + 1}号"
    if customer_class != "residential":
        return f"{transformer.place}{j + 1}号商铺" if customer_class == "commercial" else transformer.place
    building, rest = divmod(j, 36)
    unit, flat = divmod(rest, 12)
    return f"{transformer.place}{building + 1}栋{unit + 1}单元{flat // 2 + 1}{flat % 2 + 1:02d}室"
