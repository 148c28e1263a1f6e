"""100,000 guilds at once in one engine, on real threads."""

from __future__ import annotations

import resource
import threading
import time

import pytest

from actors.codec import encode
from actors.engine import Engine
from actors.envelope import Envelope
from actors.messages import Submission
from actors.options import Options
from actors.outcome import Answer, Outcome, Verdict
from actors.policy.facts import Facts
from actors.ports import Done, Ticket
from router.stores.memory import MemoryStore

GUILDS = 100_000
APPLIED = Outcome(Verdict.APPLIED)


class Instant:
    """Applies everything at once."""

    name = "direct"
    dedupes = True

    def open(self) -> None: ...

    def close(self, drain: float) -> None: ...

    def reaches(self, envelope: Envelope) -> bool:
        return True

    def idempotent(self, envelope: Envelope) -> bool:
        return True

    def start(self, ticket: Ticket, done: Done) -> None:
        done(APPLIED)

    def recall(self, id: str) -> bool:
        return False

    def verify(self, envelope: Envelope, done: object) -> None:
        raise AssertionError("nothing is in doubt")


class Crowd:
    """All senders in one."""

    def __init__(self) -> None:
        self.fates: dict[str, int] = {}
        self.all = threading.Event()

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:
        assert (sequence, ahead, original) == (1, 0, "")

    def on_refused(self, error: Exception) -> None:
        self._count(type(error).__name__)

    def on_expired(self, error: Exception, answer: Answer) -> None:
        self._count("expired")

    def on_answered(self, answer: Answer) -> None:
        self._count(answer.status.value)

    def _count(self, fate: str) -> None:
        self.fates[fate] = self.fates.get(fate, 0) + 1  # all of them come from one actor
        if sum(self.fates.values()) == GUILDS:
            self.all.set()


@pytest.mark.timeout(300)  # about 20 s on a quiet machine
def test_a_hundred_thousand_guilds_are_served_by_few_threads() -> None:
    crowd = Crowd()
    engine = Engine(
        MemoryStore(), [Instant()], Facts, options=Options(max_backlog=2 * GUILDS, passivate_after=3_600_000)
    )
    engine.start()
    began = time.perf_counter()
    threads = 0
    for first in range(0, GUILDS, 1_000):
        now = engine.clock.now()
        batch = []
        for n in range(first, first + 1_000):
            envelope = Envelope(f"m{n}", "T", "command", f"g{n}", "s", "q", 5, now, now + 600_000, body=b"\x80")
            batch.append(Submission(envelope, encode(envelope), crowd))
        engine.submit_many(batch)
        threads = max(threads, threading.active_count())
    assert crowd.all.wait(280), f"{crowd.fates} after 280 s"
    took = time.perf_counter() - began
    assert crowd.fates == {"ok": GUILDS}
    assert threads <= 16
    assert len(engine.tables.guilds) == GUILDS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{GUILDS} guilds in {took:.1f} s, {threads} threads, at most {memory:.0f} MiB")
    engine.stop()
    engine.clock.close()
    assert len(engine.tables.flights) == 0
    assert engine.tables.backlog.total == 0
