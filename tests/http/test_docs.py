"""docs/http.md names every code that the doors can answer with."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_code_of_a_problem_is_in_the_page() -> None:
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    raised = re.compile(r"HttpProblem\(\s*(\d{3}), \"([a-z_]+)\"")
    codes = {
        (match[1], match[2])
        for path in (ROOT / "router" / "http").glob("*.py")
        for match in raised.finditer(path.read_text("utf-8"))
    }
    assert len(codes) > 15
    for status, code in codes - {("500", "internal_error")}:
        row = next((line for line in page.splitlines() if f"`{code}`" in line and line.startswith("|")), "")
        assert status in row.split("|")[1] if row else False, (status, code)
