"""Rules of the house that can be checked by looking."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("actors", "router", "tests", "examples", "benchmarks")


def sources(*folders: str, suffix: str = ".py") -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            yield path.relative_to(ROOT), path.read_text("utf-8")


def test_imports_point_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [lint, "--config", "setup.cfg", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_no_test_sleeps_without_saying_why_real_time_is_its_promise() -> None:
    call = re.compile(r"\bsleep\(")
    fine = re.compile(r"asyncio\.sleep\(0\)|# real time: |re\.compile")
    found = [
        f"{path}:{number}"
        for path, text in sources("tests")
        for number, line in enumerate(text.splitlines(), 1)
        if call.search(line) and not fine.search(line)
    ]
    assert not found


def test_every_exemption_carries_its_reason() -> None:
    exemption = re.compile(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[a-z-, ]+\])(?P<reason>.*)$")
    bare = re.compile(r"#\s*(noqa|type: ignore)\s*($|#)")
    found = []
    for path, text in sources("actors", "router"):
        explained: set[str] = set()
        for number, line in enumerate(text.splitlines(), 1):
            match = exemption.search(line)
            if bare.search(line):
                found.append(f"{path}:{number}: {line.strip()}")
            elif match:
                # the same exemption again in one file need not be explained again
                if not match["reason"].strip(" -#") and match[1].strip() not in explained:
                    found.append(f"{path}:{number}: {line.strip()}")
                explained.add(match[1].strip())
    assert not found


def test_nothing_names_a_machine() -> None:
    path_of_a_machine = re.compile(r"(?<![\w.:/])/(tmp|work|root|home|farm)/[a-z]")
    texts = [
        *sources(*CODE),
        *sources(".", suffix=".md"),
        *sources("docs", suffix=".md"),
        *((Path(name), (ROOT / name).read_text()) for name in ("Makefile", "setup.cfg", "pyproject.toml", ".ci/run")),
    ]
    found = [
        f"{path}:{line.strip()}"
        for path, text in texts
        if ".venv" not in path.parts
        for line in text.splitlines()
        if path_of_a_machine.search(line)
    ]
    assert not found


@pytest.mark.parametrize("package", ["actors", "actors.runtime", "router", "router.messages"])
def test_a_facade_exports_what_exists_sorted(package: str) -> None:
    module = importlib.import_module(package)
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(exported)
    for name in exported:
        assert hasattr(module, name), name


def test_every_module_can_be_imported_by_itself_and_says_what_it_is() -> None:
    for package in ("actors", "router"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if module.name != "router.__main__":
                assert importlib.import_module(module.name).__doc__, f"{module.name} has no docstring"


def test_every_library_that_is_imported_is_declared() -> None:
    declared = {
        re.split(r"[\[<>=]", line.strip(), maxsplit=1)[0].lower().replace("-", "_")
        for line in (ROOT / "setup.cfg").read_text().splitlines()
        if re.fullmatch(r"    [A-Za-z0-9_.-]+(\[[a-z]+\])?[<>=].*", line)
    }
    declared |= {"pydantic_core", "annotated_types", "starlette", "h11", "uvloop"}  # each comes with its parent
    known = set(sys.stdlib_module_names) | {"actors", "router"} | declared
    imported = re.compile(r"^\s*(?:import|from) ([A-Za-z0-9_]+)", re.MULTILINE)
    found = {
        f"{path}: {name}"
        for path, text in sources("actors", "router")
        for name in imported.findall(text)
        if name not in known
    }
    assert not found


def test_the_license_and_the_version_are_where_they_are_looked_for() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert "guild-router contributors" in (ROOT / "LICENSE").read_text()
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
