# ruff: noqa: S101, PT017, TRY301 - a suite that needs no test framework is made of plain asserts
"""The conformance suite: what every ``Backend`` must do, with all its ports, in one text.

::

    class TestMyStore(BackendContract):
        def make(self):
            return MyStore(...)

is all a test module needs; any runner that calls methods named ``test_...`` on a fresh instance will do. Differences
that are allowed are flags of ``Contract``; a test they exclude returns at once.
"""

from __future__ import annotations

from typing import Any

from actors.entries import Nack
from actors.errors import StoreUnavailable
from actors.ports import AuditFilter, Begin, Bury, DeadFilter, Defer, Duplicate, Note, Replay
from router.stores.contract_accept import AcceptContract
from router.stores.contract_base import NOW, Contract, accept, accepted, done, settle
from router.stores.contract_queues import QueuesContract, entry, take
from router.stores.contract_schedules import SchedulesContract
from router.stores.contract_ways import WaysContract
from router.stores.contract_workers import WorkersContract

__all__ = ["BackendContract", "Contract", "everything"]


class BackendContract(AcceptContract, WaysContract, QueuesContract, WorkersContract, SchedulesContract):
    """All of it, and what holds for the ports together."""

    def test_it_says_what_acceptance_survives(self) -> None:
        assert self.opened().durability in ("process", "kernel", "disk")

    def test_a_store_that_is_not_open_is_unavailable(self) -> None:
        store = self.make()
        for use in (lambda: store.write([accept()], NOW), store.pending, store.stats, lambda: store.append([], NOW)):
            try:
                use()
            except StoreUnavailable as error:
                assert error.retryable
            else:
                raise AssertionError("a store that is not open answered")

    def test_closing_twice_is_closing_once(self) -> None:
        store = self.opened()
        store.close()
        store.close()

    def test_all_of_a_step_is_there_and_what_it_did_is_seen_inside(self) -> None:
        store = self.opened()
        with store.together():
            accepted(store, accept("a"))
            store.append([entry("x")], NOW)
            with store.together():
                store.write([Begin("a", 1, "queue")], NOW)
            assert store.get("a").state == "started"
            assert list(take(store)) == ["x"]
        assert store.get("a").state == "started"

    def test_a_step_that_fails_did_not_happen(self) -> None:
        if not self.transactional:
            return
        store = self.opened()
        done(store, accept("z"))
        accepted(store, accept("a"), accept("b"), accept("c", due_at=NOW + 50))
        store.append([entry("x"), entry("y")], NOW)
        store.write([Begin("a", 1, "direct"), Bury("b", "tried", b"", b"", 1)], NOW)
        before = everything(store)
        try:
            with store.together():
                store.write([settle("a"), Replay("b", 5, NOW + 9), accept("n"), settle("c", applied=False)], NOW)
                store.write([Note(NOW, "operator", "", "g", "u", b""), accept("m", key=accept("z").envelope.key)], NOW)
                store.append([entry("w")], NOW)
                take(store, 1)
                store.remove(["y"])
                store.pause("q", True)
                raise KeyError("the caller's")
        except KeyError:
            pass
        assert everything(store) == before
        (result,) = accepted(store, accept("n"))
        assert result.sequence == 5
        assert list(take(store)) == ["x", "y"]

    def test_what_was_answered_is_there_after_the_process(self) -> None:
        if not self.durable:
            return
        store = self.opened()
        done(store, accept("old", key=b"o" * 16), accept("once", key=b"i" * 16, idempotency_key="once"))
        accepted(store, *(accept(f"{n}", guild=f"g{n % 2}", queue=f"q{n % 2}") for n in range(6)))
        accepted(store, accept("later", due_at=NOW + 500), accept("gone"))
        store.write([Begin("1", 1, "direct"), Defer("1", NOW + 77, 1, b"trail"), Begin("2", 3, "queue")], NOW + 1)
        store.write([Bury("3", "tried", b"answer", b"trail", 3), Bury("4", "tried", b"", b"", 1)], NOW + 2)
        store.write([Replay("4", 2, NOW + 9999), settle("5"), Note(NOW, "refused", "", "g", "u", b"why")], NOW + 3)
        store.append([entry(name) for name in "abcd"] + [entry("e", at=NOW + 50)], NOW)
        tokens = take(store, 3)
        store.ack([("a", tokens["a"])], NOW, 10)
        store.nack([Nack("b", tokens["b"], NOW, error="why", dead=True)], NOW, 10)
        store.pause("paused", True)
        before = everything(store)
        store = self.reopen(store)
        assert everything(store) == before
        again = [accept("x", key=b"o" * 16), accept("y", key=b"i" * 16, idempotency_key="once")]
        assert store.write(again, NOW + 4) == [
            Duplicate("x", "old", 1, b"answer of old"),
            Duplicate("y", "once", 2, b"answer of once"),
        ]
        assert store.ack([("c", tokens["c"])], NOW, 10) == [True]
        (result,) = accepted(store, accept("new"))
        assert result.sequence == 5
        assert result.position > max(record.position for record in store.pending()[:-1])
        assert list(take(store)) == ["d"]


def everything(backend: Any) -> dict[str, Any]:
    """All that a backend's reads say, to compare with what they said or with what another backend says."""
    audit = backend.audit(AuditFilter(), 10_000)
    pending = backend.pending("", 0, 10_000)
    ids = sorted({line.id for line in audit if line.kind == "settled"})
    return {
        "pending": pending,
        "delayed": backend.delayed((0, ""), 10_000),
        "dead": backend.dead_letters(DeadFilter(), 0, 10_000),
        "audit": audit,
        "stats": dict(backend.stats()),
        "settled": {id_: backend.get(id_) for id_ in ids},
        "queues": dict(backend.queue_stats()),
        "paused": backend.paused(),
        "failed": {queue: backend.failed(queue, 10_000) for queue in backend.queue_stats()},
    }
