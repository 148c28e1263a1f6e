"""Close codes: why a connection ended, as both ends read it."""

from __future__ import annotations

from enum import IntEnum


class Close(IntEnum):
    """Of the private range; the last three digits are those of the HTTP status that says the same."""

    BAD_FRAME = 4400  #: a frame that cannot be read, or too many that are unfit
    UNAUTHORIZED = 4401  #: no token, or one nobody knows
    FORBIDDEN = 4403
    HELLO_TIMEOUT = 4408  #: no ``hello`` in time
    REPLACED = 4409  #: the same bot has connected again
    TOO_MANY = 4429  #: a bound of this connection
    SLOW_READER = 4430  #: what was sent to it was not read in time
    GOING_AWAY = 1001
    RESTARTING = 1012
    TOO_BIG = 1009
