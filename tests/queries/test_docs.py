"""What the page on queries shows is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_is_answered_once() -> None:
    page = (ROOT / "docs" / "queries.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    # In a process of its own: the type it declares belongs in no other test's catalog.
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=150, check=True
    )
    assert done.stdout == "{'banned': True} False True True\n"
