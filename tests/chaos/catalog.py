"""Messages of the chaos runs; imported by router processes only, so that no other test meets them in the catalog."""

from __future__ import annotations

from actors.policy.facts import Backoff
from router.messages.base import Command
from tests.chaos.load import Order

SOON = Backoff(initial=20, cap=100, jitter="full")
SLOWLY = Backoff(initial=500, factor=1.0, cap=500, jitter=0.0)


class Chaos(Command):
    """An order on the wire."""

    mark: str
    lane: str
    text: str = ""
    fails: int = 0
    before: int = 0
    after: int = 0
    reliable: bool = False

    def order(self) -> Order:
        """What the client meant, read from what came."""
        return Order(
            self.type,
            self.guild_id or "",
            self.lane,
            self.mark,
            self.text,
            self.fails,
            self.before,
            self.after,
            self.reliable,
        )


class Step(Chaos, type="CHAOS_STEP", subject="{lane}", idempotent=True, attempts=0, backoff=SOON):
    """Done again after a crash; its key keeps the effect single."""


class Strike(Chaos, type="CHAOS_STRIKE", subject="{lane}", attempts=0, backoff=SOON):
    """Never done twice: after a crash nobody knows, and the sender is told so."""


class Hopeless(Chaos, type="CHAOS_HOPELESS", subject="{lane}", idempotent=True, attempts=3, backoff=SLOWLY):
    """Fails each time."""


class Doomed(Chaos, type="CHAOS_DOOMED", subject="{lane}", idempotent=True, attempts=2, backoff=SOON):
    """Fails each time, and soon."""


class Fatal(Chaos, type="CHAOS_FATAL", subject="{lane}", idempotent=True, attempts=3, backoff=SOON):
    """Ends the whole process each time."""


class Greedy(Chaos, type="CHAOS_GREEDY", subject="{lane}", idempotent=True, attempts=0, backoff=SOON):
    """Keeps the whole interpreter to itself for ``before`` ms, the first time."""


class Tick(Command, type="CHAOS_TICK", subject="clock", idempotent=True, attempts=0, backoff=SOON):
    """What a schedule sends."""


TYPES: dict[str, type[Chaos]] = {kind.type: kind for kind in (Step, Strike, Hopeless, Doomed, Fatal, Greedy)}


def message(order: Order) -> Chaos:
    """An order as the router takes it."""
    return TYPES[order.type](
        guild_id=order.guild,
        mark=order.key,
        lane=order.subject,
        text=order.text,
        fails=order.fails,
        before=order.before,
        after=order.after,
        reliable=order.reliable,
    )
