"""What a process said before it was killed stays said, once and whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.history.__main__ import main
from tests.history.events import KINDS, Begin, Effect, End, Event, Invoke, Nemesis, Repeat, dump, load
from tests.history.recorder import LEDGER, Ledger, Recorder, TornLine, read, read_file
from tests.history.story import Story


def test_every_kind_of_line_comes_back_as_it_was(tmp_path: Path) -> None:
    story = Story()
    story.send("g", "s")
    story.answer(lost=True)
    story.send("g", "s", key="k")
    story.send("g", "s", key="k", payload="other")
    story.answer()
    story.answer()
    story.begin()
    story.effect()
    story.kill()
    lines = story.rest()
    assert {type(line) for line in lines} == set(KINDS.values()) - {KINDS["operator"]}
    assert [load(dump(line)) for line in lines] == lines


def test_a_line_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line of a history"):
        load(b'{"event":"surprise"}')


def test_lines_of_many_threads_are_whole_and_in_the_order_of_time(tmp_path: Path) -> None:
    with Recorder(tmp_path, "many") as recorder:

        def talk() -> None:
            for number in range(200):
                recorder.record(Nemesis, action="start", target=f"{number}")

        threads = [threading.Thread(target=talk) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    times = [event.at for event in read_file(tmp_path / "history-many.jsonl")]
    assert len(times) == 800
    assert times == sorted(times)


def run(ledger: Ledger, key: str, idempotent: bool = True) -> bool:
    started = ledger.begin(
        id=f"id-{key}", key=key, payload="p", guild="g", subject="s", attempt=1, sequence=1, idempotent=idempotent
    )
    done = started.effect()
    started.end()
    return done


def test_the_ledger_takes_an_idempotent_key_once_also_in_the_next_life(tmp_path: Path) -> None:
    for by, done in (("one", True), ("two", False)):
        with Recorder(tmp_path, by) as recorder:
            ledger = Ledger(recorder)
            assert run(ledger, "a") is done
            ledger.close()
    kinds = [type(event) for event in read(tmp_path)]
    assert kinds == [Begin, Effect, End, Begin, Repeat, End]


def test_the_ledger_writes_what_is_not_idempotent_each_time(tmp_path: Path) -> None:
    with Recorder(tmp_path, "one") as recorder:
        ledger = Ledger(recorder)
        assert run(ledger, "a", idempotent=False)
        assert run(ledger, "a", idempotent=False)
        ledger.close()
    assert sum(isinstance(event, Effect) for event in read(tmp_path)) == 2


def test_a_line_torn_by_a_kill_is_left_out_and_the_next_life_begins_a_new_one(tmp_path: Path) -> None:
    whole = dump(Effect(at=1, by="one", run="r", id="i", key="k", payload="p", guild="g", subject="s"))
    (tmp_path / LEDGER).write_bytes(whole + whole[:20])
    with Recorder(tmp_path, "two") as recorder:
        ledger = Ledger(recorder)
        assert run(ledger, "b")
        ledger.close()
    keys = [event.key for event in read(tmp_path) if isinstance(event, Effect)]
    assert keys == ["k", "b"]


def test_a_broken_line_in_the_middle_of_a_history_is_an_error(tmp_path: Path) -> None:
    line = dump(Nemesis(at=1, by="n", action="kill", target="t"))
    (tmp_path / "history-n.jsonl").write_bytes(line[:9] + b"\n" + line)
    with pytest.raises(TornLine, match=r"history-n\.jsonl:1"):
        read(tmp_path)


def test_what_a_killed_process_recorded_is_there(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from tests.history.events import Nemesis\n"
        "from tests.history.recorder import Recorder\n"
        "recorder = Recorder(pathlib.Path(sys.argv[1]), 'child')\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    recorder.record(Nemesis, action='start', target=str(number))\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(50)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    known = [event.target for event in read(tmp_path) if isinstance(event, Nemesis)]
    heard = [line.strip() for line in said if line.endswith("\n")]
    assert known[: len(heard)] == heard


def write(folder: Path, lines: list[Event]) -> None:
    for line in lines:
        with (folder / f"history-{line.by}.jsonl").open("ab") as file:
            file.write(dump(line))


def test_the_tool_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["history", str(tmp_path)])
    story = Story()
    story.send("g", "s")
    story.answer()
    write(tmp_path, story.rest())
    assert main() == 0
    assert "nothing found" in capsys.readouterr().out
    late = Invoke(at=story.at + 1, by="late", call="x", key="x", payload="p", guild="other", subject="s")
    write(tmp_path, [late])
    assert main() == 1
    assert "K12: guild other did not handle a probe" in capsys.readouterr().out
