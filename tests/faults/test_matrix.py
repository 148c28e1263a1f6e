"""Every protocol under every fault: one effect or an honest doubt. The short form; ``make matrix`` plays all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import actors.guild
from tests.faults.bench import Bench
from tests.faults.in_process import Direct
from tests.faults.judge import Case, Fault
from tests.faults.matrix import BENCHES, benches, cases, play, row

MISSING = {kind.name: kind.missing() for kind in BENCHES if kind.missing()}


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Bench]]:
    with benches(kind for kind in BENCHES if not kind.missing()) as found:
        yield {bench.name: bench for bench in found}


@pytest.mark.parametrize("case", [case for kind in BENCHES for case in cases(kind, short=True)], ids=str)
def test_it_is_done_once_or_nobody_claims_to_know(case: Case, made: dict[str, Bench]) -> None:
    if case.protocol not in made:
        # Where everything must be tried, its absence is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING[case.protocol])
    line = play(made[case.protocol], case)
    assert not line.complaint, row(line)


def test_the_matrix_sees_a_router_that_repeats_what_it_is_in_doubt_about(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = actors.guild.after

    def careless(outcome: Any, at: Any, **given: Any) -> Any:
        return honest(outcome, at._replace(idempotent=True), **given)

    monkeypatch.setattr("actors.guild.after", careless)
    with benches([Direct]) as (bench,):
        line = play(bench, Case("direct", Fault.PEER, idempotent=False, fallback=False))
    assert line.complaint == "done 2 times"
