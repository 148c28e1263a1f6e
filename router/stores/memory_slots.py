"""Slots that are counted over all handles of a ``MemoryHub``."""

from __future__ import annotations

from collections.abc import Sequence

from actors.sharing import Told
from actors.slots import SLOTS, Claim, Standing
from router.stores.memory_hub import MemoryHub, Slotted

NOTHING = Slotted(0, 0, 0)


class MemorySlots:
    """``Slots``."""

    def __init__(self, hub: MemoryHub, router: str) -> None:
        self._hub = hub
        self._router = router
        self._news = False

    def open(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """Nor to let go of."""

    def claim(self, claims: Sequence[Claim], ttl: int) -> tuple[int, list[Standing]]:
        self._hub.reach(self._router)
        self._news = False
        now = self._hub.clock()
        with self._hub.lock:
            stands = [self._claim(claim, now, ttl) for claim in claims]
        if self._news:
            self._hub.tell(Told(SLOTS, b""), but=self._router)
        return now, stands

    def _claim(self, claim: Claim, now: int, ttl: int) -> Standing:
        level = self._hub.slots.setdefault(claim.level, {})
        for router in [router for router, slotted in level.items() if slotted.until <= now]:
            del level[router]
        before = level.pop(self._router, NOTHING)
        others = dict(level)
        taken = sum(slotted.held for slotted in others.values())
        held = max(claim.keep, min(claim.target, claim.limit - taken))
        if held or claim.wanted:
            level[self._router] = Slotted(held, claim.wanted, now + ttl)
        hungry = any(slotted.wanted > slotted.held for slotted in others.values())
        if (before.held > held and hungry) or (claim.wanted > held and before.wanted <= before.held):
            self._news = True
        return Standing(held, {router: slotted.wanted for router, slotted in others.items()})
