"""A day on which nothing stands against a cut, in a world of its own time: what a guard says there is its own doing."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

import standards
from accounts.actor import Actor
from billing_cutoffs.models import (
    Bill,
    BillingAccount,
    CutoffBatch,
    CutoffOrder,
    DebtNotice,
    NoticeStage,
    TemperatureForecast,
)
from grid.models import Branch
from tests.billing import world
from tests.factories.grid import SmallCity

SHANGHAI = ZoneInfo("Asia/Shanghai")
# a Wednesday in March, in the middle of the hours in which a cut may be made, followed by a working day
AT = datetime(2024, 3, 13, 10, 30, tzinfo=SHANGHAI)
OPENS = datetime(2024, 3, 13, 9, 0, tzinfo=SHANGHAI)
CLOSES = datetime(2024, 3, 13, 15, 0, tzinfo=SHANGHAI)


def mild(branch: Branch, *, days: int = 5, at: datetime = AT, low: float = 8, high: float = 17) -> None:
    """Mild weather is forecast for some days from ``at``."""
    for n in range(days):
        TemperatureForecast.objects.create(
            branch=branch,
            day=at.date() + timedelta(days=n),
            low=low,
            high=high,
            issued_at=at - timedelta(hours=2),
        )


def calm_batch(branch: Branch, author: Actor, **facts: Any) -> CutoffBatch:
    """A batch that is being carried out at ``AT``."""
    window = {"opens": OPENS, "window_until": CLOSES, "state": "running", "approved_at": OPENS - timedelta(days=9)}
    return world.batch(branch, author, **{**window, **facts})


def calm_debtor(city: SmallCity, code: str = "SP0001", **facts: Any) -> BillingAccount:
    """The customer of the service point owes 320.00 since 45 days at ``AT``."""
    return calm_down(world.debtor(city, code, **facts))


def calm_down(account: BillingAccount) -> BillingAccount:
    """The debt of an account as it stands at ``AT``."""
    account.oldest_due_on = AT.date() - timedelta(days=45)
    account.statement_at = AT - timedelta(hours=1)
    account.save(update_fields=["oldest_due_on", "statement_at"])
    Bill.objects.filter(account=account).update(due_on=account.oldest_due_on)
    account.cases.update(oldest_due_on=account.oldest_due_on)
    return account


def calm_order(account: BillingAccount, of: CutoffBatch, *, state: str = "warned", **facts: Any) -> CutoffOrder:
    """An order whose turn is at ``AT``: its letter arrived a week before, its last warning an hour before."""
    made = world.order(account, of, state=state, **facts)
    made.scheduled_at = AT
    made.save(update_fields=["scheduled_at"])
    notices = DebtNotice.objects.filter(order=made)
    notices.filter(stage=NoticeStage.LETTER).update(served_at=OPENS - timedelta(days=8))
    notices.filter(stage=NoticeStage.FINAL_WARNING).update(served_at=AT - timedelta(hours=1))
    return made


def local(day: int, hour: int = 0, minute: int = 0, *, month: int = 3) -> datetime:
    """A time of that March by the branch's clock."""
    return datetime.combine(AT.date().replace(month=month, day=day), time(hour, minute), SHANGHAI)


def any_day_pack(folder: Path) -> str:
    """Write a rule pack that knows neither calendar nor weather nor hours, for what happens today; its name."""
    rules = standards.pack("cn-sgcc").model_dump(mode="json")
    rules["name"] = "any-day"
    rules["arrears"]["cut_hours"]["value"] = {"begins": "00:00", "ends": "23:59:59.999999"}
    rules["arrears"].pop("no_cut_weekdays")
    for name in ("non_working_days", "eve"):
        rules["protections"][name]["value"] = False
    for name in ("cold", "heat"):
        rules["protections"].pop(name)
    (folder / "any-day.yaml").write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
    return "any-day"
