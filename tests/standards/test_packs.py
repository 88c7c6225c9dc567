"""The shipped rule packs say what the field demands, and nothing unverified pretends to be verified."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

import standards
from accounts.rules import LABELS, SECTIONS, sections_of, text_of
from standards.loader import UnknownPack

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday


def test_four_packs_are_shipped() -> None:
    assert [p.key for p in standards.packs()] == ["au@2026.1", "cn-provincial@2026.1", "cn-sgcc@2026.1", "gb@2026.1"]


def test_state_grid_promises() -> None:
    pack = standards.pack("cn-sgcc")
    assert pack.planned_notice == timedelta(days=7)
    assert pack.temporary_notice == timedelta(hours=24)
    assert [pack.arrival_promise(a) for a in ("urban", "rural", "remote")] == [
        timedelta(minutes=45),
        timedelta(minutes=90),
        timedelta(hours=2),
    ]
    assert pack.fault.restore_urban is not None
    assert pack.fault.restore_urban.delta == timedelta(hours=3)
    assert pack.arrears.reconnect.delta == timedelta(hours=24)
    assert pack.arrears.earliest_cut_after is not None
    assert pack.arrears.earliest_cut_after.delta == timedelta(days=30)
    assert pack.reliability.frequent.value.count == 3
    assert pack.reliability.frequent.value.days == 60
    assert pack.recently_restored == timedelta(hours=12)
    assert pack.upcoming == timedelta(days=7)
    assert pack.shedding.measures is not None
    assert pack.shedding.measures.value == ("错峰", "避峰", "限电", "拉闸")


def test_the_provincial_variant_gives_crews_longer_and_residents_a_week() -> None:
    pack = standards.pack("cn-provincial")
    assert [pack.arrival_promise(a) for a in ("urban", "rural", "remote")] == [timedelta(hours=h) for h in (1, 2, 4)]
    assert pack.arrears.letter.residential.delta == timedelta(days=7)
    assert pack.arrears.letter.other.delta == timedelta(days=3)


def test_great_britain_pays_and_protects_in_winter() -> None:
    pack = standards.pack("gb")
    assert pack.compensation is not None
    assert pack.compensation.restore_home is not None
    assert pack.compensation.restore_home.value == 95
    assert pack.protections.winter is not None
    inside = [date(2026, 10, 1), date(2027, 1, 15), date(2027, 3, 31)]
    outside = [date(2026, 9, 30), date(2027, 4, 1)]
    assert all(pack.protections.winter.contains(d) for d in inside)
    assert not any(pack.protections.winter.contains(d) for d in outside)


def test_cut_offs_keep_hours_days_floors_and_limits() -> None:
    pack = standards.pack("cn-sgcc")
    rules = pack.arrears
    assert [rules.cut_hours.contains(time(*at)) for at in ((8, 59), (9, 0), (15, 59), (16, 0))] == [
        False,
        True,
        True,
        False,
    ]
    assert rules.no_cut_weekdays is not None
    assert [rules.no_cut_weekdays.contains(date(2026, 11, day)) for day in (26, 27, 28)] == [False, True, False]
    assert (pack.debt_floor(is_residential=True), pack.debt_floor(is_residential=False)) == (Decimal(20), Decimal(100))
    assert (rules.rate_per_hour.value, rules.rate_per_feeder_hour.value, rules.four_eyes_above.value) == (600, 60, 200)
    assert (rules.brake_share.amount, rules.brake_minimum.value) == (Decimal(3), 5)
    assert (rules.letter_valid.delta, rules.answer_within.delta) == (timedelta(days=30), timedelta(minutes=10))
    assert (rules.reconnect_share.amount, rules.reconnect_mode.value) == (Decimal(100), "automatic")
    assert rules.reconnect_warn.delta == timedelta(hours=4)
    assert rules.authority_copy is not None
    assert rules.authority_copy.value


def test_weather_and_illness_bar_a_cut() -> None:
    rules = standards.pack("cn-sgcc").protections
    assert rules.cold is not None
    assert rules.heat is not None
    assert rules.medical_hold is not None
    assert (rules.cold.value, rules.heat.value) == (-5, 35)
    assert rules.medical_hold.delta == timedelta(days=90)
    assert (rules.important.value, rules.eve.value) == (True, True)
    assert (rules.forecast_ahead.delta, rules.forecast_age.delta) == (timedelta(hours=72), timedelta(hours=24))
    assert standards.pack("au").protections.cold is None
    assert standards.pack("gb").protections.heat is None


@pytest.mark.parametrize("name", ["au", "cn-provincial", "cn-sgcc", "gb"])
def test_money_is_exact(name: str) -> None:
    floor = standards.pack(name).arrears.debt_floor_residential
    assert floor.amount == Decimal(str(floor.value))
    assert isinstance(floor.amount, Decimal)


def test_new_kinds_of_values_are_told_in_the_readers_words() -> None:
    pack = standards.pack("cn-sgcc")
    assert pack.arrears.no_cut_weekdays is not None
    assert pack.protections.cold is not None
    told = [pack.arrears.no_cut_weekdays, pack.arrears.reconnect_mode, pack.protections.cold, pack.arrears.brake_share]
    with translation.override("en"):
        assert [text_of(rule) for rule in told] == ["Friday", "automatic", "-5 °C", "3 %"]
    with translation.override("zh-hans"):
        assert text_of(pack.arrears.no_cut_weekdays) == "星期五"


def test_four_business_days_skip_the_weekend() -> None:
    planned = standards.pack("au").notice.planned
    assert planned.before(NOON) == datetime(2026, 11, 17, 12, 0, tzinfo=UTC)
    assert planned.after(datetime(2026, 11, 19, 12, 0, tzinfo=UTC)) == datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def test_the_momentary_limit_has_a_comparator() -> None:
    limit = timedelta(minutes=3)
    assert standards.pack("cn-sgcc").is_momentary(limit)
    assert not standards.pack("cn-sgcc").is_momentary(limit + timedelta(seconds=1))
    assert not standards.pack("gb").is_momentary(limit)


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(1, 15), (15, 15), (61, 75), (120, 120), (121, 150), (360, 360), (361, 420)],
)
def test_estimates_are_rounded_up_by_their_distance(minutes: int, told: int) -> None:
    etr = NOON + timedelta(minutes=minutes)
    assert standards.pack("cn-sgcc").etr_rounded(etr, now=NOON) == NOON + timedelta(minutes=told)


def test_rounding_may_cross_midnight() -> None:
    late = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)
    assert standards.pack("cn-sgcc").etr_rounded(late, now=NOON) == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(("at", "quiet"), [("21:59", False), ("22:00", True), ("03:00", True), ("07:00", False)])
def test_quiet_hours_run_over_midnight(at: str, quiet: bool) -> None:
    assert standards.pack("cn-sgcc").telling.quiet_hours.contains(time.fromisoformat(at)) is quiet


def test_an_outage_finds_the_version_it_was_opened_under() -> None:
    assert standards.pack("cn-sgcc@2026.1") is standards.pack("cn-sgcc")


@pytest.mark.parametrize("name", ["cn-sgcc@1999.1", "nowhere", ""])
def test_an_unknown_pack_is_named_in_the_refusal(name: str) -> None:
    with pytest.raises(UnknownPack, match=f"There is no rule pack “{name}”"):
        standards.pack(name)


def test_every_value_has_a_source_a_date_and_a_name() -> None:
    for pack in standards.packs():
        for rule in pack.rules():
            assert rule.value.citation, rule.path
            assert date(1990, 1, 1) < rule.value.effective <= pack.written, rule.path
            assert rule.path in LABELS, rule.path
            assert text_of(rule.value), rule.path
        assert [s.title for s in sections_of(pack)] == [
            SECTIONS[n] for n in dict.fromkeys(r.section for r in pack.rules())
        ]


def test_what_was_only_recalled_or_is_our_own_is_not_verified() -> None:
    for pack in standards.packs():
        for rule in pack.rules():
            if rule.value.citation.lower().startswith(("recalled", "own default")):
                assert not rule.value.verified, f"{pack.key} {rule.path}"
