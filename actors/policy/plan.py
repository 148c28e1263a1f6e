"""The plan: over which protocols a command is tried, in which order.

The chains are the product's defaults. A command whose sender asked for nothing goes to a connected bot, else is done in
this process: it is stored already, so a detour through a named queue would cost two writes and buy nothing. Scheduled
tasks go the reliable way, since nobody waits for them. Whoever asks for both gets the reliable way: late is better
than lost.

With Redis down ``queue`` is not reachable, and what remains is ``websocket``, ``rest``, ``direct``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from actors.envelope import Envelope
from actors.policy.facts import Facts


@dataclass(frozen=True, slots=True)
class Chains:
    """The order of protocols for each requirement."""

    realtime: tuple[str, ...] = ("websocket", "queue", "rest", "direct")
    reliable: tuple[str, ...] = ("queue", "websocket", "rest", "direct")
    plain: tuple[str, ...] = ("websocket", "direct", "queue", "rest")


DEFAULT_CHAINS = Chains()


def plan(
    envelope: Envelope, facts: Facts, reachable: Collection[str], chains: Chains = DEFAULT_CHAINS
) -> tuple[str, ...]:
    """The reachable protocols in the order to try them, each once; empty: nobody can execute it now.

    The sender's own ``protocols``, if given, are the whole plan. Otherwise the chain of its requirement, and then, by
    name, reachable protocols that no chain knows.
    """
    if envelope.protocols:
        return tuple(name for name in dict.fromkeys(envelope.protocols) if name in reachable)
    if envelope.reliable:
        chain = chains.reliable
    elif envelope.realtime:
        chain = chains.realtime
    else:
        chain = chains.reliable if facts.kind == "task" else chains.plain
    known = tuple(name for name in dict.fromkeys(chain) if name in reachable)
    if len(known) == len(reachable):
        return known
    return known + tuple(sorted({name for name in reachable if name not in chain}))
