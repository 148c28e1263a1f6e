"""A bot's record: what it proves, what outlives the process, and its bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors.codec import pack
from actors.errors import StoreInUse
from actors.outcome import Fault, Outcome, Verdict
from router.client import record as module
from router.client.record import Record

APPLIED = Outcome(Verdict.APPLIED, pack({"a": 1}), executed=True)
FAILED = Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault("handler_error", "away", True))


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 10))


def opened(path: Path) -> Record:
    record = Record(path)
    record.open()
    return record


def state(record: Record, id_: str) -> str:
    return record.line(id_).state


def test_what_was_never_begun_running_and_done_is_told_apart() -> None:
    record = Record()
    assert state(record, "a") == "never"
    record.begin("a", 1)
    assert (state(record, "a"), record.line("a").attempt) == ("running", 1)
    record.end("a", APPLIED, 1, heard=True)
    line = record.line("a")
    assert (line.state, line.outcome, line.data, line.attempt) == ("done", "applied", {"a": 1}, 1)
    assert record.answer("a", 2, safe=True) == APPLIED


def test_a_failure_that_was_heard_is_executed_again_and_is_no_proof_of_anything() -> None:
    record = Record()
    record.begin("a", 1)
    record.end("a", FAILED, 1, heard=True)
    assert record.answer("a", 2, safe=False) is None
    assert state(record, "a") == "unknown"


def test_a_failure_nobody_heard_of_is_told_once() -> None:
    record = Record()
    record.begin("a", 1)
    record.end("a", FAILED, 1, heard=False)
    assert record.line("a").outcome == "not_applied"
    assert record.answer("a", 2, safe=False) == FAILED
    assert record.answer("a", 3, safe=False) is None


def test_what_was_done_outlives_the_process(tmp_path: Path) -> None:
    async def story() -> None:
        record = opened(tmp_path / "record")
        record.begin("a", 1)
        record.end("a", APPLIED, 1, heard=True)
        await record.close()
        again = opened(tmp_path / "record")
        assert again.instance == record.instance  # so that "never" is a proof also over the restart
        assert again.line("a").data == {"a": 1}
        assert state(again, "b") == "never"
        await again.close()

    run(story)


def test_what_an_earlier_process_had_begun_is_unknown_and_not_done_again_unless_that_is_safe(tmp_path: Path) -> None:
    async def story() -> None:
        record = opened(tmp_path / "record")
        record.begin("a", 1)
        await record.close()  # as if killed: there is no end
        for _ in range(2):  # also over a second restart
            again = opened(tmp_path / "record")
            assert state(again, "a") == "unknown"
            doubt = again.answer("a", 2, safe=False)
            assert doubt is not None
            assert doubt.verdict is Verdict.IN_DOUBT
            assert again.answer("a", 2, safe=True) is None
            assert again.answer("a", 1, safe=False) is None  # a new life, which an operator gave it
            await again.close()

    run(story)


def test_a_line_that_was_torn_off_is_left_out(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "record"
        record = opened(path)
        record.begin("a", 1)
        record.end("a", APPLIED, 1, heard=True)
        await record.close()
        with path.open("ab") as file:
            file.write(b'{"b":"b","a"')
        again = opened(path)
        assert (state(again, "a"), state(again, "b")) == ("done", "never")
        await again.close()

    run(story)


def test_after_a_restart_of_the_machine_it_is_another_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        boot = tmp_path / "boot_id"
        monkeypatch.setattr(module, "_BOOT", boot)
        boot.write_text("one\n")
        record = opened(tmp_path / "record")
        record.begin("a", 1)
        record.end("a", APPLIED, 1, heard=True)
        await record.close()
        boot.write_text("two\n")
        again = opened(tmp_path / "record")
        assert again.instance != record.instance
        assert state(again, "a") == "done"  # what it has it has; only what is missing proves nothing
        await again.close()

    run(story)


def test_what_is_no_record_is_begun_anew(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "record"
        path.write_bytes(b"\x00\xff nonsense\n{}\n")
        record = opened(path)
        record.begin("a", 1)
        assert json.loads(path.read_bytes().splitlines()[0])["instance"] == record.instance
        await record.close()

    run(story)


def test_it_is_written_anew_before_it_grows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(module, "LINES", 100)
        path = tmp_path / "record"
        record = opened(path)
        for number in range(500):
            record.begin(f"id-{number:04}", 1)
            record.end(f"id-{number:04}", FAILED, 1, heard=True)
            if number % 100 == 0 and record._rewriting is not None:
                await asyncio.wait({record._rewriting})  # what came meanwhile is in the new file, too
        record.begin("running", 1)
        record.begin("done", 1)
        record.end("done", APPLIED, 1, heard=True)
        await record.close()
        assert len(path.read_bytes().splitlines()) < 400
        again = opened(path)
        assert (state(again, "running"), state(again, "done")) == ("unknown", "done")
        assert state(again, "id-0001") == "unknown"  # it was begun, and what came of it is forgotten
        assert state(again, "id-9999") == "never"
        await again.close()

    run(story)


def test_a_file_that_cannot_be_written_anew_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(module, "LINES", 10)
        (tmp_path / "record.new").mkdir()
        with pytest.raises(OSError, match=r"record\.new"):  # at the start it is said at once
            opened(tmp_path / "record")
        (tmp_path / "record.new").rmdir()
        record = opened(tmp_path / "record")
        (tmp_path / "record.new").mkdir()
        for number in range(50):
            record.begin(f"id-{number:02}", 1)
            record.end(f"id-{number:02}", APPLIED, 1, heard=True)
            await asyncio.sleep(0)
        await record.close()
        (tmp_path / "record.new").rmdir()
        again = opened(tmp_path / "record")
        assert {state(again, f"id-{number:02}") for number in range(50)} == {"done"}
        await again.close()

    run(story)


def test_ids_that_were_forgotten_for_want_of_room_are_never_called_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEEN", 10)
    record = Record()
    for number in range(20):
        record.begin(f"id-{number:02}", 1)
        record.end(f"id-{number:02}", FAILED, 1, heard=True)
    assert {state(record, f"id-{number:02}") for number in range(20)} == {"unknown"}
    assert state(record, "id-20") == "never"


def test_two_processes_cannot_keep_one_record(tmp_path: Path) -> None:
    async def story() -> None:
        record = opened(tmp_path / "record")
        with pytest.raises(StoreInUse):
            opened(tmp_path / "record")
        await record.close()
        await opened(tmp_path / "record").close()

    run(story)
