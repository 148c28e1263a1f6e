"""A correct router as a toy: told what happens next, it writes the history that such a router would leave."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.history.events import (
    Begin,
    Commit,
    Effect,
    End,
    Event,
    Fail,
    Final,
    Invoke,
    Nemesis,
    Ok,
    Owner,
    Repeat,
    Rest,
    Unknown,
)

MAX_ATTEMPTS = 5


@dataclass(slots=True)
class _Work:
    id: str
    key: str
    payload: str
    guild: str
    subject: str
    sequence: int
    attempts: int = 0
    status: str = ""
    run: str = ""  #: while a handler has it
    applied: bool = False


@dataclass(slots=True)
class Story:
    """Every method is one thing that happens, one tick after the last."""

    lines: list[Event] = field(default_factory=list)
    at: int = 0
    life: int = 1
    token: int = 1
    works: list[_Work] = field(default_factory=list)
    waiting: list[tuple[Invoke, Ok | Fail]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.lines.append(Nemesis(at=self._tick(), by="nemesis", action="start", target=self.router))

    @property
    def router(self) -> str:
        return f"router-{self.life}"

    def _tick(self) -> int:
        self.at += 1_000_000
        return self.at

    def send(self, guild: str, subject: str, key: str = "", payload: str = "p", probe: bool = False) -> Invoke:
        """A client sends and the router decides; ``answer`` tells the client later."""
        number = len(self.lines)
        key = key or f"k{number}"
        invoke = Invoke(
            at=self._tick(),
            by="client",
            call=f"c{number}",
            key=key,
            payload=payload,
            guild=guild,
            subject=subject,
            probe=probe,
        )
        self.lines.append(invoke)
        known = next((work for work in self.works if work.key == key), None)
        answer: Ok | Fail
        if known is None:
            self.sequences[guild] += 1
            work = _Work(f"m{number}", key, payload, guild, subject, self.sequences[guild])
            self.works.append(work)
            answer = Ok(at=0, by="client", call=invoke.call, id=work.id, sequence=work.sequence)
        elif (known.payload, known.guild, known.subject) == (payload, guild, subject):
            answer = Ok(at=0, by="client", call=invoke.call, id=known.id, sequence=known.sequence, answer="duplicate")
        else:
            answer = Fail(at=0, by="client", call=invoke.call, code="conflict")
        self.waiting.append((invoke, answer))
        return invoke

    def answer(self, lost: bool = False) -> None:
        """The longest waiting client hears, or gives up."""
        if self.waiting:
            invoke, answer = self.waiting.pop(0)
            if lost:
                self.lines.append(Unknown(at=self._tick(), by="client", call=invoke.call))
            elif isinstance(answer, Ok):
                self.lines.append(
                    Ok(
                        at=self._tick(),
                        by="client",
                        call=answer.call,
                        id=answer.id,
                        sequence=answer.sequence,
                        answer=answer.answer,
                    )
                )
            else:
                self.lines.append(Fail(at=self._tick(), by="client", call=answer.call, code=answer.code))

    def heads(self) -> list[_Work]:
        """The first unsettled one of each lane."""
        lanes: dict[tuple[str, str], _Work] = {}
        for work in self.works:
            if not work.status:
                lanes.setdefault((work.guild, work.subject), work)
        return list(lanes.values())

    def begin(self, lane: int = 0) -> None:
        """A free lane's head starts."""
        free = [work for work in self.heads() if not work.run]
        if free:
            work = free[lane % len(free)]
            work.attempts += 1
            self.lines.append(Commit(at=self.at, by=self.router, partition=0, token=self.token, asked=self.at, done=1))
            work.run = f"{self.router}:{len(self.lines)}"
            self.lines.append(
                Begin(
                    at=self._tick(),
                    by=self.router,
                    run=work.run,
                    id=work.id,
                    key=work.key,
                    payload=work.payload,
                    guild=work.guild,
                    subject=work.subject,
                    attempt=work.attempts,
                    sequence=work.sequence,
                    token=self.token,
                )
            )

    def _running(self, lane: int) -> _Work | None:
        running = [work for work in self.works if work.run]
        return running[lane % len(running)] if running else None

    def effect(self, lane: int = 0) -> None:
        """A running one does its thing."""
        work = self._running(lane)
        if work is None:
            return
        if work.applied:
            if not any(isinstance(line, Effect | Repeat) and line.run == work.run for line in self.lines):
                self.lines.append(Repeat(at=self._tick(), by=self.router, run=work.run, id=work.id, key=work.key))
            return
        work.applied = True
        self.lines.append(
            Effect(
                at=self._tick(),
                by=self.router,
                run=work.run,
                id=work.id,
                key=work.key,
                payload=work.payload,
                guild=work.guild,
                subject=work.subject,
                token=self.token,
            )
        )

    def end(self, lane: int = 0, fail: bool = False) -> None:
        """A running one returns; one that fails comes again, or dies at its limit."""
        work = self._running(lane)
        if work is not None:
            if not fail:
                self.effect(lane)
            outcome = "failed" if fail else "applied"
            self.lines.append(End(at=self._tick(), by=self.router, run=work.run, outcome=outcome))
            work.run = ""
            if not fail:
                work.status = "ok"
            elif work.attempts >= MAX_ATTEMPTS:
                work.status = "dead"

    def kill(self, uncounted: bool = False) -> None:
        """kill -9 and a new life; with ``uncounted`` one start was charged and nobody saw it begin."""
        for invoke, _ in self.waiting:
            self.lines.append(Unknown(at=self._tick(), by="client", call=invoke.call))
        self.waiting.clear()
        free = [work for work in self.heads() if not work.run]
        if uncounted and free and free[0].attempts < MAX_ATTEMPTS - 1:
            free[0].attempts += 1
        self.lines.append(Nemesis(at=self._tick(), by="nemesis", action="kill", target=self.router))
        for work in self.works:
            if work.run:
                work.run = ""
                if work.attempts >= MAX_ATTEMPTS:
                    work.status = "dead"
        self.life += 1
        self.token += 1
        self.lines.append(Nemesis(at=self._tick(), by="nemesis", action="start", target=self.router))
        for guild in sorted(self.sequences):
            self.lines.append(Owner(at=self._tick(), by=self.router, action="acquire", guild=guild, token=self.token))

    def rest(self) -> list[Event]:
        """Drain, probe, ask for the last words; the whole history."""
        for guild in sorted({line.guild for line in self.lines if isinstance(line, Invoke)}):
            self.send(guild, "probe", probe=True)
        while self.waiting:
            self.answer()
        while any(not work.status for work in self.works):
            self.begin()
            self.end()
        for work in self.works:
            self.lines.append(
                Final(at=self._tick(), by="client", id=work.id, status=work.status, attempts=work.attempts)
            )
        dead = sum(work.status == "dead" for work in self.works)
        counts = {
            "accepted": len(self.works),
            "done": len(self.works) - dead,
            "dead": dead,
            "cancelled": 0,
            "queued": 0,
            "running": 0,
        }
        self.lines.append(Rest(at=self._tick(), by="client", source="store", counts=counts))
        self.lines.append(Rest(at=self._tick(), by="client", source="metrics", counts={"dead": dead}))
        return self.lines
