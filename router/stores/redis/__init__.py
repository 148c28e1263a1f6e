"""The store that several routers share."""

from router.stores.redis.address import Address
from router.stores.redis.options import RedisOptions
from router.stores.redis.store import REDIS_RETENTION, RedisStore

__all__ = ["REDIS_RETENTION", "Address", "RedisOptions", "RedisStore"]
