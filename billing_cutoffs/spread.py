"""When each order's turn is: at random inside the window, and never faster than the rates. Pure.

A feeder whose customers all go at the same minute swings, and so does one whose customers all come back.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

HOUR: Final = timedelta(hours=1)

Order = tuple[int, int | None]  # its key and its feeder; those whose feeder nobody knows count as one feeder


def turns(
    orders: Sequence[Order],
    *,
    opens: datetime,
    closes: datetime,
    rate_per_hour: int,
    rate_per_feeder_hour: int,
    seed: str,
) -> tuple[dict[int, datetime], list[int]]:
    """A turn for each order, and the keys of those for whom the window has no room. The same seed draws the same.

    No hour, wherever it begins, holds more turns than ``rate_per_hour``, nor more of one feeder than
    ``rate_per_feeder_hour``.
    """
    chance = Random(seed)  # noqa: S311 - spreads load, keeps no secret
    places = _places(opens.astimezone(UTC), closes.astimezone(UTC), rate_per_hour, chance)
    # as slow as the window allows; if a feeder's own rate then leaves somebody without a turn, every place is used
    some = sorted(chance.sample(places, min(len(orders), len(places))))
    taken = _fill(some, orders, rate_per_feeder_hour, chance)
    if len(taken) < len(orders) and len(some) < len(places):
        taken = max(taken, _fill(places, orders, rate_per_feeder_hour, chance), key=len)
    return taken, [key for key, _feeder in orders if key not in taken]


def _places(opens: datetime, closes: datetime, rate: int, chance: Random) -> list[datetime]:
    """Moments drawn at random inside the first hour and repeated every hour: so no hour has more than ``rate``."""
    first = sorted(opens + timedelta(seconds=chance.randrange(3600)) for _place in range(rate))
    places: list[datetime] = []
    hour = timedelta(0)
    while opens + hour < closes:
        places += [place + hour for place in first if place + hour < closes]
        hour += HOUR
    return places


def _fill(places: Iterable[datetime], orders: Sequence[Order], rate: int, chance: Random) -> dict[int, datetime]:
    """Each place goes to the feeder with the most orders left among those that may have another one by then."""
    waiting: dict[int | None, list[int]] = defaultdict(list)
    for key, feeder in chance.sample(orders, len(orders)):
        waiting[feeder].append(key)
    if not rate:
        return {}
    recent: dict[int | None, deque[datetime]] = {feeder: deque(maxlen=rate) for feeder in waiting}
    ready = [(-len(keys), chance.random(), feeder) for feeder, keys in waiting.items()]
    heapq.heapify(ready)
    resting: list[tuple[datetime, float, int | None]] = []
    taken: dict[int, datetime] = {}
    for place in places:
        while resting and resting[0][0] <= place:
            _until, _chance, feeder = heapq.heappop(resting)
            heapq.heappush(ready, (-len(waiting[feeder]), chance.random(), feeder))
        if not ready:
            continue
        _left, _chance, feeder = heapq.heappop(ready)
        taken[waiting[feeder].pop()] = place
        recent[feeder].append(place)
        if not waiting[feeder]:
            continue
        if len(recent[feeder]) == rate:
            heapq.heappush(resting, (recent[feeder][0] + HOUR, chance.random(), feeder))
        else:
            heapq.heappush(ready, (-len(waiting[feeder]), chance.random(), feeder))
    return taken
