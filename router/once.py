"""Publishing once per idempotency key: the key is written with the event, in one commit of the store.

The id of such an event is made from its key, so that the store itself takes a repeat for the same entry as long as it
has it. Afterwards, and to tell another payload under the same key, the key and its fingerprint stand in a named queue
of their own. They are due when the key's time is over, and are cleared away by whoever publishes next.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from actors.entries import Entry
from actors.envelope import Envelope
from actors.ports import Backend

QUEUE: Final = "keys:events"
_CLEAR = 8  # forgotten keys that each new one clears away
_CLAIM = 1_000  # ms; only has to outlast the step that claims


class Once(Enum):
    """What became of it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    REUSED = "reused"  #: the key stands for another payload


def event_id(envelope: Envelope) -> str:
    """The id of an event with an idempotency key; its repeat has the same."""
    return f"event.{envelope.key.hex()}"


def publish_once(entry: Entry, envelope: Envelope, window: int) -> Callable[[Backend, int], Once]:
    """A step for the store. ``window``: ms for which the key is remembered.

    The event is written first: where a store of several nodes is cut off in between, a repeat finds the event and
    nothing is lost.
    """
    key = f"key.{envelope.key.hex()}"
    print_ = f"{key}.{envelope.fingerprint.hex()}"

    def publish(store: Backend, now: int) -> Once:
        _clear(store, now)
        added = store.append([entry], now)[0]
        until = now + window
        first, other = store.append([Entry(name, QUEUE, b"", 5, until) for name in (key, print_)], now)
        if first:
            return Once.NEW if added else Once.DUPLICATE
        if other:  # the key is known and this fingerprint was not
            store.remove([print_])
        if added:
            store.remove([entry.id])
        return Once.REUSED if other else Once.DUPLICATE

    return publish


def _clear(store: Backend, now: int) -> None:
    claims = store.claim(QUEUE, _CLEAR, now, now + _CLAIM)
    if claims:
        store.ack([(claim.id, claim.token) for claim in claims], now, 0)
