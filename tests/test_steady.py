"""The promise of the suite's conftest: the examples of a property are the same in every run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def _examples() -> list[tuple[int, str]]:
    drawn: list[tuple[int, str]] = []

    @settings(settings.get_profile("steady"), max_examples=200)
    @given(st.integers(0, 10**6), st.text(max_size=30))
    def run(number: int, word: str) -> None:
        drawn.append((number, word))

    run()
    return drawn


@pytest.mark.skipif(settings.get_current_profile_name() != "steady", reason="others are drawn in every run, as wanted")
def test_examples_do_not_depend_on_what_else_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _examples()
    file = tmp_path / "newcomer.py"
    file.write_text("NUMBERS = " + repr([(424_242 + at, f"newcomer {at}") for at in range(100)]))
    spec = importlib.util.spec_from_file_location("newcomer", file)
    assert spec is not None
    monkeypatch.setitem(sys.modules, "newcomer", importlib.util.module_from_spec(spec))
    assert _examples() == before
