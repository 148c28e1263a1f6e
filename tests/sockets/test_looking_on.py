"""Subscriptions: what happens, to whom it concerns, from where they left off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from router.messages.moderation import BanUser
from router.messages.notifications import BroadcastNotification, UserNotification
from router.router import Router
from tests.http.daemons import GUILD, MODERATOR, OTHER, TARGET, Served, ban, serve
from tests.sockets.peers import Frame, Peer, client, url_of

NOTICE = {"type": "UPDATE", "title": "news", "message": "hello", "priority": "LOW"}


def handlers(router: Router) -> None:
    @router.handler("BAN_USER")
    def banned(command: Any, ctx: Any) -> dict[str, str]:
        return {"banned": command.user_id}


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(handlers, socket_subscriptions=3, socket_events={"settled@bot:moderation": "moderated"}) as served:
        yield served


def subscribe(peer: Peer, name: str = "a", **filters: Any) -> Frame:
    answer = peer.ask("subscribe", subscription=name, **filters)
    assert answer["op"] == "ack", answer
    return answer


def act(served: Served, guild: str = GUILD, user: str = TARGET) -> str:
    """Ban somebody, to the end; the id."""
    reply = served.router.send(BanUser(guild_id=guild, user_id=user, moderator_id=MODERATOR, reason="spam"))
    assert reply.result(10).success
    return reply.id


def broadcast(served: Served, **fields: Any) -> None:
    served.router.publish(BroadcastNotification(notification=NOTICE, **fields))


def notify(served: Served, user: str) -> None:
    notice = {"id": "n", "type": "INFO", "title": "t", "message": "for you", "persistent": False}
    served.router.publish(UserNotification(target_user_id=user, notification=notice))


def until_settled(peer: Peer) -> list[Frame]:
    events = []
    while not events or events[-1]["kind"] != "settled":
        events.append(peer.hear("event"))
    return events


@pytest.mark.parametrize("subprotocol", ["router.v1.json", "router.v1.msgpack"])
def test_a_subscriber_hears_a_command_from_its_acceptance_to_its_end(served: Served, subprotocol: str) -> None:
    with client(served, subprotocol) as peer:
        subscribe(peer)
        id_ = act(served)
        events = until_settled(peer)
        assert [event["kind"] for event in events] == ["accepted", "started", "attempted", "settled"]
        assert {event["id"] for event in events} == {id_}
        assert all(event["correlationId"] for event in events)
        last = events[-1]
        assert (last["name"], last["type"], last["guildId"]) == ("moderated", "BAN_USER", GUILD)
        assert last["response"]["data"] == {"banned": TARGET}
        assert "data" not in last  # payloads of commands are nobody's business
        assert [event["name"] for event in events[:-1]] == ["accepted", "started", "attempted"]


def test_filters_let_pass_what_they_name(served: Served) -> None:
    with client(served) as peer:
        subscribe(peer, "guild", guilds=[OTHER], kinds=["settled"])
        act(served)
        id_ = act(served, OTHER)
        assert peer.hear("event")["id"] == id_
        assert peer.ask("unsubscribe", subscription="guild")["op"] == "ack"
        subscribe(peer, "job", jobs=[id_], after=peer.ask("subscribe", subscription="x")["cursor"])
        assert peer.ask("unsubscribe", subscription="x")["op"] == "ack"
        act(served, OTHER, "175928847299117064")
        subscribe(peer, "type", types=["KICK_USER"])
        act(served, OTHER, "175928847299117065")
        assert peer.ask("ping")["op"] == "pong"
        assert not [frame for frame in peer.aside if frame["op"] == "event" and frame["type"] == "KICK_USER"]


def test_after_a_reconnect_a_cursor_brings_what_was_missed_in_order(served: Served) -> None:
    with client(served) as peer:
        subscribe(peer, kinds=["settled"])
        first = act(served)
        seen = peer.hear("event")
        assert seen["id"] == first
    missed = [act(served, user=str(175928847299117100 + number)) for number in range(20)]
    with client(served) as peer:
        assert subscribe(peer, kinds=["settled"], after=seen["cursor"])["cursor"] == seen["cursor"]
        heard = [peer.hear("event") for _ in range(20)]
        assert [event["id"] for event in heard] == missed
        numbers = [int(event["cursor"].rpartition(".")[2]) for event in heard]
        assert numbers == sorted(set(numbers))
        live = act(served, user="175928847299117200")
        assert peer.hear("event")["id"] == live


@pytest.mark.parametrize(
    ("cursor", "why"), [("{log}.0", "too_old"), ("0ther.7", "other_log"), ("nonsense", "other_log")]
)
def test_a_cursor_from_which_events_are_missing_is_told_so(cursor: str, why: str) -> None:
    with serve(handlers, event_log_size=5) as served, client(served) as peer:
        for number in range(3):
            act(served, user=str(175928847299117100 + number))
        log = served.router.hub.log().name
        subscribe(peer, after=cursor.format(log=log))
        gap = peer.hear("gap", "event")
        assert (gap["op"], gap["why"], gap["subscription"]) == ("gap", why, "a")
        first = peer.hear("event")
        assert int(first["cursor"].rpartition(".")[2]) == int(gap["cursor"].rpartition(".")[2]) + 1


def test_credit_lets_so_many_pass_and_no_more(served: Served) -> None:
    with client(served) as peer:
        subscribe(peer, kinds=["settled"], credit=2)
        ids = [act(served, user=str(175928847299117100 + number)) for number in range(5)]
        assert [peer.hear("event")["id"] for _ in range(2)] == ids[:2]
        assert peer.ask("ping")["op"] == "pong"
        assert peer.aside == []
        peer.say("credit", subscription="a", credit=10)
        assert [peer.hear("event")["id"] for _ in range(3)] == ids[2:]
        subscribe(peer, "b")
        assert peer.ask("credit", subscription="b", credit=1)["code"] == "no_credit"
        assert peer.ask("credit", subscription="c", credit=1)["code"] == "unknown_subscription"


def test_a_subscription_of_the_same_name_replaces_the_former(served: Served) -> None:
    with client(served) as peer:
        subscribe(peer)
        subscribe(peer, kinds=["settled"])
        act(served)
        assert peer.hear("event")["kind"] == "settled"
        assert peer.ask("ping")["op"] == "pong"
        assert peer.aside == []


def test_a_connection_has_so_many_subscriptions_and_no_more(served: Served) -> None:
    log = served.router.hub.log()
    with client(served) as peer:
        for name in "abc":
            subscribe(peer, name)
        assert peer.ask("subscribe", subscription="d")["code"] == "too_many_subscriptions"
        assert peer.ask("unsubscribe", subscription="a")["op"] == "ack"
        subscribe(peer, "d")
        assert peer.ask("unsubscribe", subscription="a")["code"] == "unknown_subscription"
        assert log.readers == 3
    with client(served) as peer:
        assert peer.ask("ping")["op"] == "pong"
    assert log.readers_at("stream") == 0


def test_what_does_not_exist_cannot_be_subscribed_to(served: Served) -> None:
    with client(served) as peer:
        assert peer.ask("subscribe", subscription="a", types=["NO_SUCH_TYPE"])["code"] == "unknown_type"
        assert peer.ask("subscribe", subscription="a", kinds=["nonsense"])["field"] == "kinds"


def test_a_token_that_is_limited_to_guilds_sees_only_these() -> None:
    with serve(handlers, tokens=f"admin:a,client:c@{GUILD}") as served, Peer(url_of(served), token="c") as peer:
        peer.hello()
        assert peer.ask("subscribe", subscription="a", guilds=[OTHER])["code"] == "other_guild"
        subscribe(peer)
        act(served, OTHER)
        id_ = act(served)
        assert {event["id"] for event in until_settled(peer)} == {id_}
        subscribe(peer, users=[TARGET])
        notify(served, TARGET)
        broadcast(served)
        assert peer.hear("event")["type"] == "BROADCAST_NOTIFICATION"


def test_a_notification_comes_to_its_user_and_to_nobody_else(served: Served) -> None:
    with client(served) as peer, client(served) as other:
        subscribe(peer, users=[TARGET], guilds=[GUILD])
        subscribe(other, users=[MODERATOR], guilds=[GUILD])
        notify(served, TARGET)
        event = peer.hear("event")
        assert (event["kind"], event["type"]) == ("published", "USER_NOTIFICATION")
        assert event["data"]["notification"]["message"] == "for you"
        assert other.ask("ping")["op"] == "pong"
        assert other.aside == []


def test_a_broadcast_comes_to_those_of_its_guild_who_have_its_role(served: Served) -> None:
    with client(served) as peer, client(served) as other:
        subscribe(peer, guilds=[GUILD], roles=["7"])
        subscribe(other, guilds=[OTHER], roles=["7"])
        broadcast(served, target_guild_id=GUILD, target_roles=("8",))
        broadcast(served, target_guild_id=OTHER, target_roles=("7",))
        broadcast(served, target_guild_id=GUILD, target_roles=("7", "8"))
        broadcast(served, target_roles=("7",))
        heard = [peer.hear("event")["data"].get("targetGuildId") for _ in range(2)]
        assert heard == [GUILD, None]
        assert [other.hear("event")["data"].get("targetGuildId") for _ in range(2)] == [OTHER, None]


def test_what_a_bot_emits_is_heard_by_who_subscribes_to_it(served: Served) -> None:
    with client(served) as peer, client(served) as bridge:
        subscribe(peer, types=["USER_NOTIFICATION"])
        notice = {"id": "n", "type": "INFO", "title": "t", "message": "m", "persistent": False}
        data = {"targetUserId": TARGET, "notification": notice}
        ack = bridge.ask("event", type="USER_NOTIFICATION", data=data, requestId="r")
        assert (ack["op"], ack["requestId"]) == ("ack", "r")
        event = peer.hear("event")
        assert event["id"] == ack["eventId"]
        assert event["data"]["targetUserId"] == TARGET
        assert bridge.ask("event", type="BAN_USER", guildId=GUILD, data=ban())["code"] == "wrong_kind"


@pytest.mark.parametrize("subprotocol", ["router.v1.json", "router.v1.msgpack"])
def test_a_breaker_that_changes_is_told_as_it_is_over_the_stream(served: Served, subprotocol: str) -> None:
    breaker = served.router.engine.breakers.find("direct")
    assert breaker is not None
    with client(served, subprotocol) as peer:
        subscribe(peer, kinds=["breaker"])
        subscribe(peer, "b", types=["BREAKER_CHANGED"])
        act(served)  # of which nothing is told here
        breaker.force_open(served.router.clock.now())
        for event in (peer.hear("event"), peer.hear("event")):
            assert (event["kind"], event["name"], event["type"]) == ("breaker", "breaker", "BREAKER_CHANGED")
            assert (event["data"]["breaker"], event["data"]["after"]) == ("direct", "forced_open")
        assert served.router.reset_breaker("direct")
        assert peer.hear("event")["data"]["after"] == "closed"
    assert served.client.get("/api/events/stream", params={"types": "NO_BREAKER"}).status_code == 422
