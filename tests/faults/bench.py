"""A bench: one protocol between a real router and real executors, and how each fault is done to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pykka

from router import Reply, Response, Router
from tests.chaos.load import wait_until
from tests.chaos.nursery import Nursery
from tests.faults.catalog import GUILD, Deed, Set, Strike, catalog
from tests.faults.judge import Case, Fault, Seen
from tests.faults.ledger import Ledger

CAP = 30.0
"""Seconds a case may take; what has not been answered then never is."""


class Bench(ABC):
    """``play`` one case after the other. A fault's method gives the sender's answer and whether the fault happened."""

    protocol: ClassVar[str]
    name: ClassVar[str]  #: of the bench; a protocol may have several
    other: ClassVar[str]  #: the protocol of the fallback
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.folder = folder
        self.nursery = nursery
        self.ledger = Ledger(folder / "ledger")
        self._cases = 0
        self.mark = ""

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be played on this machine; "": it can."""
        return ""

    def play(self, case: Case) -> Seen:
        """Do the fault to one command, and see what comes of it once everything has ended."""
        self._cases += 1
        self.mark = f"m{self._cases}"
        methods: dict[Fault, Callable[[Case], tuple[Response | None, bool]]] = {
            Fault.REFUSED: self.refused,
            Fault.BEFORE_SEND: self.before_send,
            Fault.LOST: self.lost,
            Fault.SLOW: self.slow,
            Fault.ADAPTER: self.adapter,
            Fault.PEER: self.peer,
            Fault.BREAKER: self.breaker,
            Fault.LIMITED: self.limited,
        }
        response, struck = methods[case.fault](case)
        # A handler that was given up may act after the answer, and that counts too.
        wait_until(lambda: self.ledger.at_rest(self.mark), CAP, lambda: "an executor never ended")
        runs, effects = self.ledger.runs(self.mark), self.ledger.effects(self.mark)
        return Seen.of(response, struck=struck, runs=runs, effects=effects)

    # ------------------------------------------------------------ the faults

    @abstractmethod
    def refused(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def before_send(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def lost(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def slow(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def adapter(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def peer(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def breaker(self, case: Case) -> tuple[Response | None, bool]: ...

    @abstractmethod
    def limited(self, case: Case) -> tuple[Response | None, bool]: ...

    # ------------------------------------------------------------ what they share

    @contextmanager
    def router(self, **settings: Any) -> Iterator[Router]:
        """A router on a store of its own that is stopped, with everything that ran, afterwards."""
        router = self.made(**settings)
        with router:
            yield router

    def made(self, **settings: Any) -> Router:
        """Not started."""
        return Router(catalog=catalog, **{"store": self.store, "drain": 5.0, **self.settings, **settings})

    @property
    def store(self) -> str:
        """Of the running case."""
        return f"sqlite:///{self.folder / self.mark}.db"

    def deed(self, case: Case, *acts: str, ms: int = 0) -> Deed:
        """The command of a case."""
        return (Set if case.idempotent else Strike)(guild_id=GUILD, mark=self.mark, acts=acts or ("do",), ms=ms)

    def route(self, case: Case) -> tuple[str, ...]:
        """The protocols a case may use, in order."""
        return (self.protocol, self.other) if case.fallback else (self.protocol,)

    def send(self, router: Router, case: Case, *acts: str, ms: int = 0) -> Reply:
        """The command of a case, on its way."""
        return router.send(self.deed(case, *acts, ms=ms), protocols=self.route(case), expires_in=CAP)

    def begun(self) -> None:
        """Wait until an executor has the command in its hands."""
        wait_until(lambda: self.ledger.runs(self.mark) > 0, CAP, lambda: "no executor began")


def answer(reply: Reply) -> Response | None:
    """The sender's answer, if one comes."""
    try:
        return reply.result(CAP)
    except pykka.Timeout:
        return None


def was(response: Response | None, protocol: str, *outcomes: str, code: str = "") -> bool:
    """Whether an attempt over the protocol came to one of these."""
    return response is not None and any(
        line.protocol == protocol
        and line.outcome in outcomes
        and (not code or (line.error is not None and line.error.code == code))
        for line in response.attempts
    )
