"""Backends of the engine's store, and ``open_store(url)``."""

from router.stores.url import open_store

__all__ = ["open_store"]
