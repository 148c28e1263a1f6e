"""The Lua scripts, one file each, put together with what they share."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

from actors.policy.operations import NOTHING_CAME_OF_IT
from router.stores.row import WELL

HERE = Path(__file__).parent


class Script:
    """A script as it is loaded, and the name Redis knows it by."""

    def __init__(self, name: str, *shared: str) -> None:
        self.name = name
        self.text = "\n".join(_text(part) for part in (*shared, name))
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


def _text(name: str) -> str:
    if name == "words":
        return _set("NOTHING", NOTHING_CAME_OF_IT) + _set("WELL", WELL)
    return (HERE / f"{name}.lua").read_text(encoding="utf-8")


def _set(name: str, words: frozenset[str]) -> str:
    return f"local {name} = {{{', '.join(f'{word} = true' for word in sorted(words))}}}\n"


WRITE = Script("write", "words", "row")
SWEEP = Script("sweep", "row", "forget")
PURGE = Script("purge", "row", "forget")
PLACED = Script("placed", "row", "read")
DELAYED = Script("delayed", "row", "read")
FIND = Script("find", "row", "read")
DEAD = Script("dead", "row", "read")
TRAIL = Script("trail", "row", "read")
NOTES = Script("notes", "row", "read")
COUNTS = Script("counts", "row", "read")
SIZES = Script("sizes", "row", "read")
FOUND = Script("found")
ENTER = Script("enter")
LOOK = Script("look", "time")
ACQUIRE = Script("acquire", "time")
RENEW = Script("renew", "time")
RELEASE = Script("release")
JOIN = Script("join", "time")
LEAVE = Script("leave")
APPEND = Script("append", "item")
CLAIM = Script("claim", "item")
ACK = Script("ack", "item")
NACK = Script("nack", "item")
EXTEND = Script("extend", "item")
REMOVE = Script("remove", "item")
PURGE_QUEUE = Script("purge_queue", "item")
REPLAY_FAILED = Script("replay_failed", "item")
SWEEP_QUEUE = Script("sweep_queue", "item", "execution")
BEGIN = Script("begin", "item", "execution")
FINISH = Script("finish", "item", "execution")
ANSWERS = Script("answers", "item", "execution")
HEARD = Script("heard", "item", "execution")
PAUSE = Script("pause", "item")

ALL = tuple(each for each in list(globals().values()) if isinstance(each, Script))
