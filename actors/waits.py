"""Why a command does not run: what stands before it, as its guild sees it at this moment.

Asked for, never kept: a lane moves on, a breaker closes, and whoever asks again is told what is true then. The answer
is a plain map, since the router that owns the guild may be another process: ``reason`` (a stable word), ``text`` (for
people), ``until`` (ms since the epoch, where it is known), and what the reason is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.errors import EngineError
from actors.policy.lanes import PARKED, Lanes, Place, Stage
from actors.ports import AuditLine, Stored
from actors.tables.gate import Bound

if TYPE_CHECKING:
    from actors.outbox import GuildTools

Wait = dict[str, Any]


class Explained(NamedTuple):
    """Everything the engine knows of one command."""

    stored: Stored
    notes: list[AuditLine]
    wait: Wait | None  #: why it does not run now; ``None``: it runs, or has ended


def wait_of(place: Place | None, lanes: Lanes, tools: GuildTools, now: int, *, owned: bool) -> Wait | None:
    """Why this place of a guild's lanes does not run; ``owned``: whether its guild may start something here."""
    if place is None:
        return _wait("arriving", "it is stored, and on its way into its lane")
    if place.stage is Stage.RUNNING:
        return None
    lane = lanes.lane_of(place.envelope.subject)
    if lane[0] is not place:
        return _behind(place, lane, lanes, tools, now, owned=owned)
    if place.until >= PARKED:
        return _parked(place, tools)
    if place.until > now:
        return _timed(place, tools)
    return _ready(lanes, tools, owned=owned)


def delayed(due_at: int) -> Wait:
    """Of one that has not entered its lane."""
    return _wait("delayed", "it enters its lane when it is due", until=due_at)


def unanswered(error: EngineError) -> Wait:
    """Of one whose guild could not be asked."""
    return _wait(error.code, f"its guild could not be asked: {error}")


def _behind(place: Place, lane: list[Place], lanes: Lanes, tools: GuildTools, now: int, *, owned: bool) -> Wait:
    head, ahead = lane[0], lane.index(place)
    first = f"{head.envelope.type} {head.envelope.id}"
    if head.stage is Stage.RUNNING:
        text = f"{ahead} before it in its lane; {first} runs over {head.protocol}"
        return _wait("lane", text, ahead=ahead, behind=head.envelope.id, protocol=head.protocol)
    text = f"{ahead} before it in its lane; {first} waits"
    why = wait_of(head, lanes, tools, now, owned=owned)
    return _wait("lane", text, ahead=ahead, behind=head.envelope.id, wait=why)


def _parked(place: Place, tools: GuildTools) -> Wait:
    envelope = place.envelope
    match place.reason:
        case "breaker_open":
            reached = tuple(name for name, protocol in tools.protocols.items() if protocol.reaches(envelope))
            found = [tools.breakers.find(name) for name in tools.breakers.names(reached, envelope)]
            resting = [breaker.snapshot() for breaker in found if breaker is not None]
            shown = [{"name": one.name, "state": one.condition.value, "until": one.until or None} for one in resting]
            text = ", ".join(f"{one.name} ({one.condition.value})" for one in resting)
            until = min((one.until for one in resting if one.until), default=None)
            return _wait("breaker_open", f"the breaker is open: {text}", until=until, breakers=shown)
        case "no_executor":
            asked = list(envelope.protocols or tools.protocols)
            text = f"nobody here executes {envelope.type}: no handler, bot, worker or upstream ({', '.join(asked)})"
            return _wait("no_executor", text, protocols=asked)
        case "paused":
            paused = tools.gate.pauses(envelope)
            return _wait("paused", f"{' and '.join(paused)} held by a pause", paused=paused)
        case "rate_limit":
            return _rated(place, tools, until=None)
        case reason:
            return _full(reason, tools.gate.bounds(envelope))


def _full(reason: str, bounds: Sequence[Bound]) -> Wait:
    full = [bound for bound in bounds if bound.running >= bound.most]
    shown = [
        {"name": name, "running": running, "most": most} | ({"inAll": whole} if whole else {})
        for name, running, most, whole in full
    ]
    text = ", ".join(
        f"{name} runs {running} of {most}" + (f" here, of {whole} in all" if whole else "")
        for name, running, most, whole in full
    )
    return _wait(reason, text or "a place has just become free", bounds=shown)


def _rated(place: Place, tools: GuildTools, *, until: int | None) -> Wait:
    queue = tools.options.queues[place.envelope.queue]
    bound = {"name": f"queue:{place.envelope.queue}", "most": queue.rate, "windowMs": queue.rate_window}
    text = f"{bound['name']} starts {queue.rate} in {queue.rate_window} ms"
    return _wait("rate_limit", text, until=until, bounds=[bound])


def _timed(place: Place, tools: GuildTools) -> Wait:
    reason = place.reason or "retry"  # a router that has just started knows the time, and its trail the reason
    queue = tools.options.queues.get(place.envelope.queue)
    if reason == "rate_limit" and queue is not None and queue.rate:
        return _rated(place, tools, until=place.until)
    last = place.history[-1] if place.history else None
    said = f" after attempt {last.number} over {last.protocol}: {last.code} {last.message}".rstrip() if last else ""
    return _wait(reason, f"it waits for its next attempt{said}", until=place.until, attempts=place.attempts)


def _ready(lanes: Lanes, tools: GuildTools, *, owned: bool) -> Wait:
    most = tools.options.guild_running
    if not owned:
        return _wait("handover", "its guild is being handed to this router")
    if tools.gate.closed:
        return _wait("stopping", "the router that owns its guild stops; the next one goes on")
    if lanes.running >= most:
        return _full("guild_full", [Bound("guild", lanes.running, most)])
    if tools.gate.is_full:
        return _full("router_full", [Bound("router", tools.gate.running, tools.options.max_running)])
    return _wait("next", "nothing: it starts at once")


def _wait(reason: str, text: str, *, until: int | None = None, **about: Any) -> Wait:
    return {"reason": reason, "text": text, "until": until, **about}
