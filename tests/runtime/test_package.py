"""The package as outsiders see it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import actors.runtime
from actors.runtime import RuntimeFault, errors

SOURCES = sorted(Path(actors.runtime.__file__).parent.glob("*.py"))


def test_the_facade_exports_what_it_says_sorted() -> None:
    names = actors.runtime.__all__
    assert names == sorted(names, key=str)
    assert all(hasattr(actors.runtime, name) for name in names)
    shown = {
        name for name, one in vars(actors.runtime).items() if not name.startswith("_") and not inspect.ismodule(one)
    }
    assert shown == set(names)


def test_every_error_is_exported_drawn_in_the_tree_and_has_a_code_of_its_own() -> None:
    classes = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, RuntimeFault)]
    codes = [one.code for one in classes]
    assert len(set(codes)) == len(codes)
    for one in classes:
        assert one.__name__ in actors.runtime.__all__
        assert one.__name__ in (errors.__doc__ or "")


def test_the_runtime_knows_nothing_of_the_project() -> None:
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                assert module.split(".")[0] != "router", source.name
                assert not module.startswith("actors") or module.startswith("actors.runtime"), source.name
                assert module != "actors.runtime" or isinstance(node, ast.ImportFrom), source.name


def test_a_repr_that_raises_or_never_ends_does_no_harm() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise ValueError

    assert "Hostile" in errors.safe_repr(Hostile())
    assert len(errors.safe_repr("x" * 10_000)) == 500
