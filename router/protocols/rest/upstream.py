"""A bot's own endpoint: commands are posted to its URL, and records are read below it. Described in docs/wire.md."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Sign, Ticket
from actors.runtime.clock import Clock
from router.protocols import results
from router.protocols.rest import wire
from router.protocols.rest.http import Answer, Http, Lost, NotSent
from router.protocols.rest.target import NOBODY_KNOWS, Found, Sent

USER_AGENT = "guild-router"
POLL = 0.25  # seconds between two looks at a record that says "running"
PATIENCE = 8.0  # seconds of looking; the router gives up after 10


class Upstream:
    """``url``: where commands are posted; nothing else is ever asked, redirects are not followed.

    ``guilds``, ``types``: what it serves; empty: all. ``secret``: sent as a bearer token; "": none. ``records``: it
    keeps a record by envelope id, so the same command sent twice is executed once, and answers for it at ``URL/ID``.
    """

    rank = 0
    unwell: frozenset[str] = frozenset()

    def __init__(
        self,
        name: str,
        url: str,
        *,
        clock: Clock,
        weight: float = 1.0,
        capacity: int = 100,
        guilds: Collection[str] = (),
        types: Collection[str] = (),
        secret: str = "",
        records: bool = False,
    ) -> None:
        self.name = name
        self.weight = weight
        self.capacity = capacity
        self.dedupes = records
        self._url = url.rstrip("/")
        self._clock = clock
        self._guilds = frozenset(guilds)
        self._types = frozenset(types)
        self._headers: Mapping[str, str] = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._http: Http | None = None

    def serves(self, envelope: Envelope) -> bool:
        """By its lists."""
        return (not self._types or envelope.type in self._types) and (
            not self._guilds or envelope.guild in self._guilds
        )

    def idempotent(self, envelope: Envelope) -> bool:  # noqa: ARG002 - one rule for all
        """``False``: a record is bounded and ends with its process, so it is asked before anything is repeated."""
        return False

    def knows(self, envelope: Envelope) -> bool:  # noqa: ARG002 - the port's signature
        """Whether it keeps a record."""
        return self.dedupes

    async def execute(self, ticket: Ticket, deadline: int) -> Outcome:
        """Post it."""
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            wire.KEY: ticket.envelope.id,
            wire.ATTEMPT: str(ticket.attempt),
            wire.DEADLINE: str(deadline),
        }
        try:
            body = wire.dump(wire.command(ticket._replace(deadline=deadline), self._clock.now()))
        except EnvelopeError as error:
            return results.of_undecodable(error)
        try:
            answer = await self._opened().send("POST", self._url, headers=headers, body=body)
        except NotSent as error:
            return Outcome(Verdict.NOT_APPLIED, fault=Fault("unreachable", str(error), True))
        except Lost as error:
            return Outcome(Verdict.IN_DOUBT, fault=Fault("connection_lost", str(error), True))
        return wire.outcome_of(answer, self._clock.now())

    async def verify(self, envelope: Envelope, sent: Sent) -> Found:
        """Read its record, again and again while it says that it runs."""
        url = f"{self._url}/{quote(envelope.id, safe='')}"
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while loop.time() < until:
            try:
                answer = await self._opened().send("GET", url, headers=self._headers)
            except (NotSent, Lost):
                return NOBODY_KNOWS
            said = wire.json_of(answer)
            said = said if isinstance(said, dict) else {}
            if answer.status != 200 or said.get("state") != "running":
                return self._found(answer, said, self._clock.now() - sent.earliest)
            await asyncio.sleep(POLL)
        return NOBODY_KNOWS

    def _found(self, answer: Answer, said: Mapping[str, Any], age: int) -> Found:
        if answer.status == 404:
            # Not in its record. That is proof only if the record reaches back to when it was sent.
            reach = said.get("completeForMs")
            proof = "completeForMs" not in said or (type(reach) is int and reach > age)
            return Found(False) if proof else NOBODY_KNOWS
        if answer.status != 200 or said.get("state") != "done":
            return NOBODY_KNOWS
        outcome = wire.outcome_of(answer, self._clock.now())
        if said.get("outcome") not in wire.ENDS:
            return NOBODY_KNOWS
        return Found(outcome.verdict is Verdict.APPLIED, outcome.data)

    async def look(self) -> Sign:
        """It answers at its address, whatever it says there of a request that is none of a command."""
        try:
            answer = await self._opened().send("GET", self._url, headers=self._headers)
        except (NotSent, Lost) as error:
            return Sign(well=False, detail=str(error))
        if answer.status in (401, 403):
            return Sign(well=False, detail=f"it refuses our secret ({answer.status})")
        return Sign(well=answer.status < 500, detail=f"it answers {answer.status}")

    def resume(self) -> None:
        """Nothing but its breaker holds it back."""

    async def close(self) -> None:
        """Hang up."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _opened(self) -> Http:
        if self._http is None:
            self._http = Http(USER_AGENT)
        return self._http
