"""When each order's turn is: never faster than the rates, wherever the hour begins."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from billing_cutoffs.spread import Order, turns

OPENS = datetime(2026, 7, 21, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spread(
    orders: list[Order], *, hours: float = 6, rate: int = 600, feeder_rate: int = 60, seed: str = "B-2026-000001"
) -> tuple[dict[int, datetime], list[int]]:
    return turns(
        orders, opens=OPENS, closes=OPENS + hours * HOUR, rate_per_hour=rate, rate_per_feeder_hour=feeder_rate,
        seed=seed,
    )  # fmt: skip


def busiest_hour(moments: list[datetime]) -> int:
    """Counted the plain way: an hour from every turn on."""
    return max((sum(start <= moment < start + HOUR for moment in moments) for start in moments), default=0)


@given(
    feeders=st.lists(st.sampled_from([1, 2, 3, None]), max_size=60),
    hours=st.floats(min_value=0.1, max_value=5),
    rate=st.integers(min_value=0, max_value=20),
    feeder_rate=st.integers(min_value=0, max_value=8),
    seed=st.text(max_size=5),
)
def test_no_hour_holds_more_than_the_rates(
    feeders: list[int | None], hours: float, rate: int, feeder_rate: int, seed: str
) -> None:
    orders = list(enumerate(feeders))

    taken, left = spread(orders, hours=hours, rate=rate, feeder_rate=feeder_rate, seed=seed)

    assert sorted([*taken, *left]) == [key for key, _feeder in orders]
    assert all(OPENS <= moment < OPENS + hours * HOUR for moment in taken.values())
    assert busiest_hour(list(taken.values())) <= rate
    for feeder in set(feeders):
        of_feeder = [moment for key, moment in taken.items() if feeders[key] == feeder]
        assert busiest_hour(of_feeder) <= feeder_rate


def test_a_window_takes_as_many_as_its_rates_allow() -> None:
    on_one_feeder: list[Order] = [(key, 7) for key in range(500)]
    on_many: list[Order] = [(key, key % 20) for key in range(5000)]

    taken_of_one, left_of_one = spread(on_one_feeder, hours=6, rate=600, feeder_rate=60)
    taken_of_many, left_of_many = spread(on_many, hours=6, rate=600, feeder_rate=60)

    assert (len(taken_of_one), len(left_of_one)) == (360, 140)
    assert (len(taken_of_many), len(left_of_many)) == (3600, 1400)


def test_few_orders_are_spread_over_the_whole_window() -> None:
    taken, left = spread([(key, key % 4) for key in range(60)], hours=6)

    by_hour = Counter((moment - OPENS) // HOUR for moment in taken.values())
    assert left == []
    assert sorted(by_hour) == [0, 1, 2, 3, 4, 5]
    assert max(by_hour.values()) < 30


def test_a_feeder_that_needs_the_whole_window_gets_it() -> None:
    crowded: list[Order] = [(key, 1) for key in range(360)]
    quiet: list[Order] = [(1000 + key, 2) for key in range(40)]

    taken, left = spread([*quiet, *crowded], hours=6, rate=600, feeder_rate=60)

    assert left == []
    assert len(taken) == 400


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    orders: list[Order] = [(key, 1) for key in range(30)]

    assert spread(orders, seed="a") == spread(orders, seed="a")
    assert spread(orders, seed="a") != spread(orders, seed="b")


def test_an_hour_is_an_hour_when_the_clocks_change() -> None:
    """The night of 29 March 2026 has no two o'clock in London."""
    london = ZoneInfo("Europe/London")
    opens, closes = datetime(2026, 3, 29, 0, 30, tzinfo=london), datetime(2026, 3, 29, 3, 30, tzinfo=london)

    taken, left = turns(
        [(key, 1) for key in range(30)], opens=opens, closes=closes, rate_per_hour=10, rate_per_feeder_hour=10,
        seed="a",
    )  # fmt: skip

    assert len(taken) == 20
    assert len(left) == 10
    assert busiest_hour(list(taken.values())) == 10
