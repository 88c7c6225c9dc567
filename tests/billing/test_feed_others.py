"""Forecasts and complaints arrive: the newest forecast counts, a complaint is kept once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import CutComplaint, TemperatureForecast
from billing_cutoffs.services.feed import complaints_receive, forecasts_receive
from tests.billing.told import SMITH, WANG
from tests.billing.world import debtor
from tests.factories.grid import SmallCity

BILLING = Actor.system("billing")


def forecast(branch: str = "0101", day: date | None = None, **more: Any) -> dict[str, Any]:
    day = day or timezone.localdate()
    return {
        "branch": branch, "day": day.isoformat(), "low": -3, "high": "8.5", "issued_at": timezone.now().isoformat(),
        **more,
    }  # fmt: skip


def foretold(*items: Any, actor: Actor = BILLING) -> list[str]:
    return [one.outcome for one in forecasts_receive(actor=actor, source_system="weather", items=items)]


def test_a_newer_forecast_replaces_and_an_older_one_is_stale(city: SmallCity) -> None:
    first = forecast(low=-3)
    assert foretold(first) == ["applied"]
    assert foretold(forecast(low=-12)) == ["applied"]
    assert foretold(first) == ["stale_forecast"]

    kept = TemperatureForecast.objects.get()
    assert (kept.branch, kept.low, kept.high, kept.source_system) == (city.east, -12, 8.5, "weather")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"low": 9}, "bad_temperature"),
        ({"low": -100}, "bad_temperature"),
        ({"high": 75}, "bad_temperature"),
        ({"high": "warm"}, "bad_temperature"),
        ({"high": float("nan")}, "bad_temperature"),
        ({"low": None}, "missing"),
        ({"day": "soon"}, "bad_date"),
        ({"branch": "0999"}, "unknown_branch"),
        ({"issued_at": (timezone.now() + timedelta(hours=1)).isoformat()}, "bad_time"),
    ],
)
def test_a_wrong_forecast_is_refused(city: SmallCity, wrong: dict[str, Any], code: str) -> None:
    assert foretold(forecast() | wrong, forecast("0102")) == [code, "applied"]
    assert TemperatureForecast.objects.get().branch == city.west


def test_another_branchs_weather_is_not_the_clerks(city: SmallCity, ben: Actor) -> None:
    assert foretold(forecast("0102"), actor=ben) == ["unknown_branch"]
    assert foretold(forecast(), forecast(low=0), actor=ben) == ["applied", "duplicate_item"]


def test_a_complaint_is_kept_once(city: SmallCity) -> None:
    account = debtor(city, "SP0002")
    told = {"account_number": WANG, "text": "paid yesterday", "ref": "C1"}

    def complained(*items: Any) -> list[str]:
        return [one.outcome for one in complaints_receive(actor=BILLING, source_system="95598", items=items)]

    assert complained(told, told, {"account_number": SMITH}) == ["applied", "duplicate_item", "unknown_account"]
    assert complained(told, {**told, "text": "x" * 501, "ref": "C2"}) == ["already_known", "bad_text"]
    kept = CutComplaint.objects.get()
    assert (kept.account, kept.text, kept.source_ref, kept.by_name) == (account, "paid yesterday", "C1", "billing")
