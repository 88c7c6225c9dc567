"""A city small enough to know by heart.

Two feeders leave one substation and meet at an open tie switch::

    S1 > bus 1 > F1 > breaker B1 > section L11 > section L12 > T12
                                             \\> T11      \\> tie switch K (normally open)
    S1 > bus 2 > F2 > breaker B2 > section L21 > T21         |
                                             \\--------------/
                                             \\> fuse U22 > T22

Chen lives behind T11 and has a shop behind T21. Life support hangs on T12, the hospital on T22.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from grid.forest import network_rebuild
from grid.models import (
    AreaClass,
    Branch,
    ContactKind,
    ContactPoint,
    Customer,
    ElementKind,
    GridElement,
    GridTie,
    ServicePoint,
)


@dataclass
class SmallCity:
    bureau: Branch
    east: Branch  # owns feeder 1
    west: Branch  # owns feeder 2
    elements: dict[str, GridElement] = field(default_factory=dict)  # by the names of the drawing
    customers: dict[str, Customer] = field(default_factory=dict)  # chen, life_support, hospital, ...
    service_points: dict[str, ServicePoint] = field(default_factory=dict)  # by code

    def id(self, name: str) -> int:
        return self.elements[name].pk

    def ids(self, *names: str) -> list[int]:
        return [self.elements[name].pk for name in names]


_ELEMENTS = [  # name, kind, parent, branch, normally open
    ("S1", ElementKind.SUBSTATION, None, "bureau", False),
    ("BUS1", ElementKind.BUSBAR, "S1", "bureau", False),
    ("BUS2", ElementKind.BUSBAR, "S1", "bureau", False),
    ("F1", ElementKind.FEEDER, "BUS1", "east", False),
    ("B1", ElementKind.BREAKER, "F1", "east", False),
    ("L11", ElementKind.SECTION, "B1", "east", False),
    ("T11", ElementKind.TRANSFORMER, "L11", "east", False),
    ("L12", ElementKind.SECTION, "L11", "east", False),
    ("T12", ElementKind.TRANSFORMER, "L12", "east", False),
    ("K", ElementKind.SWITCH, "L12", "east", True),
    ("F2", ElementKind.FEEDER, "BUS2", "west", False),
    ("B2", ElementKind.BREAKER, "F2", "west", False),
    ("L21", ElementKind.SECTION, "B2", "west", False),
    ("T21", ElementKind.TRANSFORMER, "L21", "west", False),
    ("U22", ElementKind.FUSE, "L21", "west", False),
    ("T22", ElementKind.TRANSFORMER, "U22", "west", False),
]

_CUSTOMERS = [  # name, account, 姓名, initials, class, importance, language, phone, e-mail
    ("chen", "1000000001", "陈静", "cj", "residential", "normal", "zh-hans", "+8613800138001", ""),
    ("wang", "1000000002", "王伟", "ww", "residential", "normal", "zh-hans", "+8613800138002", "wang@example.com"),
    ("life_support", "1000000003", "李桂英", "lgy", "residential", "life_support", "zh-hans", "+8613800138003", ""),
    ("smith", "1000000004", "Anna Smith", "as", "commercial", "normal", "en", "+8613800138004", "anna@example.com"),
    ("hospital", "1000000005", "市第一人民医院", "sdyrmyy", "public", "important_1", "zh-hans", "+8613800138005", ""),
]

_SERVICE_POINTS = [  # code, meter, customer, transformer, address, kW
    ("SP0001", "M0001", "chen", "T11", "东风路12号3单元501室", 1.5),
    ("SP0002", "M0002", "wang", "T11", "东风路12号3单元502室", 2.0),
    ("SP0003", "M0003", "life_support", "T12", "建设路8号1单元101室", 1.0),
    ("SP0004", "M0004", "chen", "T21", "人民路66号商铺", 6.0),
    ("SP0005", "M0005", "smith", "T21", "人民路68号商铺", 8.0),
    ("SP0006", "M0006", "hospital", "T22", "人民路100号", 120.0),
]


def small_city() -> SmallCity:
    """Write the city of this module's drawing and work out its trees."""
    bureau = Branch.objects.create(code="010", name="铜城供电局", name_en="Tongcheng bureau")
    city = SmallCity(
        bureau=bureau,
        east=Branch.objects.create(code="0101", name="城东供电分局", name_en="East branch", parent=bureau),
        west=Branch.objects.create(
            code="0102", name="城西供电分局", name_en="West branch", parent=bureau, area_class=AreaClass.RURAL
        ),
    )
    branches = {"bureau": city.bureau, "east": city.east, "west": city.west}
    for i, (name, kind, parent, branch, normally_open) in enumerate(_ELEMENTS):
        city.elements[name] = GridElement.objects.create(
            code=name,
            name=f"{name}号设备",
            kind=kind,
            parent=city.elements[parent] if parent else None,
            branch=branches[branch],
            is_source=parent is None,
            normally_open=normally_open,
            is_open=normally_open,
            lon=109.18 + 0.002 * i,
            lat=27.71 + 0.001 * (i % 5),
        )
    low, high = sorted([city.id("K"), city.id("L21")])
    GridTie.objects.create(a_id=low, b_id=high)
    for name, account, title, initials, customer_class, importance, language, phone, email in _CUSTOMERS:
        customer = Customer.objects.create(
            account_number=account,
            name=title,
            initials=initials,
            customer_class=customer_class,
            importance=importance,
            language=language,
            branch=city.west if name in ("smith", "hospital") else city.east,
        )
        city.customers[name] = customer
        phone_create(customer, phone)
        if email:
            ContactPoint.objects.create(customer=customer, kind=ContactKind.EMAIL, value=email)
    for code, meter, customer_name, transformer, address, kw in _SERVICE_POINTS:
        element = city.elements[transformer]
        city.service_points[code] = ServicePoint.objects.create(
            code=code,
            meter_number=meter,
            customer=city.customers[customer_name],
            element=element,
            branch_id=element.branch_id,
            address=address,
            contracted_kw=2 * kw,
            average_kw=kw,
            lon=element.lon,
            lat=element.lat,
        )
    network_rebuild()
    for rows in (city.elements.values(), city.service_points.values(), [city.bureau, city.east, city.west]):
        for row in rows:
            row.refresh_from_db()
    return city


def phone_create(customer: Customer, number: str) -> ContactPoint:
    """A telephone in E.164, searchable by its last digits."""
    return ContactPoint.objects.create(
        customer=customer, kind=ContactKind.PHONE, value=number, reversed_digits=number.lstrip("+")[::-1]
    )
