"""What the page on permissions shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from router import Router
from router.messages import BanUser

PAGE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_let_staff_through_and_nobody_else(text: str) -> None:
    names: dict[str, object] = {}
    exec(text, names)
    router = names["router"]
    assert isinstance(router, Router)
    router.handler(BanUser)(lambda command, ctx: None)
    guild, user = "81384788765712384", "80351110224678999"
    with router:
        staff = BanUser(guild_id=guild, user_id=user, moderator_id="53908232506183680", reason="spam")
        assert router.request(staff, timeout=5).status == "ok"
        other = BanUser(guild_id=guild, user_id="80351110224678998", moderator_id=user, reason="spam")
        assert router.request(other, timeout=5).status == "rejected"
