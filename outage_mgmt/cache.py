"""Redis as a cache that may be away: a miss costs a query, never the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis import RedisError

PAUSE_S = 5.0  # after a failure nobody waits for Redis again for so long


class ForgivingRedisCache(RedisCache):
    _away_until = 0.0

    def _try(self, call: Callable[[], Any], otherwise: Any) -> Any:
        if time.monotonic() < ForgivingRedisCache._away_until:
            return otherwise
        try:
            return call()
        except (RedisError, OSError):
            ForgivingRedisCache._away_until = time.monotonic() + PAUSE_S
            return otherwise

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).add(*args, **kwargs), True)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).get(key, default, version), default)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).set(*args, **kwargs), None)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).touch(*args, **kwargs), False)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).delete(*args, **kwargs), False)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).get_many(*args, **kwargs), {})

    def has_key(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).has_key(*args, **kwargs), False)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).incr(key, delta, version), delta)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).set_many(*args, **kwargs), [])

    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._try(lambda: super(ForgivingRedisCache, self).delete_many(*args, **kwargs), None)
