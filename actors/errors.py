"""The engine's errors.

::

    EngineError
    ├── Refused                      the door says no; nothing is stored
    │   ├── Limited                  which limit is in ``limit``; retry after ``retry_after`` ms
    │   │   ├── Overloaded           a bound, a full mailbox, shedding
    │   │   └── RateLimited          too many of this guild, user or type in too short a time
    │   ├── KeyReusedError           idempotency key used for another payload; never retry
    │   ├── ClockSkew                the sender's timestamp is beyond the tolerance; retry after mending the clock
    │   ├── Expired                  its deadline had passed when it came
    │   ├── SequenceGap              too many messages wait for an earlier number of their sender
    │   ├── SequenceRepeat           a message of this number came before
    │   └── ShuttingDown             retry elsewhere, or after the restart
    ├── OwnerAway                    the router that owns the guild could not be asked; retry
    ├── StoreError
    │   ├── StoreUnavailable         retry later; the batch was not written, or (``doubt``) may have been
    │   │   └── StoreDoubt           it may have been stored: repeat it with the same id or idempotency key
    │   ├── StoreInUse               another process holds it
    │   └── StoreVersion             written by a newer version
    └── EnvelopeError                not a valid frame; never retry

Every class has a stable ``code``, says whether a retry helps (``retryable``) and when (``retry_after``, ms).
"""

from __future__ import annotations

from typing import ClassVar

from actors.outcome import Fault


class EngineError(Exception):
    """Anything the engine raises on purpose."""

    code: ClassVar[str] = "engine_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def fault(self) -> Fault:
        """The same, as a value that can travel."""
        return Fault(self.code, str(self), self.retryable, self.retry_after)


class Refused(EngineError):
    """The door says no; nothing is stored."""

    code = "refused"


class Limited(Refused):
    """A limit was reached: ``limit`` says which, ``position`` how many commands of its guild were before it."""

    code = "limited"
    retryable = True

    def __init__(self, message: str, *, retry_after: int = 0, limit: str = "", position: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        self.position = position


class Overloaded(Limited):
    """A bound was hit."""

    code = "overloaded"


class RateLimited(Limited):
    """Too many in too short a time."""

    code = "rate_limited"


class KeyReusedError(Refused):
    """The idempotency key belongs to another payload."""

    code = "idempotency_key_reused"


class ClockSkew(Refused):
    """The sender's timestamp is too far from ours."""

    code = "clock_skew"


class Expired(Refused):
    """The deadline had passed when it came."""

    code = "expired"


class SequenceGap(Refused):
    """Too many messages wait for an earlier number of their sender."""

    code = "sequence_gap"
    retryable = True


class SequenceRepeat(Refused):
    """A message of this number came before."""

    code = "sequence_repeat"


class ShuttingDown(Refused):
    """The router takes no more work."""

    code = "shutting_down"
    retryable = True


class OwnerAway(EngineError):
    """The guild is another router's, and that one did not answer, or it has just changed hands."""

    code = "owner_away"
    retryable = True


class StoreError(EngineError):
    """The store cannot do what was asked."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """The store cannot be reached or cannot write.

    ``doubt``: it was asked to write and gave no answer, so that it may have been written. Else nothing was.
    """

    code = "store_unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after: int = 0, doubt: bool = False) -> None:
        super().__init__(message, retry_after=retry_after)
        self.doubt = doubt


class StoreDoubt(StoreUnavailable):
    """A command may have been stored or not, and the store could not be asked again in time.

    Whoever sends it again under the same id or idempotency key gets what became of it, and starts nothing twice.
    """

    code = "store_doubt"

    def __init__(self, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message, retry_after=retry_after, doubt=True)


class StoreInUse(StoreError):
    """Another process holds the store."""

    code = "store_in_use"


class StoreVersion(StoreError):
    """The store was written by a newer version."""

    code = "store_version"


class EnvelopeError(EngineError):
    """The bytes are not a valid frame; ``field`` says where."""

    code = "bad_envelope"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
