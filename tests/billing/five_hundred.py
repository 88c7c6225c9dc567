"""Five hundred debtors of one bureau: most may be cut; every protection and every trap has a few lines of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml
from django.utils import timezone

import standards
from billing_cutoffs.services import feed
from billing_cutoffs.services.holds import holds_receive
from grid.forest import network_rebuild
from grid.models import Branch, CalendarDay, ContactPoint, Customer, ElementKind, GridElement, ServicePoint
from standards import loader
from tests.billing.calm import SHANGHAI
from tests.billing.told import payment
from tests.billing.world import CLOCK
from tests.factories.grid import SmallCity

DAY: Final = timedelta(days=1)
IN_ALL: Final = 500


@dataclass(frozen=True)
class Case:
    """What becomes of some lines, said beforehand: the protection that holds them to the end, and how they end."""

    lines: int
    holds: str = ""
    state: str = "cancelled"
    reason: str = "window_missed"


HOLDS: Final = ("medical", "keep_power", "dispute", "promise", "other")
# a station with a rule of its own that bars the day, the hour or the weather
STATIONS: Final = (
    "cold", "heat", "forecast_unknown", "winter", "holiday", "weekend", "eve", "weekday", "outside_hours",
)  # fmt: skip

CASES: Final[dict[str, Case]] = {
    # known when the batch is proposed
    **{code: Case(2, code) for code in ("life_support", "important", "place_unknown", "shared_meter")},
    **{code: Case(2, code) for code in (*HOLDS, "payment_in_flight", "statement_stale")},
    **{code: Case(2, code) for code in STATIONS},
    # between handing in and approval
    "paid_early": Case(3, reason="paid"),
    "small_debt": Case(2, "small_debt"),
    "too_early": Case(2, "too_early"),
    # after approval: the traps
    "letter a day too late": Case(1, "notice_missing"),
    "warning too late": Case(1, "warning_missing"),
    "paid seconds before the command": Case(2, reason="paid"),
    "payment in flight since a second": Case(1, "payment_in_flight"),
    "two households on one meter": Case(1, "shared_meter"),
    "fault since a second": Case(3, "active_outage"),
    "life support since a second": Case(1, "life_support"),
    "ordered when the clock jumps": Case(3),
    "waiting when the clock jumps": Case(2),
    "paid before the meter answers": Case(1, state="reconnected", reason=""),
}
MAY_BE_CUT: Final = Case(IN_ALL - sum(case.lines for case in CASES.values()), state="disconnected", reason="")
ALL: Final = {**CASES, "ordinary": MAY_BE_CUT}


@dataclass
class Debtors:
    """Account numbers by their case, and what billing says of each."""

    city: SmallCity
    of: dict[str, list[str]] = field(default_factory=dict)
    bills: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # account -> (days overdue, amount)

    def case_of(self, account: str) -> str:
        return next(name for name, accounts in self.of.items() if account in accounts)

    def billed(self, *, without: Iterable[str] = (), as_of: datetime | None = None) -> None:
        """Billing states everybody, as it does every night."""
        states(*[self.statement(number, as_of) for number in self.bills if number not in set(without)])

    def statement(self, number: str, as_of: datetime | None = None) -> dict[str, Any]:
        today = timezone.now().astimezone(SHANGHAI).date()
        return {
            "account_number": number,
            "as_of": (as_of or timezone.now()).isoformat(),
            "has_remote_switch": True,
            "bills": [
                {"number": f"{number}-{days}", "due_on": (today - days * DAY).isoformat(), "open_amount": amount}
                for days, amount in self.bills[number]
            ],
        }


def five_hundred(city: SmallCity, folder: Path, *, opens: datetime) -> Debtors:
    """Write the debtors with their places, telephones, holds and stations, and what billing says of them."""
    debtors = Debtors(city)
    stations = _stations(city, folder, opens.date())
    element = GridElement.objects.create(
        code="TX", name="TX号设备", kind=ElementKind.TRANSFORMER, parent=city.elements["L11"], branch=city.east
    )
    number = 0
    for name, case in ALL.items():
        debtors.of[name] = [f"5{number + n:09d}" for n in range(case.lines)]
        number += case.lines
        transformers = [element] if name == "fault since a second" else [city.elements["T11"], city.elements["T21"]]
        _people(debtors.of[name], stations.get(name, city.east), transformers)
        debtors.bills |= {account: [(45, "320.00")] for account in debtors.of[name]}
    _made_different(debtors)
    network_rebuild()
    stale = debtors.of["statement_stale"]
    debtors.billed(without=stale)
    states(*[debtors.statement(account, timezone.now() - 8 * DAY) for account in stale])
    _protected(debtors, opens)
    return debtors


def _stations(city: SmallCity, folder: Path, day: date) -> dict[str, Branch]:
    """One station for each bar of the day; ``day`` is a Saturday."""
    rules: dict[str, tuple[str, str, Any]] = {
        "holiday": ("protections", "non_working_days", True),
        "weekend": ("protections", "non_working_days", True),
        "eve": ("protections", "eve", True),
        "outside_hours": ("arrears", "cut_hours", {"begins": "20:00", "ends": "21:00"}),
        "weekday": ("arrears", "no_cut_weekdays", ["saturday"]),
        "winter": ("protections", "winter", {"first": "01-01", "final": "12-31"}),
        "cold": ("protections", "cold", -4.0),
        "heat": ("protections", "heat", 35.0),
        "forecast_unknown": ("protections", "cold", -4.0),
    }
    units = {"weekday": "weekdays", "winter": "month-day", "cold": "°C", "heat": "°C", "forecast_unknown": "°C"}
    stations = {}
    for n, (code, (section, name, value)) in enumerate(rules.items()):
        pack = standards.pack(city.bureau.rule_pack).model_dump(mode="json")
        cited = {**pack["arrears"]["cut_hours"], "unit": units[code]} if code in units else pack[section][name]
        pack["name"] = f"station-{n}"
        pack[section][name] = {**cited, "value": value}
        (folder / f"station-{n}.yaml").write_text(yaml.safe_dump(pack, allow_unicode=True), encoding="utf-8")
        stations[code] = Branch.objects.create(
            code=f"011{n}", name=f"{n}号供电所", name_en=f"Station {n}", parent=city.bureau, rule_pack=f"station-{n}",
            send_from="00:00", send_until="00:00", phone="95598",
        )  # fmt: skip
    loader.load()
    CalendarDay.objects.create(day=day, kind="holiday", name="节日", branch=stations["holiday"])
    CalendarDay.objects.create(day=day, kind="working", name="调休", branch=stations["eve"])
    return stations


def _people(accounts: list[str], branch: Branch, transformers: list[GridElement]) -> None:
    people = Customer.objects.bulk_create(
        Customer(account_number=account, name=f"欠费户{account[-3:]}", branch=branch) for account in accounts
    )
    ContactPoint.objects.bulk_create(
        ContactPoint(
            customer=customer, kind="phone", value=f"+86137{account[-8:]}", reversed_digits=f"86137{account[-8:]}"[::-1]
        )
        for customer, account in zip(people, accounts, strict=True)
    )
    ServicePoint.objects.bulk_create(
        ServicePoint(
            code=f"P{account}", meter_number=f"M{account}", customer=customer, branch=branch, average_kw=1,
            element=transformers[n % len(transformers)], address=f"和平路{account[-3:]}号",
        )
        for n, (customer, account) in enumerate(zip(people, accounts, strict=True))
    )  # fmt: skip


def _made_different(debtors: Debtors) -> None:
    """What the register knows about some of them."""
    of, people = debtors.of, Customer.objects
    people.filter(account_number__in=of["life_support"]).update(importance="life_support")
    people.filter(account_number__in=of["important"]).update(importance="important_1", customer_class="public")
    debtors.bills |= {account: [(75, "9000.00")] for account in of["important"]}
    debtors.bills |= {account: [(45, "320.00"), (10, "200.00")] for account in of["too_early"]}
    for account in of["place_unknown"]:
        known = ServicePoint.objects.get(code=f"P{account}")
        ServicePoint.objects.create(
            code=f"P{account}-2", meter_number=f"M{account}-2", customer=known.customer, branch=known.branch,
            element=known.element, average_kw=1,
        )  # fmt: skip
    first, other = of["shared_meter"]
    ServicePoint.objects.filter(code=f"P{other}").update(meter_number=f"M{first}")


def _protected(debtors: Debtors, opens: datetime) -> None:
    """What billing, the bank and the weather service say against some cuts."""
    until = (opens + 5 * DAY).isoformat()
    told = [
        {"ref": f"H-{account}", "account_number": account, "kind": kind, "until": until, "reason": "来电"}
        for kind in HOLDS
        for account in debtors.of[kind]
    ]
    assert {one.outcome for one in holds_receive(actor=CLOCK, source_system="crm", items=told)} == {"applied"}
    for account in debtors.of["payment_in_flight"]:
        pays(account, "320.00", status="in_flight")
    forecast(debtors)


def forecast(debtors: Debtors) -> None:
    """Three weeks of frost and of heat, each at its station, as the weather service says it every day."""
    today = timezone.now().astimezone(ZoneInfo(debtors.city.bureau.time_zone)).date()
    stations = {code: Customer.objects.get(account_number=debtors.of[code][0]).branch.code for code in ("cold", "heat")}
    items = [
        {
            "branch": stations[code], "day": (today + n * DAY).isoformat(), "low": low, "high": high,
            "issued_at": timezone.now().isoformat(),
        }
        for code, low, high in (("cold", -9, -2), ("heat", 26, 38))
        for n in range(21)
    ]  # fmt: skip
    outcomes = feed.forecasts_receive(actor=CLOCK, source_system="weather", items=items)
    assert {one.outcome for one in outcomes} == {"applied"}


def states(*statements: dict[str, Any]) -> None:
    outcomes = feed.arrears_receive(actor=CLOCK, source_system="billing", items=list(statements))
    assert {one.outcome for one in outcomes} == {"applied"}, outcomes


def pays(account: str, amount: str, *, status: str = "settled", name: str = "") -> str:
    """The bank says that something was paid; what became of it."""
    item = payment(account, amount, name=name or f"P-{account}-{status}", status=status)
    (outcome,) = feed.payments_receive(actor=CLOCK, source_system="bank", items=[item])
    return outcome.outcome


def saturday(after: datetime) -> datetime:
    """Nine o'clock on the first Saturday that leaves its letters time to arrive."""
    day = after.astimezone(SHANGHAI).date() + 9 * DAY
    return datetime.combine(day + (5 - day.weekday()) % 7 * DAY, time(9), SHANGHAI)
