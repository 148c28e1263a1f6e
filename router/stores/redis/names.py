"""Names of keys and channels. Part of the wire: described in ``docs/wire.md``."""

from __future__ import annotations

from urllib.parse import quote


class Names:
    """Of one deployment.

    What belongs together has one hash tag, so that a script may touch all of it in a cluster: a partition's data
    ``{PREFIX:pN}:...``, a named queue's ``{PREFIX:q:QUEUE}:...``.
    """

    def __init__(self, prefix: str, db: int, partitions: int) -> None:
        self.deployment = f"{prefix}:meta"
        self.members = f"{prefix}:members"
        self.queues = f"{prefix}:names"
        self.paused = f"{prefix}:paused"
        self.workers = f"{prefix}:workers"
        self.schedules = f"{{{prefix}:schedules}}:meta"
        self.partitions = [f"{{{prefix}:p{number}}}:meta" for number in range(partitions)]
        self._rates = f"{{{prefix}:rates}}:"
        # Channels know no databases.
        self.channel = f"{prefix}:{db}:to:"
        self.everybody = f"{prefix}:{db}:all"
        self.outcomes = f"{prefix}:{db}:outcomes:"
        self._bell = f"{prefix}:{db}:came:"
        self._queue = f"{{{prefix}:q:%s}}:meta"

    def queue(self, name: str) -> str:
        """The key that stands for a named queue."""
        return self._queue % quote(name, safe=":")

    def rate(self, kind: str, name: str) -> str:
        """The key of a level whose rate is bounded. All are in one slot, so that a command takes of all or of none."""
        plain = name.isascii() and name.isalnum()  # snowflakes are; thousands of them in a slice
        return f"{self._rates}{kind}:{name if plain else quote(name, safe=':')}"

    def rates_asked(self, router: str) -> str:
        """What begins the keys of what a router asked of them last."""
        return f"{self._rates}asked:{router}"

    def slots(self, level: str) -> str:
        """The key of who holds how many slots of a level; in the slot of the rates, so that one step does for all."""
        return f"{self._rates}slots:{quote(level, safe=':')}"

    def bell(self, name: str) -> str:
        """The channel on which it is said that something came into a named queue."""
        return self._bell + name
