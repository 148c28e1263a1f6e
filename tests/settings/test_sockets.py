"""What events may be called, and which name wins."""

from __future__ import annotations

from typing import Any

import pytest

from router.settings import Settings
from router.settings_errors import SettingsError
from router.settings_sockets import EventNames


def test_a_type_wins_over_its_queue_and_a_queue_over_the_kind() -> None:
    names = EventNames({"settled": "done", "settled@q": "done-q", "settled@T": "done-t"})
    assert [names.of("settled", queue, type_) for queue, type_ in (("q", "T"), ("q", "U"), ("r", "U"))] == [
        "done-t",
        "done-q",
        "done",
    ]
    assert names.of("accepted", "q", "T") == "accepted"
    assert EventNames({}).of("settled", "q", "T") == "settled"


@pytest.mark.parametrize(
    "names", [{"ended": "x"}, {"settled@": "x"}, {"settled@a b": "x"}, {"settled": ""}, {"settled": "a\nb"}]
)
def test_unfit_names_stop_the_start(names: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="socket_events"):
        Settings(socket_events=names)
