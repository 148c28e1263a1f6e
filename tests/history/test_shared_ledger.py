"""The ledger of many processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.history.checker import check
from tests.history.events import Effect, Repeat
from tests.history.recorder import LEDGER, Recorder, read, read_file
from tests.history.shared_ledger import Fenced, SharedLedger


def ledger(folder: Path, by: str) -> SharedLedger:
    return SharedLedger(Recorder(folder, by))


def begin(at: SharedLedger, token: int, key: str = "k", **more: Any) -> Any:
    fields = {"id": f"e-{key}", "payload": "p", "guild": "g", "subject": "s", "attempt": 1, "sequence": 1}
    return at.begin(key=key, token=token, **{**fields, **more})


def test_what_one_process_did_another_one_knows(tmp_path: Path) -> None:
    one, two = ledger(tmp_path, "one"), ledger(tmp_path, "two")
    assert begin(one, 1).effect()
    assert not begin(two, 2, attempt=2).effect()
    assert [event.by for event in read_file(tmp_path / LEDGER)] == ["one"]
    assert [event.by for event in read(tmp_path) if isinstance(event, Repeat)] == ["two"]


def test_an_old_token_neither_begins_nor_takes_effect(tmp_path: Path) -> None:
    old, new = ledger(tmp_path, "old"), ledger(tmp_path, "new")
    run = begin(old, 1)
    again = begin(new, 2, attempt=2)
    with pytest.raises(Fenced):
        run.effect()
    with pytest.raises(Fenced):
        begin(old, 1, "other")
    assert again.effect()
    (effect,) = [event for event in read(tmp_path) if isinstance(event, Effect)]
    assert effect.token == 2
    assert not [found for found in check(read(tmp_path)) if found.rule in ("K5", "K7")]


def test_tokens_of_one_guild_say_nothing_of_another(tmp_path: Path) -> None:
    one = ledger(tmp_path, "one")
    begin(one, 9)
    assert begin(one, 1, "k2", guild="h").effect()


def test_a_line_torn_by_a_kill_does_not_stop_the_others(tmp_path: Path) -> None:
    one, two = ledger(tmp_path, "one"), ledger(tmp_path, "two")
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(b'{"event":"eff\n')
    assert begin(one, 1).effect()
    assert not begin(two, 1).effect()
