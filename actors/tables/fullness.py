"""How full named queues are, as far as this process knows: so that not every append has to ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from actors.entries import Entry
from actors.errors import Overloaded
from actors.policy.consuming import QueueRules

FRESH = 1_000  # ms a count is good for; others append as well, but not half of what fits in
FULL = 1_000  # ms; advice when to come back to a full queue
MANY = 1_000  # queues whose count is kept

Count = Callable[[Sequence[str]], Sequence[int]]


class Fullness:
    """Of the thread on which the store is asked.

    A count that was read lately, with what was appended since, is never too small but for what others appended. Below
    half of what fits it will do; above, the store is asked each time, so one that is too large does no harm.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}  # (when it was read, entries)

    def refusals(
        self, asked: Sequence[Sequence[Entry]], rules: Callable[[str], QueueRules], now: int, count: Count
    ) -> list[Overloaded | None]:
        """Count them in, each of ``asked`` whole or not. ``count(queues)`` asks the store how many wait in each."""
        if len(self._known) > MANY:
            self._known.clear()  # of most of these a count is good no more
        coming = Counter(entry.queue for entries in asked for entry in entries)
        most = {queue: rules(queue).depth for queue in coming}
        unsure = [queue for queue, more in coming.items() if not self._is_roomy(queue, more, most[queue], now)]
        if unsure:
            self._known |= zip(unsure, ((now, waiting) for waiting in count(unsure)), strict=True)
        return [self._refusal(Counter(entry.queue for entry in entries), most) for entries in asked]

    def _refusal(self, coming: Mapping[str, int], most: Mapping[str, int]) -> Overloaded | None:
        for queue, more in coming.items():
            waiting = self._known[queue][1]
            if waiting + more > most[queue]:
                return Overloaded(f"{waiting} entries wait in {queue}", retry_after=FULL)
        for queue, more in coming.items():
            read_at, waiting = self._known[queue]
            self._known[queue] = (read_at, waiting + more)
        return None

    def _is_roomy(self, queue: str, more: int, most: int, now: int) -> bool:
        known = self._known.get(queue)
        return known is not None and 0 <= now - known[0] < FRESH and 2 * (known[1] + more) <= most
