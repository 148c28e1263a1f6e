"""Everything redis-py raises and Redis answers, in one table.

A refusal is the server's word that a command was not done. Whatever else goes wrong after something was sent leaves
doubt: it may have been done.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from redis import exceptions as theirs

from actors.errors import StoreUnavailable


class Meaning(NamedTuple):
    """What an error says about the command."""

    says: str
    refused: bool  #: it was not done


CODES: dict[str, Meaning] = {
    "ASK": Meaning("a slot of the cluster is moving", True),
    "BUSY": Meaning("a script of somebody's keeps Redis busy", True),
    "CLUSTERDOWN": Meaning("the cluster is down", True),
    "CROSSSLOT": Meaning("keys of one script are on several nodes", True),
    "DENIED": Meaning("Redis is in protected mode: it needs a password or a bind address", True),
    "EMPTIED": Meaning("Redis was emptied or replaced; what it held is gone", True),
    "EXECABORT": Meaning("Redis refused a transaction", True),
    "LOADING": Meaning("Redis is still loading its data", True),
    "MASTERDOWN": Meaning("Redis is a replica that has lost its master", True),
    "MAXCLIENTS": Meaning("Redis has no room for another connection", True),
    "MISCONF": Meaning("Redis cannot write its disk and takes no writes", True),
    "MOVED": Meaning("a slot of the cluster has moved", True),
    "NOAUTH": Meaning("Redis wants a password", True),
    "NOPERM": Meaning("the user of Redis may not do this", True),
    "NOREPLICAS": Meaning("Redis has too few replicas to take writes", True),
    "NOSCRIPT": Meaning("Redis keeps forgetting its scripts", True),
    "OOM": Meaning("Redis is out of memory", True),
    "READONLY": Meaning("Redis is a replica and takes no writes", True),
    "TRYAGAIN": Meaning("a slot of the cluster is moving", True),
    "UNKILLABLE": Meaning("a script of somebody's keeps Redis busy", True),
    "WRONGPASS": Meaning("the user name or password of Redis is wrong", True),
}
"""By the first word of an answer, or the word in it when a script met it."""

CLASSES: dict[type[Exception], Meaning] = {
    theirs.AuthenticationWrongNumberOfArgsError: CODES["WRONGPASS"],
    theirs.AuthenticationError: CODES["WRONGPASS"],
    theirs.AuthorizationError: CODES["NOPERM"],
    theirs.NoPermissionError: CODES["NOPERM"],
    theirs.BusyLoadingError: CODES["LOADING"],
    theirs.NoScriptError: CODES["NOSCRIPT"],
    theirs.OutOfMemoryError: CODES["OOM"],
    theirs.ReadOnlyError: CODES["READONLY"],
    theirs.ExecAbortError: CODES["EXECABORT"],
    theirs.TryAgainError: CODES["TRYAGAIN"],
    theirs.ClusterCrossSlotError: CODES["CROSSSLOT"],
    theirs.MovedError: CODES["MOVED"],
    theirs.AskError: CODES["ASK"],
    theirs.MasterDownError: CODES["MASTERDOWN"],
    theirs.ClusterDownError: CODES["CLUSTERDOWN"],
    theirs.MaxConnectionsError: CODES["MAXCLIENTS"],
    theirs.ResponseError: Meaning("Redis could not do it", False),
    theirs.TimeoutError: Meaning("Redis does not answer in time", False),
    theirs.ConnectionError: Meaning("Redis cannot be reached", False),
    theirs.InvalidResponse: Meaning("Redis answers something that is not its protocol", False),
    theirs.RedisClusterException: Meaning("the cluster cannot be reached", False),
    theirs.RedisError: Meaning("Redis cannot be used", False),
    OSError: Meaning("Redis cannot be reached", False),
}
"""The most specific one counts."""

# A script tells what it met in the middle of its own error, with a dash before it up to Redis 6.
_INSIDE = re.compile(r"(?:^|[\s-])(" + "|".join(sorted(CODES)) + r")\b")


def code_of(error: Exception) -> str:
    """The word of the table for an answer; "": there is none."""
    text = str(error)
    if isinstance(error, theirs.AuthenticationError) and text.startswith("Authentication required"):
        return "NOAUTH"
    if isinstance(error, theirs.ConnectionError) and "max number of clients" in text:
        return "MAXCLIENTS"
    if isinstance(error, theirs.ResponseError):
        first = text.partition(" ")[0]
        if first in CODES:
            return first
        match = _INSIDE.search(text)
        if match is not None:
            return match[1]
    known = _by_class(error)
    return next((code for code, meaning in CODES.items() if meaning is known), "")


def meaning_of(error: Exception) -> Meaning:
    """What it says."""
    code = code_of(error)
    return CODES[code] if code else _by_class(error)


def _by_class(error: Exception) -> Meaning:
    for kind in type(error).__mro__:
        if kind in CLASSES:
            return CLASSES[kind]
    return Meaning(f"Redis cannot be used ({type(error).__name__})", False)


def unavailable(error: Exception, where: str, *, sent: bool) -> StoreUnavailable:
    """The engine's error for it; ``sent``: something that may have been done had gone out."""
    meaning = meaning_of(error)
    text = f"{meaning.says} ({where})"
    if not meaning.refused:
        text = f"{text}: {str(error)[:300]}"
    return StoreUnavailable(text, doubt=sent)
