"""How long a store remembers what is over."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Bounds in rows and days, whichever is reached first; no record is forgotten within its operation's window."""

    audit_rows: int = 1_000_000  #: of settled envelopes, and as many notes
    audit_days: float = 30
    dead_rows: int = 10_000  #: of dead letters, and as many failed entries in each named queue
    dead_days: float = 180

    def __post_init__(self) -> None:
        for name in ("audit_rows", "audit_days", "dead_rows", "dead_days"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name} must be at least 0, not {value!r}")

    def audit_edge(self, now: int) -> int:
        """What ended at or before this time is past its age."""
        return now - int(self.audit_days * DAY)

    def dead_edge(self, now: int) -> int:
        """What died at or before this time is past its age."""
        return now - int(self.dead_days * DAY)
