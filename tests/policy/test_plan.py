"""Over which protocols a command is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.envelope import Envelope
from actors.policy.facts import Facts
from actors.policy.plan import Chains, plan

ENVELOPE = Envelope("1", "BAN_USER", "command", "81", "82", "bot:moderation", 5, 1, 2)
FACTS = Facts("BAN_USER")
ALL = frozenset({"websocket", "queue", "rest", "direct"})


@pytest.mark.parametrize(
    ("realtime", "reliable", "expected"),
    [
        (True, False, ("websocket", "queue", "rest", "direct")),
        (False, True, ("queue", "websocket", "rest", "direct")),
        (False, False, ("websocket", "direct", "queue", "rest")),
        (True, True, ("queue", "websocket", "rest", "direct")),
    ],
)
def test_requirements_choose_the_order(realtime: bool, reliable: bool, expected: tuple[str, ...]) -> None:
    assert plan(ENVELOPE._replace(realtime=realtime, reliable=reliable), FACTS, ALL) == expected


def test_a_task_goes_the_reliable_way_unless_asked_otherwise() -> None:
    task = replace(FACTS, kind="task")
    assert plan(ENVELOPE, task, ALL)[0] == "queue"
    assert plan(ENVELOPE._replace(realtime=True), task, ALL)[0] == "websocket"


def test_only_what_is_reachable_is_planned() -> None:
    assert plan(ENVELOPE._replace(realtime=True), FACTS, ["direct", "queue"]) == ("queue", "direct")
    assert plan(ENVELOPE._replace(reliable=True), FACTS, {"direct"}) == ("direct",)
    assert plan(ENVELOPE, FACTS, ()) == ()


def test_without_redis_websocket_comes_before_direct() -> None:
    for envelope in (ENVELOPE, ENVELOPE._replace(reliable=True), ENVELOPE._replace(realtime=True)):
        assert plan(envelope, FACTS, {"direct", "websocket"}) == ("websocket", "direct")


def test_the_senders_protocols_are_the_whole_plan() -> None:
    asked = ENVELOPE._replace(protocols=("rest", "direct", "rest"), reliable=True)
    assert plan(asked, FACTS, ALL) == ("rest", "direct")
    assert plan(asked, FACTS, {"queue", "direct"}) == ("direct",)
    assert plan(asked, FACTS, {"queue"}) == ()


def test_a_protocol_that_no_chain_knows_comes_last_by_name() -> None:
    assert plan(ENVELOPE, FACTS, {"zmq", "direct", "grpc"}) == ("direct", "grpc", "zmq")


def test_chains_are_data_and_name_nothing_twice() -> None:
    chains = Chains(realtime=("direct", "direct", "queue"), plain=("rest",))
    assert plan(ENVELOPE._replace(realtime=True), FACTS, {"direct", "queue"}, chains) == ("direct", "queue")
    assert plan(ENVELOPE, FACTS, ["rest", "rest", "queue", "queue"], chains) == ("rest", "queue")
