"""One attempt over a socket, and the frames it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from actors import codec
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Done, Ticket
from router.frames import frame, from_router, to_router
from router.protocols import results
from router.protocols.executor import tell
from router.protocols.sealing import sealed
from router.protocols.websocket.bots import Bot


class Gate(Protocol):
    """What an attempt has to pass before it leaves for its bot: another router asked for it. Quick, never blocks."""

    def begin(self, name: str, instance: str, go: Callable[[Outcome | None], None]) -> Outcome | None:
        """This bot is about to get it: ``go(None)`` from another thread lets it, ``go(outcome)`` ends it unsent.

        An outcome at once ends it likewise, and ``go`` is not called.
        """

    def open(self) -> bool:
        """Asked at the last moment before it leaves."""


class Attempt:
    """From ``start`` until somebody has said what came of it. Guarded by the protocol's lock."""

    __slots__ = ("acked", "bot", "deadline", "gate", "instance", "message", "name", "sent", "ticket", "waiters")

    def __init__(self, ticket: Ticket, done: Done, deadline: int, gate: Gate | None = None) -> None:
        self.ticket = ticket
        self.gate = gate
        self.waiters: list[Done] = [done]
        self.deadline = deadline  #: ms since the epoch
        self.bot: Bot | None = None  #: who has it, or is about to get it; ``None``: it waits for one
        self.sent = False  #: it left this process: from here on it may have happened
        self.acked = False
        self.name = self.instance = ""  #: of the bot it was sent to
        self.message: bytes | str = b""

    @property
    def id(self) -> str:
        """The envelope's."""
        return self.ticket.envelope.id

    def tell(self, outcome: Outcome) -> None:
        """Everybody who asked; never with the lock held."""
        waiters, self.waiters = self.waiters, []
        for done in waiters:
            tell(done, outcome)


def order_of(attempt: Attempt) -> from_router.Order:
    """The frame that asks for it."""
    ticket = attempt.ticket
    return from_router.Order(
        correlation_id=correlation_of(attempt.id, ticket.attempt),
        attempt=ticket.attempt,
        deadline=attempt.deadline,
        sequence=ticket.sequence,
        token=ticket.token,
        envelope=sealed(ticket.envelope),
    )


def correlation_of(id_: str, attempt: int) -> str:
    """Of the frames of one attempt: its id as far as there is room, and its number."""
    return f"{id_[:112]}/{attempt}"


def outcome_of(said: to_router.Executed | to_router.RecordLine) -> Outcome:
    """What a bot says that came of it; what it says is cleaned, and cut where it is too long."""
    fault = fault_of(said.error)
    match said.outcome:
        case "applied":
            return Outcome(Verdict.APPLIED, _data(said.data), said.noop, fault=fault)
        case "not_applied":
            return Outcome(Verdict.NOT_APPLIED, executed=True, fault=fault or Fault("handler_error", "", True))
        case "rejected":
            return Outcome(Verdict.REJECTED, fault=fault or Fault("rejected", ""))
        case "deferred":
            after = said.retry_after or (fault.retry_after if fault else 0)
            fault = fault or Fault("retry_later", "", True, after)
            return Outcome(Verdict.DEFERRED, executed=True, fault=fault, retry_after=after)
        case _:
            return results.in_doubt(
                fault.code if fault else "in_doubt", fault.message if fault else "the bot cannot tell"
            )


def refusal_of(said: to_router.Refused) -> Outcome:
    """A bot did not start it: proof that it did not happen."""
    fault = fault_of(said.error)
    if fault is not None and fault.retry_after:
        return Outcome(Verdict.DEFERRED, fault=fault, retry_after=fault.retry_after)
    return Outcome(Verdict.NOT_APPLIED, fault=fault)


def fault_of(error: frame.Fault | None) -> Fault | None:
    """A stranger's words, without what breaks lines."""
    if error is None:
        return None
    code = results.clean(error.code, results.CODE) or "error"
    return Fault(code, results.clean(error.message), error.retryable, error.retry_after)


def _data(value: Any) -> bytes:
    return b"" if value is None else codec.pack(value)
