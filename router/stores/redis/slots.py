"""Slots that are counted over all routers: a connection of its own, with the patience of a lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.errors import StoreUnavailable
from actors.slots import Claim, Standing
from router.stores.redis.link import Link, run_script
from router.stores.redis.names import Names
from router.stores.redis.scripts import SHARE


class RedisSlots:
    """``Slots``. ``numbers`` rise from claim to claim, over restarts of whoever makes them too."""

    def __init__(self, link: Link, names: Names, router: str, numbers: Iterator[int]) -> None:
        self._link = link
        self._names = names
        self._router = router
        self._numbers = numbers

    def open(self) -> None:
        """When it is first asked."""

    def close(self) -> None:
        self._link.close()

    def claim(self, claims: Sequence[Claim], ttl: int) -> tuple[int, list[Standing]]:
        keys = [self._names.slots(claim.level) for claim in claims]
        words = [word for claim in claims for word in (claim.limit, claim.keep, claim.wanted, claim.target)]
        head = (self._router, next(self._numbers), ttl, self._names.everybody)
        answer = self._link.ask(run_script(SHARE, keys, *head, *words), writes=True)
        if not answer:
            raise StoreUnavailable("a later claim was there before")
        now, *stands = answer
        return now, [
            Standing(held, {name.decode(): wanted for name, wanted in zip(others[::2], others[1::2], strict=True)})
            for held, *others in stands
        ]
