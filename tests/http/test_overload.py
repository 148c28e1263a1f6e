"""What a sender is told over HTTP when there is too much."""

from __future__ import annotations

import threading

from router.router import Router
from tests.http.daemons import GUILD, OTHER, PATIENCE, ban, serve


def test_beyond_a_guilds_backlog_it_is_429_with_the_time_to_come_back_and_other_guilds_go_on() -> None:
    with serve(guild_backlog=3) as served:
        accepted = [served.send(data=ban(str(user))) for user in range(1, 4)]
        assert [answer.status_code for answer in accepted] == [202, 202, 202]
        refused = served.send(data=ban("4"))
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["retryable"]) == (429, "overloaded", True)
        assert problem["retryAfter"] > 0
        assert int(refused.headers["Retry-After"]) == -(-problem["retryAfter"] // 1_000)
        assert served.send(guildId=OTHER, data=ban("4")).status_code == 202
        served.client.delete(f"/api/commands/{accepted[0].json()['jobId']}")
        assert served.send(data=ban("4")).status_code == 202


def test_a_batch_tells_of_each_command_whether_there_was_room() -> None:
    with serve(guild_backlog=3) as served:
        commands = [{"type": "BAN_USER", "guildId": GUILD, "userId": "9", "data": ban(str(user))} for user in range(5)]
        answer = served.client.post("/api/commands/batch", json={"commands": commands}).json()
        assert (answer["accepted"], answer["refused"]) == (3, 2)
        assert [item["problem"]["code"] for item in answer["results"][3:]] == ["overloaded", "overloaded"]
        assert all(item["problem"]["retryAfter"] > 0 for item in answer["results"][3:])


def test_beyond_a_rate_it_is_429_too() -> None:
    with serve(user_rate=2) as served:
        statuses = [served.send(data=ban(str(user))).status_code for user in range(1, 20)]
        assert 429 in statuses
        refused = served.send(data=ban("99"))
        while refused.status_code != 429:
            refused = served.send(data=ban("99"))
        assert refused.json()["code"] == "rate_limited"
        assert int(refused.headers["Retry-After"]) >= 1


def test_the_readiness_probe_says_so_and_health_is_still_answered() -> None:
    held = threading.Event()

    def slow(router: Router) -> None:
        @router.handler("BAN_USER")
        def ban_user(command: object, ctx: object) -> None:
            held.wait(PATIENCE)

    with serve(slow, max_backlog=2) as served:
        try:
            for user in range(1, 4):
                served.send(guildId=str(user), data=ban("1"))
            assert served.client.get("/livez").status_code == 200
            health = served.client.get("/api/health").json()
            assert health["overloaded"] is True
            assert served.client.get("/readyz").status_code == 503
        finally:
            held.set()
