"""What intake asks of the store where rates hold over all routers: a slice of commands at once, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence

from actors.envelope import Envelope
from actors.errors import StoreError, StoreUnavailable
from actors.options import Options
from actors.rates import Rated, Rates, Spent

SECOND = 1_000


class Meter:
    """The shared rates of guilds, users and types. Not thread-safe.

    After a question without an answer the store is left alone for ``store_retry`` ms, and nobody waits for it.
    """

    def __init__(self, rates: Rates, options: Options) -> None:
        self._rates = rates
        self._guild = options.guild_rate
        self._user = options.user_rate
        self._types = _types(options)
        self._rest = options.store_retry
        self._until = 0
        self._why = ""

    def levels(self, envelope: Envelope) -> list[Rated]:
        """Those whose rate bounds this command; mostly none."""
        found = []
        if self._guild:
            found.append(Rated("guild", envelope.guild, self._guild, SECOND))
        if self._user and envelope.user:
            found.append(Rated("user", envelope.user, self._user, SECOND))
        if envelope.type in self._types:
            found.append(self._types[envelope.type])
        return found

    def take(self, asked: Sequence[Sequence[Rated]], now: int) -> list[Spent | None]:
        """As ``Rates.take``; raises ``StoreUnavailable`` with a time to come back."""
        if now < self._until:
            raise self._unavailable()
        try:
            return self._rates.take(asked)
        except StoreError as error:
            self._until, self._why = now + self._rest, str(error)
            raise self._unavailable() from error

    def close(self) -> None:
        """Let go of the connection."""
        self._rates.close()

    def _unavailable(self) -> StoreUnavailable:
        text = f"the store that counts for all routers could not be asked, and nothing was stored: {self._why}"
        return StoreUnavailable(text, retry_after=max(1_000, self._rest))


def is_metered(options: Options) -> bool:
    """Whether there is a rate that holds over all routers."""
    return bool(options.guild_rate or options.user_rate or _types(options))


def _types(options: Options) -> dict[str, Rated]:
    return {name: Rated("type", name, kind.rate, kind.rate_window) for name, kind in options.types.items() if kind.rate}
