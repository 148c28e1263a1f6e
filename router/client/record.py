"""A bot's dedupe record: what was begun and what came of it, in memory and, where it should outlive the bot, in a file.

The file is a line per step, appended before the handler begins and after it has ended; it survives the end of the
process, however that comes. It is not synced to the disk: after a restart of the machine the record counts as a new one
(``instance``), which is never taken for proof that something did not happen.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from collections import OrderedDict
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from actors.codec import unpack
from actors.outcome import Fault, Outcome, Verdict
from router.frames import frame
from router.frames.to_router import RecordLine
from router.protocols.records import Records
from router.stores.file_lock import FileLock

logger = logging.getLogger("router.client")

VERSION: Final = 1
SEEN: Final = 20_000  # ids of executions that are known to have begun
LINES: Final = 50_000  # of the file, after which it is written anew
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Record:
    """Used on one loop. ``path``: of the file; ``None``: in memory only. Raises ``StoreInUse`` when another has it."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.instance = token_hex(8)
        self._records = Records()
        self._running: dict[str, int] = {}
        self._unfinished: dict[str, int] = {}  #: begun by an earlier process, which did not live to end them
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._forgotten = ""  #: the greatest id that is not in ``_seen`` any more: greater ones were never seen
        self._path = None if path is None else Path(path)
        self._file: int | None = None
        self._lock: FileLock | None = None
        self._lines = 0
        self._since: list[bytes] | None = None  #: lines written while the file is written anew
        self._rewriting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Read the file, if there is one; nothing if it is open."""
        if self._path is None or self._file is not None:
            return
        self._lock = FileLock(f"{self._path}.lock")
        self._lock.acquire()
        try:
            self._read(self._path)
        except BaseException:
            self._lock.release()
            raise

    def _read(self, path: Path) -> None:
        boot = _boot()
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # a torn one has no end
        head = _parsed(lines[0]) if lines else {}
        if head.get("v") == VERSION:
            if boot and head.get("boot") == boot:
                self.instance = str(head["instance"])
            self._forgotten = str(head.get("forgotten", ""))
            for line in lines[1:]:
                self._replay(_parsed(line))
        self._unfinished, self._running = self._running, {}
        _write_whole(path, self._snapshot())
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._lines = 0

    async def close(self) -> None:
        """Let go of the file."""
        if self._rewriting is not None:
            await asyncio.wait({self._rewriting})
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
        if self._lock is not None:
            self._lock.release()

    # ------------------------------------------------------------ executing

    def begin(self, id_: str, attempt: int) -> None:
        """It is about to be executed."""
        self._running[id_] = attempt
        self._unfinished.pop(id_, None)
        self._see(id_)
        self._write({"b": id_, "a": attempt})

    def end(self, id_: str, outcome: Outcome, attempt: int, *, heard: bool) -> None:
        """It was. ``heard``: whoever asked has been told."""
        self._running.pop(id_, None)
        self._records.keep(id_, outcome, attempt, heard=heard)
        self._write({"e": id_, "a": attempt, "h": heard, **_line(outcome)})

    def answer(self, id_: str, attempt: int, *, safe: bool) -> Outcome | None:
        """The answer to a new attempt; ``None``: execute it."""
        begun = self._unfinished.get(id_)
        if begun is not None and not safe and attempt > begun:
            text = "an earlier process of this bot began it, and did not live to say what came of it"
            return Outcome(Verdict.IN_DOUBT, executed=True, fault=Fault("bot_died", text, True))
        return self._records.answer(id_, attempt, safe=safe)

    # ------------------------------------------------------------ asked

    def knows(self, id_: str) -> Outcome | None:
        """What came of it, if that is on record."""
        return self._records.find(id_)

    def line(self, id_: str) -> RecordLine:
        """What there is of it."""
        if id_ in self._running:
            return RecordLine(id=id_, state="running", attempt=self._running[id_])
        known = self._records.find(id_)
        if known is not None:
            return said_of(id_, known, self._records.attempt(id_))
        never = id_ not in self._seen and id_ not in self._unfinished and id_ > self._forgotten
        return RecordLine(id=id_, state="never" if never else "unknown")

    # ------------------------------------------------------------ the file

    def _see(self, id_: str) -> None:
        self._seen.pop(id_, None)
        self._seen[id_] = None
        while len(self._seen) > SEEN:
            gone, _ = self._seen.popitem(last=False)
            self._forgotten = max(self._forgotten, gone)

    def _replay(self, step: dict[str, Any]) -> None:
        if (id_ := step.get("b")) is not None:
            self._running[id_] = step["a"]
            self._see(id_)
        elif (id_ := step.get("e")) is not None:
            self._running.pop(id_, None)
            self._see(id_)
            self._records.keep(id_, _outcome(step), step["a"], heard=step["h"])

    def _write(self, step: dict[str, Any]) -> None:
        if self._file is None:
            return
        line = _dumped(step)
        os.write(self._file, line)
        self._lines += 1
        if self._since is not None:
            self._since.append(line)
        elif self._lines > LINES:
            self._since = []
            self._rewriting = asyncio.get_running_loop().create_task(self._rewrite(self._snapshot()))

    def _snapshot(self) -> list[bytes]:
        kept = self._records.items()
        known = {id_ for id_, _, _ in kept} | self._running.keys() | self._unfinished.keys()
        forgotten = max((self._forgotten, *(id_ for id_ in self._seen if id_ not in known)))
        head = {"v": VERSION, "instance": self.instance, "boot": _boot(), "forgotten": forgotten}
        lines = [_dumped(head)]
        lines += [_dumped({"e": id_, "a": attempt, "h": False, **_line(outcome)}) for id_, outcome, attempt in kept]
        lines += [_dumped({"b": id_, "a": attempt}) for id_, attempt in (self._unfinished | self._running).items()]
        return lines

    async def _rewrite(self, lines: list[bytes]) -> None:
        assert self._path is not None  # noqa: S101 - there is a file, or nothing is written
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            await asyncio.to_thread(_write_to, fresh, lines)
            since, self._since = self._since or [], None
            file = os.open(fresh, os.O_WRONLY | os.O_APPEND)
            os.write(file, b"".join(since))
            fresh.replace(self._path)
        except OSError:
            logger.exception("the record of this bot cannot be written anew; the old file goes on")
            self._since, self._lines = None, 0
            return
        former, self._file = self._file, file
        if former is not None:
            os.close(former)
        self._lines = len(lines) + len(since)


def said_of(id_: str, outcome: Outcome, attempt: int) -> RecordLine:
    """A line about what is done."""
    return RecordLine(
        id=id_,
        state="done",
        attempt=attempt,
        outcome=outcome.verdict.value,
        noop=outcome.noop,
        data=unpack(outcome.data) if outcome.data else None,
        error=fault_of(outcome),
        retry_after=outcome.retry_after,
    )


def fault_of(outcome: Outcome) -> frame.Fault | None:
    """As a frame has it."""
    if outcome.fault is None:
        return None
    code, message, retryable, retry_after = outcome.fault
    return frame.Fault(code=code or "error", message=message, retryable=retryable, retry_after=retry_after)


def _boot() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def _line(outcome: Outcome) -> dict[str, Any]:
    return {
        "o": outcome.verdict.value,
        "d": base64.b64encode(outcome.data).decode(),
        "n": outcome.noop,
        "x": outcome.executed,
        "f": outcome.fault,
    }


def _outcome(step: dict[str, Any]) -> Outcome:
    fault = None if step["f"] is None else Fault._make(step["f"])
    return Outcome(Verdict(step["o"]), base64.b64decode(step["d"]), step["n"], step["x"], fault)


def _dumped(step: dict[str, Any]) -> bytes:
    return json.dumps(step, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        step = json.loads(line)
    except ValueError:
        return {}  # torn in the middle by the end of a machine; a new instance then, and no proof of anything
    return step if isinstance(step, dict) else {}


def _write_to(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def _write_whole(path: Path, lines: list[bytes]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    _write_to(fresh, lines)
    fresh.replace(path)
