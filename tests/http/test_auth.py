"""Tokens, roles and guilds."""

from __future__ import annotations

import pytest

from router.http.auth import Caller, Gate
from router.http.problems import HttpProblem
from router.settings_values import parse_tokens

GATE = Gate(parse_tokens("admin:SECRET,bot:S2@1|2,client:tok,client:x"))


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        (b"Bearer SECRET", Caller("admin")),
        (b"bearer  SECRET ", Caller("admin")),
        (b"Bearer S2", Caller("bot", frozenset({"1", "2"}))),
        (b"Bearer tok", Caller("client")),
    ],
)
def test_a_known_token_is_its_role(header: bytes, caller: Caller) -> None:
    assert GATE.caller(header) == caller


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer secret",
        b"Bearer SECRETT",
        b"Basic SECRET",
        b"SECRET",
        b"Bearer t\xf8k",
        b"Bearer \xff",
    ],
)
def test_anything_else_is_401_with_a_challenge(header: bytes | None) -> None:
    with pytest.raises(HttpProblem) as caught:
        GATE.caller(header)
    assert caught.value.status_code == 401
    assert caught.value.headers is not None
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_all_tokens_are_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("router.http.auth.hmac.compare_digest", compare)
    for secret in (b"SECRET", b"x", b"wrong"):
        compared.clear()
        try:
            GATE.caller(b"Bearer " + secret)
        except HttpProblem:
            assert secret == b"wrong"
        assert len(compared) == 4
        assert len({len(one) for one in compared}) == 1


def test_without_tokens_everybody_is_the_admin() -> None:
    assert Gate(()).caller(None) == Caller("admin")


def test_a_token_of_some_guilds_may_not_enter_others() -> None:
    caller = Caller("client", frozenset({"1"}))
    caller.enter("1")
    for guild in ("2", "global", "user:1"):
        with pytest.raises(HttpProblem) as caught:
            caller.enter(guild)
        assert caught.value.status_code == 403
    Caller("client").enter("anything")
