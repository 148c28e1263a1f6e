"""Executors in the router's own process: ``direct``, and ``queue`` with a consumer here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

from router import Response, Router
from tests.chaos.load import wait_until
from tests.faults.bench import CAP, Bench, answer, was
from tests.faults.catalog import GUILD, Blocker, Deed, Set, Strike, catalog, perform
from tests.faults.judge import Case
from tests.faults.ledger import Ledger

SHORT = 0.15  # seconds a handler has
LONG = 400  # ms it takes instead


def attach(router: Router, ledger: Ledger, timeout: float | None = None) -> None:
    """Execute both commands in this process."""

    def run(deed: Deed, ctx: Any) -> dict[str, Any]:
        return perform(ledger, deed, ctx)

    for kind in (Set, Strike):
        router.handler(kind, timeout=timeout)(run)


class InProcess(Bench):
    """What ``direct`` and ``queue`` have in common: both run this process's handlers."""

    settings: ClassVar[dict[str, Any]] = {"workers": 2, "circuit_breaker_recovery_timeout": 100}

    def refused(self, case: Case) -> tuple[Response | None, bool]:
        # Nobody handles it when it comes, and so no other protocol of this process either.
        with self.router() as router:
            reply = self.send(router, case)
            reply.accepted(CAP)
            view = reply.status()
            nobody = view is not None and view.attempts == 0 and view.response is None
            attach(router, self.ledger)
            return answer(reply), nobody

    def before_send(self, case: Case) -> tuple[Response | None, bool]:
        free = threading.Event()
        with self.router(workers=1, types={"FAULT_SET": {"timeout_ms": 150}, "FAULT_STRIKE": {"timeout_ms": 150}}) as r:
            attach(r, self.ledger)

            @r.handler(Blocker, timeout=CAP)
            def block(command: Blocker, ctx: Any) -> None:
                self.ledger.begin(f"{self.mark}-blocker")
                free.wait(CAP)

            r.send(Blocker(guild_id=GUILD), protocols=("direct",))
            wait_until(lambda: self.ledger.runs(f"{self.mark}-blocker") > 0, CAP, lambda: "it does not block")
            reply = self.send(r, case)
            wait_for_attempt(r, reply.id)
            free.set()
            response = answer(reply)
            return response, was(response, self.protocol, "deferred")

    def lost(self, case: Case) -> tuple[Response | None, bool]:
        with self.router() as router:
            attach(router, self.ledger, SHORT)
            response = answer(self.send(router, case, "hang", ms=LONG))
            return response, waited_in_vain(response, self.protocol)

    def slow(self, case: Case) -> tuple[Response | None, bool]:
        with self.router() as router:
            attach(router, self.ledger, SHORT)
            response = answer(self.send(router, case, "slow", ms=LONG))
            return response, waited_in_vain(response, self.protocol)

    def adapter(self, case: Case) -> tuple[Response | None, bool]:
        with self.router() as router:
            attach(router, self.ledger)
            reply = self.send(router, case, "slow", ms=LONG)
            self.begun()
            killed = router.engine.runtime.ref(f"adapter:{self.protocol}").kill()
            return answer(reply), killed

    def peer(self, case: Case) -> tuple[Response | None, bool]:
        """The process that routes and executes dies with the effect made and not told; the next one takes over."""
        life = self.nursery.start(
            "tests.faults.in_process:live",
            folder=str(self.folder),
            store=self.store,
            mark=self.mark,
            idempotent=case.idempotent,
            protocols=list(self.route(case)),
        )
        code = life.wait(CAP)
        with self.made() as router:
            attach(router, self.ledger)
            wait_until(lambda: ended(router, self.mark) is not None, CAP, lambda: "the next process did not end it")
            return ended(router, self.mark), code == 9

    def breaker(self, case: Case) -> tuple[Response | None, bool]:
        with self.router() as router:
            attach(router, self.ledger)
            breaker = router.engine.breakers.get(self.protocol)
            breaker.force_open(router.clock.now())
            reply = self.send(router, case)
            if case.fallback:
                return answer(reply), told(router, reply.id, "diverted")
            waits = f"breaker:{self.protocol}"
            wait_until(
                lambda: waits in router.engine.tables.gate.waiting(), CAP, lambda: "nobody waits for the breaker"
            )
            breaker.reset(router.clock.now())
            return answer(reply), told(router, reply.id, "held")

    def limited(self, case: Case) -> tuple[Response | None, bool]:
        with self.router() as router:
            attach(router, self.ledger)
            response = answer(self.send(router, case, "later", "later", "do"))
            return response, was(response, self.protocol, "deferred", code="retry_later")


class Direct(InProcess):
    """Handlers called at once."""

    protocol = name = "direct"
    other = "queue"


class LocalQueue(InProcess):
    """Handlers that consume a named queue of their own router."""

    protocol = name = "queue"
    other = "direct"


def waited_in_vain(response: Response | None, protocol: str) -> bool:
    """Whether an attempt was given up; a doubt that was cleared up stands in the answer as what it turned out to be."""
    return response is not None and any(
        line.protocol == protocol and line.error is not None and line.error.code == "timeout"
        for line in response.attempts
    )


def wait_for_attempt(router: Router, id_: str) -> None:
    """Wait until one attempt of a command has ended."""

    def attempted() -> bool:
        story = router.explain(id_)
        return story is not None and bool(story["attempts"])

    wait_until(attempted, CAP, lambda: "no attempt ended")


def told(router: Router, id_: str, event: str) -> bool:
    """Whether the command's story tells of this."""
    record = router.explain(id_)
    return record is not None and any(step["event"] == event for step in record["story"])


def ended(router: Router, id_: str) -> Response | None:
    """The answer of a command somebody else sent."""
    view = router.find(id_)
    return None if view is None else view.response


def live(folder: str, store: str, mark: str, idempotent: bool, protocols: list[str]) -> None:
    """A process that sends, executes, and dies with the effect."""
    router = Router(store=store, catalog=catalog)
    attach(router, Ledger(Path(folder) / "ledger"))
    with router:
        kind = Set if idempotent else Strike
        deed = kind(guild_id=GUILD, mark=mark, acts=("die", "do"))
        router.request(deed, id=mark, protocols=protocols, expires_in=CAP, timeout=CAP)
