"""The table of Redis's errors is total."""

from __future__ import annotations

import inspect

import pytest
import redis.exceptions as theirs
from redis._parsers.base import BaseParser

from router.stores.redis.errors import CODES, code_of, meaning_of, unavailable

CLASSES = [kind for _, kind in inspect.getmembers(theirs, inspect.isclass) if issubclass(kind, theirs.RedisError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_whatever_redis_py_raises_is_known(kind: type[Exception]) -> None:
    error = kind("1 h:1") if issubclass(kind, theirs.AskError) else kind("text")
    meaning = meaning_of(error)
    assert "(" not in meaning.says, "nobody has thought of it"
    assert meaning.says in str(unavailable(error, "here", sent=False))


def test_whatever_code_redis_py_knows_is_known() -> None:
    known = {code for code in BaseParser.EXCEPTION_CLASSES if code != "ERR"}
    assert known <= CODES.keys()


@pytest.mark.parametrize("code", sorted(set(CODES) - {"MAXCLIENTS", "MOVED", "ASK"}))
def test_an_answer_is_known_by_its_first_word(code: str) -> None:
    error = BaseParser.parse_error(f"{code} and more")
    assert code_of(error) in (code, "WRONGPASS")  # redis-py tells no login from a wrong one by its text only
    assert meaning_of(error).refused


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
        ("ERR invalid password", "WRONGPASS"),
        ("ERR max number of clients reached", "MAXCLIENTS"),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "DENIED"),
        ("MOVED 1234 127.0.0.1:7000", "MOVED"),
        ("ASK 1234 127.0.0.1:7000", "ASK"),
        (
            "ERR Error running script (call to f_91ec): @user_script:1: @user_script: 1: -OOM command not allowed",
            "OOM",
        ),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 91ec, on @user_script:1.", "OOM"),
        (
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
            "READONLY",
        ),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist", "MISCONF"),
        ("ERR Error running script (call to f_1): @user_script:1: -MISCONF Errors writing to the AOF", "MISCONF"),
        ("ERR Error running script (call to f_1): @user_script:9: attempt to index a nil value", ""),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ""),
    ],
)
def test_what_redis_says(answer: str, code: str) -> None:
    error = BaseParser.parse_error(answer)
    assert code_of(error) == code
    assert meaning_of(error).refused == bool(code)


def test_a_refusal_tells_what_is_wrong_and_no_more() -> None:
    assert str(unavailable(BaseParser.parse_error("OOM command not allowed"), "h:1", sent=False)) == (
        "Redis is out of memory (h:1)"
    )
    error = unavailable(BaseParser.parse_error("ERR something new " + "x" * 1_000), "h:1", sent=True)
    assert str(error).startswith("Redis could not do it (h:1): something new xxx")
    assert len(str(error)) < 400
    assert error.doubt
