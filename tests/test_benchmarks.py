"""The benchmarks measure what they say, and run."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.measure import Figure, Row, interleaved, percentile
from benchmarks.report import as_json, machine, print_table


def test_cases_run_in_turn_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    samples = {"a": iter([100.0, 1, 3, 2]), "b": iter([100.0, 5, 5, 8])}

    def case(name: str) -> Mapping[str, float]:
        order.append(name)
        return {"rate": next(samples[name])}

    figures = interleaved({"a": lambda: case("a"), "b": lambda: case("b")}, repeats=3)
    assert order == ["a", "b"] * 4
    assert figures == {"a": {"rate": Figure(2, 1, 3)}, "b": {"rate": Figure(5, 5, 8)}}
    assert figures["b"]["rate"].over(figures["a"]["rate"]) == 2.5


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentile_is_by_nearest_rank(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="at least 1"):
        interleaved({}, repeats=0)


def test_results_read_as_a_table_and_as_json() -> None:
    rows = [Row("speed", "memory", "commands/s", Figure(41_234.5, 40_000, 42_000), ">= 40,000", "of 3")]
    out = io.StringIO()
    print_table(rows, machine(), Console(file=out, width=120))
    assert "41,234" in out.getvalue()
    assert "(40,000 - 42,000)" in out.getvalue()
    found = json.loads(as_json(rows, machine()))
    assert found["results"][0]["figure"] == {"median": 41_234.5, "lowest": 40_000, "highest": 42_000}
    assert found["machine"]["cores"] >= 1


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--only", "warp"])
    assert caught.value.code == 2
    assert "unknown benchmark warp" in capsys.readouterr().err


def test_every_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {row["group"].split(":")[0].split(",")[0] for row in results} == {
        "end to end",
        "latency on an idle router",
        "connections",
        "cost of a command by number of live guilds",
        "end to end over Redis",
        "cost of a command over Redis",
        "the Redis store alone",
        "worker over Redis",
        "guild actors",
    }
    threads = next(row for row in results if row["unit"] == "threads")
    assert threads["figure"]["highest"] <= 16
