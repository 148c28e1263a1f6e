"""The page of promises is true: each stands there once, and every test it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
GROUPS = {"Q": 26, "D": 12, "M": 24, "K": 12}
SHOWN, _, NOT_SHOWN = PAGE.partition("## Not shown")
ROWS = re.findall(r"^\| ([A-Z]\d+) \| (.*) \|$", SHOWN, re.MULTILINE)
NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_\w+)`")


@cache
def defined_in(path: str) -> frozenset[str]:
    """The functions and methods of a file that pytest or a conformance suite runs."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def named_after(name: str) -> Iterator[str]:
    """The promises in the name of a test: of ``test_q10_m15_a_handler`` Q10 and M15."""
    for word in name.split("_")[1:]:
        if not re.fullmatch(r"[qdm]\d+", word):
            return
        yield word.upper()


def test_every_promise_stands_there_once() -> None:
    wanted = [f"{group}{number}" for group, count in GROUPS.items() for number in range(1, count + 1)]
    assert sorted(id_ for id_, _ in ROWS) == sorted(wanted)


@pytest.mark.parametrize("group", GROUPS)
def test_promises_stand_in_their_order(group: str) -> None:
    numbers = [int(id_[1:]) for id_, _ in ROWS if id_[0] == group]
    assert numbers == sorted(numbers)


def test_every_test_that_is_named_exists() -> None:
    found = NAMED.findall(PAGE)
    assert len(found) > 100
    assert [f"{path}::{name}" for path, name in found if name not in defined_in(path)] == []


def test_every_promise_names_a_test() -> None:
    assert [id_ for id_, row in ROWS if not NAMED.search(row)] == []


def test_what_is_not_shown_is_of_a_promise() -> None:
    named = re.findall(r"^\| ([A-Z]\d+(?:, [A-Z]\d+)*) \|", NOT_SHOWN, re.MULTILINE)
    assert named
    assert {id_ for ids in named for id_ in ids.split(", ")} <= dict(ROWS).keys()


def test_a_test_that_is_named_after_a_promise_stands_beside_it() -> None:
    rows = dict(ROWS)
    found = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        for name in defined_in(path):
            for id_ in named_after(name):
                if (path, name) not in NAMED.findall(rows[id_]):
                    found.append(f"{id_}: {path}::{name}")
    assert found == []
