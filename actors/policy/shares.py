"""Fair shares of the slots that several routers use together.

Every router decides for itself from what all of them want, and the store sees to it that no more are held than there
are: where two see different facts for a moment, one of them gets less for that moment.
"""

from __future__ import annotations

from collections.abc import Mapping

TURN = 250
"""Milliseconds of the store's time for one turn, where there are fewer slots than routers that want one."""


def share_of(me: str, wanted: Mapping[str, int], limit: int, now: int) -> int:
    """How many slots ``me`` should hold. ``wanted`` by router, ``me`` among them; ``now`` by the store's clock.

    Enough for all: what each wants, and of the rest an equal part, so that what comes next starts at once. Not enough:
    who wants little gets it, the others the same (max-min fairness); less than one for each: by turns.
    """
    total = sum(wanted.values())
    if total <= limit:
        return wanted[me] + (limit - total) // len(wanted)
    hungry = sorted(router for router, want in wanted.items() if want)
    if me not in hungry:
        return 0
    if limit < len(hungry):
        return 1 if (hungry.index(me) - now // TURN * limit) % len(hungry) < limit else 0
    return _fair(me, {router: wanted[router] for router in hungry}, limit)


def _fair(me: str, wanted: dict[str, int], limit: int) -> int:
    """The least first: each gets its want or an equal part of what is left; odd ones go to the first by name."""
    left, order = limit, sorted(wanted, key=lambda router: (wanted[router], router))
    for at, router in enumerate(order):
        part, odd = divmod(left, len(order) - at)
        given = min(wanted[router], part)
        if given == part < wanted[router]:  # so do all that follow
            return part + (order[at:].index(me) < odd)
        if router == me:
            return given
        left -= given
    return 0
