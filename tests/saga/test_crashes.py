"""A process that dies in any gap of a saga: the next one goes on, and nothing is done twice or left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router import Response, Router
from tests.chaos.load import wait_until
from tests.chaos.nursery import Nursery
from tests.faults.ledger import Ledger
from tests.saga.lives import CAP, attach, catalog

#: begun and done of three steps of which the last fails, undoing and undone of two, compensated
FAILING = 11
#: begun and done of three steps, completed
WORKING = 7
#: lines between which the step that may not be repeated was begun and not said to be done
BAN_BEGUN = {(3, True), (4, False)}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", "tests.saga.lives") as nursery:
        yield nursery


def played(nursery: Nursery, folder: Path, gap: int, *, after: bool, fails: bool) -> tuple[Response, Ledger]:
    """Die in the gap, live again; the answer and the ledger."""
    life = nursery.start("tests.saga.lives:live", folder=str(folder), gap=gap, after=after, fails=fails)
    assert life.wait(CAP) == 9
    ledger = Ledger(folder / "ledger")
    router = Router(store=f"sqlite:///{folder}/router.db", catalog=catalog)
    attach(router, ledger)
    found: list[Response] = []

    def ended() -> bool:
        view = router.find("parent")
        if view is not None and view.response is not None:
            found.append(view.response)
        return bool(found)

    with router:
        wait_until(ended, CAP, lambda: "the next life did not end it")
    return found[0], ledger


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("gap", range(1, FAILING + 1))
def test_what_fails_is_undone_whole_wherever_the_process_died(
    nursery: Nursery, tmp_path: Path, gap: int, after: bool
) -> None:
    response, ledger = played(nursery, tmp_path, gap, after=after, fails=True)
    assert response.error is not None
    assert ledger.effects("ban") <= 1
    assert ledger.runs("file") <= 1
    if (gap, after) in BAN_BEGUN:
        assert (response.status, response.error.code) == ("in_doubt", "step_in_doubt")
        return
    # The attempt that died was in doubt; that it was undone is what its error says.
    assert response.error.code == "compensated", response
    assert [ledger.effects(name) for name in ("notify", "ban", "un-notify", "un-ban", "file")] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("gap", range(1, WORKING + 1))
def test_what_works_is_done_once_wherever_the_process_died(
    nursery: Nursery, tmp_path: Path, gap: int, after: bool
) -> None:
    response, ledger = played(nursery, tmp_path, gap, after=after, fails=False)
    if (gap, after) in BAN_BEGUN:
        assert (response.status, ledger.effects("ban") <= 1) == ("in_doubt", True)
        return
    assert response.status == "ok"
    assert response.data == {"steps": {"notify": "notify", "ban": "ban", "file": "case-1"}}
    assert [ledger.effects(name) for name in ("notify", "ban", "file", "un-ban", "un-notify")] == [1, 1, 1, 0, 0]
