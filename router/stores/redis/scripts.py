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
ACQUIRE = Script("acquire", "time", "life")
RENEW = Script("renew", "time", "life")
RELEASE = Script("release")
JOIN = Script("join", "time")
LEAVE = Script("leave")
TAKE = Script("take", "time")
GIVE_BACK = Script("give_back")
SHARE = Script("share", "time")
APPEND = Script("append", "receipt", "item")
CLAIM = Script("claim", "receipt", "item")
ACK = Script("ack", "receipt", "item")
NACK = Script("nack", "receipt", "item")
EXTEND = Script("extend", "receipt", "item")
REMOVE = Script("remove", "receipt", "item")
PURGE_QUEUE = Script("purge_queue", "receipt", "item")
REPLAY_FAILED = Script("replay_failed", "receipt", "item")
SWEEP_QUEUE = Script("sweep_queue", "receipt", "item", "execution")
FORGET_QUEUE = Script("forget_queue", "receipt")
UNLIST = Script("unlist")
FREE = Script("free", "receipt", "item")
DISMISS = Script("dismiss")
BEGIN = Script("begin", "receipt", "item", "execution")
FINISH = Script("finish", "receipt", "item", "execution")
ANSWERS = Script("answers", "receipt", "item", "execution")
PAUSE = Script("pause", "receipt", "item")
PUT_SCHEDULE = Script("put_schedule", "receipt", "schedule")
REMOVE_SCHEDULE = Script("remove_schedule", "receipt", "schedule")
PAUSE_SCHEDULE = Script("pause_schedule", "receipt", "schedule")
CLAIM_DUE = Script("claim_due", "receipt", "schedule")
NEXT_DUE = Script("next_due", "receipt", "schedule")
FIRE = Script("fire", "receipt", "schedule")

ALL = tuple(each for each in list(globals().values()) if isinstance(each, Script))
