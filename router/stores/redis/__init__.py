"""The store that several routers share."""

from router.stores.redis.address import Address
from router.stores.redis.options import RedisOptions
from router.stores.redis.store import RedisStore

__all__ = ["Address", "RedisOptions", "RedisStore"]
