"""A store from its URL."""

from __future__ import annotations

from router.stores.memory import MemoryStore


def open_store(url: str) -> MemoryStore:
    """For now memory only; sqlite follows."""
    if url != "memory://":
        raise ValueError(url)
    return MemoryStore()
