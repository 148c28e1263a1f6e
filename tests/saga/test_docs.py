"""What the page on sagas shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "sagas.md").read_text("utf-8")


def test_the_example_undoes_in_reverse(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(example, {})
    told, log = capsys.readouterr().out.splitlines()
    assert told.startswith("rejected compensated notify failed: ConnectionError")
    assert log == "['case', 'ban', 'unban', 'close the case']"
