"""Commands executed by bots over real sockets: who gets them, and what becomes of them when something ends early."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from actors.ports import Ticket
from router.messages.chat import ChatMessage
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.response import Response
from tests.http.daemons import GUILD, MODERATOR, OTHER, PATIENCE, TARGET, Served, serve
from tests.sockets.peers import Frame, Peer, bot, url_of

CHANNEL = "381870553235193857"


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(types={"SEND_MESSAGE": {"backoff_ms": 1}, "BAN_USER": {"backoff_ms": 1}}) as served:
        yield served


def ban(guild: str = GUILD, user: str = TARGET) -> BanUser:
    """Harmless when it is done twice."""
    return BanUser(guild_id=guild, user_id=user, moderator_id=MODERATOR, reason="spam")


def say(text: str = "hello", channel: str = CHANNEL) -> SendMessage:
    """Not harmless when it is done twice."""
    return SendMessage(guild_id=GUILD, channel_id=channel, content=text)


def sent(served: Served, message: Any, **options: Any) -> Future[Response]:
    """The response, some day."""
    future: Future[Response] = Future()
    reply = served.router.send(message, protocols=["websocket"], **options)
    reply.accepted(PATIENCE)
    reply.answer.add_done_callback(lambda promise: future.set_result(Response.of(promise.get(timeout=0))))
    return future


def order(peer: Peer) -> Frame:
    return peer.hear("command")


# ---------------------------------------------------------------- one bot


@pytest.mark.parametrize("subprotocol", ["router.v1.json", "router.v1.msgpack"])
def test_a_bot_executes_and_its_result_is_the_response(served: Served, subprotocol: str) -> None:
    with Peer(url_of(served), subprotocol) as one:
        one.hello(name="bot-1", instance="i1")
        one.announce("BAN_USER")
        answer = sent(served, ban(), idempotency_key="k1", actor=MODERATOR)
        came = order(one)
        assert came["attempt"] == 1
        assert came["envelope"]["type"] == "BAN_USER"
        assert came["envelope"]["guildId"] == GUILD
        assert came["envelope"]["userId"] == MODERATOR
        assert came["envelope"]["idempotencyKey"] == "k1"
        assert came["envelope"]["data"]["userId"] == TARGET
        one.finish(came, data={"banned": True})
        response = answer.result(PATIENCE)
        assert (response.status, response.method, response.data) == ("ok", "websocket", {"banned": True})


@pytest.mark.parametrize(
    ("outcome", "fields", "status", "code"),
    [
        ("applied", {"noop": True}, "noop", None),
        ("rejected", {"error": {"code": "hierarchy", "message": "above the bot"}}, "rejected", "hierarchy"),
    ],
)
def test_what_a_bot_says_is_final(
    served: Served, outcome: str, fields: dict[str, Any], status: str, code: str | None
) -> None:
    with bot(served, "BAN_USER") as one:
        answer = sent(served, ban())
        one.finish(order(one), outcome, **fields)
        response = answer.result(PATIENCE)
        assert response.status == status
        assert (response.error.code if response.error else None) == code


def test_what_fails_is_tried_again_and_what_is_put_off_costs_no_attempt(served: Served) -> None:
    with bot(served, "SEND_MESSAGE") as one:
        answer = sent(served, say())
        one.finish(order(one), "not_applied", error={"code": "handler_error", "message": "oops", "retryable": True})
        one.finish(order(one), "deferred", retryAfter=1)
        again = order(one)
        one.say(
            "nack",
            correlationId=again["correlationId"],
            id=again["envelope"]["id"],
            attempt=again["attempt"],
            error={"code": "starting", "retryAfter": 1},
        )
        last = order(one)
        one.finish(last)
        response = answer.result(PATIENCE)
        assert response.status == "ok"
        assert [line.outcome for line in response.attempts] == ["not_applied", "deferred", "deferred", "applied"]
        assert [line.number for line in response.attempts] == [1, 2, 2, 2]


def test_what_a_bot_answers_is_cleaned_and_never_breaks_a_line(served: Served) -> None:
    with bot(served, "BAN_USER") as one:
        answer = sent(served, ban())
        one.finish(order(one), "rejected", error={"code": "a\nb", "message": "x\x1b[31m\r\ny"})
        error = answer.result(PATIENCE).error
        assert error is not None
        assert not any((ord(letter) < 32 and letter not in "\n\t") or letter == "\x7f" for letter in error.message)


def test_a_result_nobody_asked_for_changes_nothing(served: Served) -> None:
    with bot(served, "BAN_USER") as one, bot(served, "BAN_USER", name="bot-2") as other:
        answer = sent(served, ban())
        came = order(one)
        other.finish(came, "rejected")
        other.say("result", id="never-heard-of", attempt=1, outcome="applied")
        assert other.ask("ping")["op"] == "pong"
        one.finish(came)
        assert answer.result(PATIENCE).status == "ok"


# ---------------------------------------------------------------- who gets it


def test_nobody_is_reached_without_a_bot_that_handles_the_type_and_one_that_comes_gets_what_waits(
    served: Served,
) -> None:
    protocol = served.router.protocols.websocket
    answer = sent(served, ban())
    with bot(served, "SEND_MESSAGE") as one:
        envelope = served.router._sealed(ban(), "e1", {})
        assert not protocol.reaches(envelope)
        one.announce("BAN_USER")
        assert protocol.reaches(envelope)
        one.finish(order(one))
        assert answer.result(PATIENCE).status == "ok"


def test_a_guild_goes_to_the_bot_that_has_its_shard(served: Served) -> None:
    shards = 2
    owner = {(int(guild) >> 22) % shards for guild in (GUILD,)}
    with (
        bot(served, "BAN_USER", name="a", shards=[0], shardCount=shards) as first,
        bot(served, "BAN_USER", name="b", shards=[1], shardCount=shards) as second,
        bot(served, "BAN_USER", name="c"),
    ):
        right, wrong = (first, second) if owner == {0} else (second, first)
        for number in range(6):
            answer = sent(served, ban(user=str(175928847299117000 + number)))
            right.finish(order(right))
            assert answer.result(PATIENCE).status == "ok"
        other = str(int(GUILD) + (1 << 22))
        answer = sent(served, ban(guild=other))
        wrong.finish(order(wrong))
        assert answer.result(PATIENCE).status == "ok"


def test_a_bot_that_names_its_guilds_gets_no_others(served: Served) -> None:
    protocol = served.router.protocols.websocket
    with bot(served, "BAN_USER", guilds=[GUILD]):
        assert protocol.reaches(served.router._sealed(ban(), "e1", {}))
        assert not protocol.reaches(served.router._sealed(ban(guild=OTHER), "e2", {}))


def test_a_bot_whose_token_is_limited_gets_nothing_of_other_guilds() -> None:
    with serve(tokens=f"admin:a,bot:b@{GUILD}") as served:
        protocol = served.router.protocols.websocket
        with bot(served, "BAN_USER", token="b"):
            assert protocol.reaches(served.router._sealed(ban(), "e1", {}))
            assert not protocol.reaches(served.router._sealed(ban(guild=OTHER), "e2", {}))


@pytest.mark.parametrize(
    ("balance", "expected"),
    [("round_robin", {"a": 6, "b": 6}), ("weighted", {"a": 9, "b": 3}), ("least_connections", {"a": 9, "b": 3})],
)
def test_several_bots_share_by_the_rule_that_is_set(balance: str, expected: dict[str, int]) -> None:
    with (
        serve(socket_balance=balance, guild_running=100) as served,
        bot(served, "SEND_MESSAGE", name="a", capacity=100, weight=3) as first,
        bot(served, "SEND_MESSAGE", name="b", capacity=100, weight=1) as second,
    ):
        answers = [sent(served, say(channel=str(381870553235193000 + number))) for number in range(12)]
        came: Counter[str] = Counter()
        for name, peer in (("a", first), ("b", second)):
            for _ in range(expected[name]):
                peer.finish(order(peer))
                came[name] += 1
        assert [answer.result(PATIENCE).status for answer in answers] == ["ok"] * 12
        assert came == expected


def test_a_bot_has_no_more_than_its_capacity_at_once(served: Served) -> None:
    with bot(served, "SEND_MESSAGE", capacity=2) as one:
        answers = [sent(served, say(channel=str(381870553235193000 + number))) for number in range(6)]
        held = [order(one), order(one)]
        for left in reversed(range(6)):
            assert one.ask("ping")["op"] == "pong"  # a third command would have come before this
            assert not [frame for frame in one.aside if frame["op"] == "command"]
            one.finish(held.pop(0))
            if left > len(held):
                held.append(order(one))
        assert [answer.result(PATIENCE).status for answer in answers] == ["ok"] * 6


# ---------------------------------------------------------------- coming and going


def test_what_was_sent_and_not_answered_is_settled_by_the_record_of_the_bot_that_comes_back(served: Served) -> None:
    one = bot(served, "SEND_MESSAGE")
    answer = sent(served, say())
    came = order(one)
    one.vanish()
    with bot(served, "SEND_MESSAGE") as again:
        asked = again.hear("record")
        assert asked["ids"] == [came["envelope"]["id"]]
        assert asked["envelopes"][0]["data"]["content"] == "hello"
        line = {"id": came["envelope"]["id"], "state": "done", "attempt": 1, "outcome": "applied"}
        again.say("record", correlationId=asked["correlationId"], entries=[line])
        response = answer.result(PATIENCE)
        assert (response.status, response.method) == ("ok", "websocket")
        assert not [frame for frame in again.aside if frame["op"] == "command"]
    one.close()


def test_a_bot_that_never_got_it_proves_so_and_it_is_executed_once(served: Served) -> None:
    one = bot(served, "SEND_MESSAGE")
    answer = sent(served, say())
    came = order(one)
    one.vanish()
    with bot(served, "SEND_MESSAGE") as again:
        asked = again.hear("record")
        again.say("record", correlationId=asked["correlationId"], entries=[{"id": asked["ids"][0], "state": "never"}])
        second = order(again)
        assert second["envelope"]["id"] == came["envelope"]["id"]
        assert second["attempt"] == 2
        again.finish(second)
        assert answer.result(PATIENCE).status == "ok"
    one.close()


@pytest.mark.parametrize(
    ("instance", "state"), [("i2", "never"), ("i1", "unknown")], ids=["another process", "a record that is too short"]
)
def test_what_nobody_can_prove_is_answered_in_doubt_and_not_executed_again(
    served: Served, instance: str, state: str
) -> None:
    one = bot(served, "SEND_MESSAGE")
    answer = sent(served, say())
    order(one)
    one.vanish()
    with bot(served, "SEND_MESSAGE", instance=instance) as again:
        asked = again.hear("record")
        again.say("record", correlationId=asked["correlationId"], entries=[{"id": asked["ids"][0], "state": state}])
        assert answer.result(PATIENCE).status == "in_doubt"
        assert again.ask("ping")["op"] == "pong"
        assert not [frame for frame in again.aside if frame["op"] == "command"]
    one.close()


def test_a_bot_that_still_runs_it_when_it_comes_back_says_in_the_end_what_came_of_it(served: Served) -> None:
    one = bot(served, "SEND_MESSAGE")
    answer = sent(served, say())
    came = order(one)
    one.vanish()
    with bot(served, "SEND_MESSAGE") as again:
        asked = again.hear("record")
        again.say("record", correlationId=asked["correlationId"], entries=[{"id": asked["ids"][0], "state": "running"}])
        assert again.ask("ping")["op"] == "pong"
        assert not answer.done()
        again.say("result", id=came["envelope"]["id"], attempt=1, outcome="applied")
        assert answer.result(PATIENCE).status == "ok"
    one.close()


def test_what_does_no_harm_twice_is_sent_again_at_once_to_another_bot(served: Served) -> None:
    one = bot(served, "BAN_USER")
    answer = sent(served, ban())
    order(one)
    with bot(served, "BAN_USER", name="bot-2") as other:
        one.vanish()
        second = order(other)
        assert second["attempt"] == 2
        other.finish(second)
        assert answer.result(PATIENCE).status == "ok"
    one.close()


def test_a_bot_that_connects_again_replaces_its_half_open_connection(served: Served) -> None:
    one = bot(served, "SEND_MESSAGE")
    with bot(served, "SEND_MESSAGE") as again:
        assert one.closed() == (4409, "this bot has connected again")
        answer = sent(served, say())
        again.finish(order(again))
        assert answer.result(PATIENCE).status == "ok"
    one.close()


def test_a_bot_that_says_goodbye_gets_nothing_new_and_may_end_what_it_has(served: Served) -> None:
    with bot(served, "SEND_MESSAGE", name="a") as leaving:
        running = sent(served, say(channel="381870553235193001"))
        came = order(leaving)
        leaving.say("goodbye", reason="deploy")
        assert leaving.ask("ping")["op"] == "pong"
        waiting = sent(served, say(channel="381870553235193002"))
        with bot(served, "SEND_MESSAGE", name="b") as other:
            other.finish(order(other))
            assert waiting.result(PATIENCE).status == "ok"
        leaving.finish(came)
        assert running.result(PATIENCE).status == "ok"
        assert not [frame for frame in leaving.aside if frame["op"] == "command"]


def test_what_waits_for_a_full_bot_goes_to_one_that_comes(served: Served) -> None:
    with bot(served, "SEND_MESSAGE", name="a", capacity=1) as full:
        first = sent(served, say(channel="381870553235193001"))
        came = order(full)
        second = sent(served, say(channel="381870553235193002"))
        with bot(served, "SEND_MESSAGE", name="b") as other:
            other.finish(order(other))
            assert second.result(PATIENCE).status == "ok"
        full.finish(came)
        assert first.result(PATIENCE).status == "ok"


def test_a_bot_that_answers_too_late_leaves_it_in_doubt_and_its_late_word_settles_it() -> None:
    with serve(websocket_timeout=200) as served, bot(served, "SEND_MESSAGE") as one:
        answer = sent(served, say())
        came = order(one)
        one.say("ack", correlationId=came["correlationId"], id=came["envelope"]["id"], attempt=1)
        asked = one.hear("record")  # the timeout is over, and the router wants to know
        assert asked["ids"] == [came["envelope"]["id"]]
        one.say("result", id=came["envelope"]["id"], attempt=1, outcome="applied")
        assert answer.result(PATIENCE).status == "ok"


def test_when_the_router_stops_bots_hear_it_and_what_runs_may_end() -> None:
    threads: list[threading.Thread] = []
    with serve() as served, bot(served, "SEND_MESSAGE") as one:
        answer = sent(served, say())
        came = order(one)
        threads.append(threading.Thread(target=served.daemon.close))
        threads[0].start()
        said = one.hear("goodbye")
        assert said["reason"] == "draining"
        assert said["retryAfter"] > 0
        one.finish(came)
        assert answer.result(PATIENCE).status == "ok"
        assert one.closed()[0] in (1001, 1012)
        threads[0].join(PATIENCE)


def test_what_had_not_left_for_a_bot_goes_to_another_and_costs_no_attempt() -> None:
    count, big = 120, "x" * 100_000  # 12 MB: more than the kernel takes for one that does not read
    with serve(socket_buffer=1 << 26, write_timeout=60, guild_running=count, drain=0.0) as served:
        deaf = Peer(url_of(served), max_queue=1, close_timeout=0.1)
        deaf.hello(name="deaf", instance="i")
        deaf.announce("CHAT_MESSAGE", capacity=count)
        for number in range(count):
            sent(served, ChatMessage(user_id=MODERATOR, conversation_id=str(number), message=big))
        deaf.vanish()
        with bot(served, "CHAT_MESSAGE", name="other", capacity=count) as other:
            came = [order(other)]
            left = doubtful(served, "deaf")
            assert 0 < len(left) < count
            came += [order(other) for _ in range(count - len(left) - 1)]
            assert all(frame["attempt"] == 1 for frame in came)
            for frame in came:
                other.finish(frame)
            for frame in came:
                assert served.end_of(frame["envelope"]["id"])["status"] == "ok"
            assert {frame["envelope"]["id"] for frame in came}.isdisjoint(left)
        deaf.close()


def doubtful(served: Served, name: str) -> list[str]:
    """What was sent to a bot that is gone."""
    protocol = served.router.protocols.websocket
    return [id_ for id_, attempt in protocol._attempts._overdue.items() if attempt.name == name]


def test_a_router_that_starts_again_asks_the_bots_that_come_what_they_had(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'router.db'}"
    with serve(store=store, drain=0.0) as served:
        one = bot(served, "SEND_MESSAGE")
        reply = served.router.send(say(), protocols=["websocket"])
        came = order(one)
    one.close()
    with serve(store=store) as served, bot(served, "SEND_MESSAGE") as again:
        asked = again.hear("record")
        assert asked["ids"] == [came["envelope"]["id"]]
        line = {"id": came["envelope"]["id"], "state": "done", "attempt": 1, "outcome": "applied"}
        again.say("record", correlationId=asked["correlationId"], entries=[line])
        assert served.end_of(reply.id)["status"] == "ok"


def test_what_is_taken_back_before_it_left_is_never_sent() -> None:
    count, big = 120, "x" * 100_000  # more than the kernel takes for one that does not read
    with serve(socket_buffer=1 << 26, write_timeout=60) as served:
        protocol = served.router.protocols.websocket
        with Peer(url_of(served), max_queue=1) as slow:
            slow.hello(name="slow", instance="i")
            slow.announce("CHAT_MESSAGE", capacity=count)
            for number in range(count):
                message = ChatMessage(user_id=MODERATOR, conversation_id=str(number), message=big)
                envelope = served.router._sealed(message, f"e{number}", {})
                protocol.start(Ticket(envelope, b"", 1, 0, 1, 0), lambda _: None)
            taken_back = {f"e{number}" for number in range(count) if protocol.recall(f"e{number}")}
            assert 0 < len(taken_back) < count
            came = {order(slow)["envelope"]["id"] for _ in range(count - len(taken_back))}
            assert came.isdisjoint(taken_back)
            assert slow.ask("ping")["op"] == "pong"
            assert slow.aside == []


def test_what_is_repeated_in_doubt_goes_to_the_bot_that_may_still_be_at_it() -> None:
    with (
        serve(websocket_timeout=300, types={"BAN_USER": {"backoff_ms": 1}}) as served,
        bot(served, "BAN_USER", name="a") as one,
        bot(served, "BAN_USER", name="b") as other,
    ):
        answer = sent(served, ban())
        first = order(one)
        one.say("ack", correlationId=first["correlationId"], id=first["envelope"]["id"], attempt=1)
        second = order(one)
        assert (second["envelope"]["id"], second["attempt"]) == (first["envelope"]["id"], 2)
        one.finish(second)
        assert answer.result(PATIENCE).status == "ok"
        assert other.ask("ping")["op"] == "pong"
        assert other.aside == []


def test_two_thousand_commands_through_three_bots_are_each_executed_once(served: Served) -> None:
    count = 2_000
    executed: Counter[str] = Counter()
    peers = [bot(served, "SEND_MESSAGE", name=f"bot-{number}", capacity=50) for number in range(3)]

    def work(peer: Peer) -> None:
        while sum(executed.values()) < count:
            try:
                came = order(peer)
            except Exception:
                return
            executed[came["envelope"]["id"]] += 1
            peer.finish(came)

    threads = [threading.Thread(target=work, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    messages = [
        (say(str(number), str(381870553235190000 + number % 400)), {"protocols": ["websocket"]})
        for number in range(count)
    ]
    replies = served.router.send_many(messages)
    assert all(reply.result(30).success for reply in replies)
    for peer in peers:
        peer.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(executed.values()) == {1}
    assert len(executed) == count
