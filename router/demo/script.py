"""The conversation: each step asks, prints what was asked and seen, and checks it against the ledger.

The bot and a dashboard are processes of their own; most steps ask over HTTP, as a third party would.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from router.demo.ledger import Ledger

GUILD, OTHER = "81384788765712384", "613425648685547541"
MODERATOR, TARGET, SECOND, THIRD = "53908232506183680", "175928847299117063", "80351110224678912", "41771983423143937"
FOURTH, FIFTH, SIXTH = "66166172835876864", "104317091563741184", "140861574938378240"
CHANNEL, OTHER_CHANNEL = "381870553235193857", "697138785317814292"
PATIENCE = 20.0  # seconds for what should take one


class Broken(Exception):
    """A step did not hold."""


class Asker(Protocol):
    """A client of the daemon."""

    def ask(self, method: str, path: str, body: Any = None, *, query: Any = None) -> tuple[int, Any]:
        """(status, JSON value); raises for a refusal and for no answer."""


class Bot(Protocol):
    """The bot's process."""

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""

    def start(self) -> None:
        """Start it again; returns when it is connected."""


class Dashboard(Protocol):
    """The dashboard's process."""

    def ask(self, line: str) -> str:
        """Have it send a command; the line with which it answers."""


class Conversation:
    """Talks to one daemon and looks into one ledger."""

    def __init__(
        self, client: Asker, ledger: Ledger, folder: Path, bot: Bot, dashboard: Dashboard, say: Callable[[str], None]
    ) -> None:
        self._client = client
        self._bot = bot
        self._dashboard = dashboard
        self._ledger = ledger
        self._folder = folder
        self._say = say
        self._step = 0

    def run(self) -> None:
        """All steps; raises ``Broken`` at the first that does not hold."""
        for step in (
            self.a_ban_is_executed_once,
            self.the_same_ban_is_a_duplicate,
            self.an_unban_meets_a_queued_ban,
            self.twenty_in_order_beside_another_guild,
            self.the_third_attempt_succeeds,
            self.a_dead_letter_lives_again,
            self.a_killed_actor_loses_nothing,
            self.a_dashboard_asks_over_its_socket,
            self.a_killed_bot_leaves_its_command_to_another_way,
            self.the_bot_comes_back,
        ):
            self._step += 1
            self._say(f"\n{self._step}. {(step.__doc__ or '').strip()}")
            step()

    # ------------------------------------------------------------ the steps

    def a_ban_is_executed_once(self) -> None:
        """A ban is accepted over HTTP and executed once."""
        status, answer = self._post("/api/commands", ban(TARGET, "spam"))
        self._check(status == 202, f"202, job {answer['jobId']}, position {answer['position']}")
        result = self._end_of(answer["jobId"])
        self._check(
            result["status"] == "ok", f"status {result['status']} over {result['method']}, data {result['data']}"
        )
        effects = self._ledger.read("ban", subject=TARGET)
        self._check(len(effects) == 1, f"the ledger has {len(effects)} ban of this user")

    def the_same_ban_is_a_duplicate(self) -> None:
        """The same ban again is answered as a duplicate with the first one's result."""
        status, answer = self._post("/api/commands?wait=5000", ban(TARGET, "spam"))
        self._check(
            status == 200 and answer["duplicate"], f"{status}, duplicate, status {answer['status']}, {answer['data']}"
        )
        effects = self._ledger.read("ban", subject=TARGET)
        self._check(len(effects) == 1, f"the ledger still has {len(effects)} ban of this user")

    def an_unban_meets_a_queued_ban(self) -> None:
        """An unban meets a ban of the same user that is still queued: the newest wins, both senders are told."""
        _, busy = self._post("/api/commands", timeout(SECOND))
        self._wait(lambda: self._ledger.read("begin", subject=SECOND), "a timeout occupies the lane of the user")
        _, banned = self._post("/api/commands", ban(SECOND, "a mistake"))
        _, unbanned = self._post("/api/commands", unban(SECOND))
        ends = [self._end_of(answer["jobId"])["status"] for answer in (busy, banned, unbanned)]
        self._check(ends == ["ok", "superseded", "ok"], f"timeout {ends[0]}, ban {ends[1]}, unban {ends[2]}")
        done = [effect.what for effect in self._ledger.read(subject=SECOND) if effect.what != "begin"]
        self._check(done == ["timeout", "unban"], f"the ledger has {' then '.join(done)}, and no ban")

    def twenty_in_order_beside_another_guild(self) -> None:
        """Twenty messages to one channel go out in order, while another guild's go out beside them."""
        ours = [say(GUILD, CHANNEL, f"line {number}") for number in range(20)]
        theirs = [say(OTHER, OTHER_CHANNEL, f"line {number}") for number in range(20)]
        mixed = [command for pair in zip(ours, theirs, strict=True) for command in pair]
        status, answer = self._post("/api/commands/batch", {"commands": mixed})
        self._check(status == 202 and answer["accepted"] == 40, f"{answer['accepted']} accepted as one batch")
        for item in answer["results"]:
            self._end_of(item["accepted"]["jobId"])
        for guild, channel in ((GUILD, CHANNEL), (OTHER, OTHER_CHANNEL)):
            lines = [effect.text for effect in self._ledger.read("message", guild=guild, subject=channel)]
            self._check(lines == [f"line {number}" for number in range(20)], f"guild {guild}: lines 0 to 19, in order")
            spans = self._spans(guild, channel)
            self._check(
                all(before[1] <= after[0] for before, after in itertools.pairwise(spans)),
                f"guild {guild}: never two at once in the channel",
            )
        beside = overlaps(self._spans(GUILD, CHANNEL), self._spans(OTHER, OTHER_CHANNEL))
        self._check(beside > 0, f"{beside} times the two guilds were served at the same moment")

    def the_third_attempt_succeeds(self) -> None:
        """A handler fails twice and succeeds at the third attempt."""
        _, answer = self._post("/api/commands", kick(THIRD))
        result = self._end_of(answer["jobId"])
        outcomes = [attempt["outcome"] for attempt in result["attempts"]]
        self._check(
            result["status"] == "ok" and len(outcomes) == 3, f"status {result['status']} after {', '.join(outcomes)}"
        )
        done = Counter(effect.what for effect in self._ledger.read(subject=THIRD))
        self._check(
            done == {"failed kick": 2, "kick": 1},
            f"the ledger has {done['failed kick']} failures and {done['kick']} kick",
        )

    def a_dead_letter_lives_again(self) -> None:
        """A command that cannot succeed ends in the dead letters; repaired and replayed, it is executed."""
        _, answer = self._post("/api/commands", play("never gonna give you up"))
        job = answer["jobId"]
        result = self._end_of(job)
        self._check(result["status"] == "dead", f"status {result['status']}: {result['error']['code']}")
        letters = self._client.ask("GET", "/api/dead-letters", query={"guildId": GUILD})[1]["deadLetters"]
        self._check([letter["id"] for letter in letters] == [job], f"{len(letters)} dead letter: {letters[0]['type']}")
        (self._folder / "voice-is-up").touch()
        self._say("   -> the voice server is repaired")
        _, replayed = self._post("/api/dead-letters/replay", {"ids": [job]})
        self._check(replayed["replayed"] == [job], "replayed under its old id")
        self._wait(lambda: (self._state(job)["result"] or {}).get("status") == "ok", "status ok")
        played = self._ledger.read("play")
        self._check(len(played) == 1, f"the ledger has {len(played)} track played")

    def a_killed_actor_loses_nothing(self) -> None:
        """An actor is killed in the middle of the work; its supervisor restarts it and nothing is lost or doubled."""
        before = len(self._ledger.read("message", guild=GUILD, subject=CHANNEL))
        commands = [say(GUILD, CHANNEL, f"again {number}") for number in range(20)]
        _, answer = self._post("/api/commands/batch", {"commands": commands})
        jobs = [item["accepted"]["jobId"] for item in answer["results"]]
        self._wait(lambda: len(self._ledger.read("message", subject=CHANNEL)) >= before + 5, "20 accepted, 5 executed")
        name = self._actor(f"guild:{GUILD}")
        restarts = self._restarts(name)
        self._post(f"/api/admin/actors/{name}/restart?kill=true", None)
        self._wait(lambda: self._restarts(name) == restarts + 1, f"{name} was killed and restarted")
        for job in jobs:
            self._end_of(job)
        lines = [effect.text for effect in self._ledger.read("message", guild=GUILD, subject=CHANNEL)][before:]
        self._check(lines == [f"again {number}" for number in range(20)], "all 20 executed once, in order")

    def a_dashboard_asks_over_its_socket(self) -> None:
        """A dashboard in another process asks over its WebSocket, and the bot's process executes."""
        self._say(f"   dashboard: ban {FOURTH} from the dashboard")
        answer = self._dashboard.ask(f"ban {FOURTH} from the dashboard")
        self._check(" ok over websocket" in answer, f"the dashboard is answered: {answer}")
        effects = self._ledger.read("ban", subject=FOURTH)
        self._check([effect.by for effect in effects] == ["bot"], "the ledger has one ban, by the bot's process")

    def a_killed_bot_leaves_its_command_to_another_way(self) -> None:
        """The bot is killed (kill -9) while it executes; the command is finished over another protocol, once."""
        _, answer = self._post("/api/commands", timeout(FIFTH))
        self._wait(lambda: self._ledger.read("begin", subject=FIFTH), "the bot's process has begun")
        self._bot.kill()
        self._say("   -> the bot's process is killed")
        result = self._end_of(answer["jobId"])
        way = ", ".join(f"{one['outcome']} over {one['protocol']}" for one in result["attempts"])
        self._check(
            result["status"] == "ok" and result["method"] == "direct", f"status {result['status']} after: {way}"
        )
        done = [effect.by for effect in self._ledger.read("timeout", subject=FIFTH)]
        begun = [effect.by for effect in self._ledger.read("begin", subject=FIFTH)]
        self._check(
            done == ["daemon"] and begun == ["bot", "daemon"],
            f"the ledger: begun by {' and by '.join(begun)}, done {len(done)} time, by the {done[0] if done else '?'}",
        )

    def the_bot_comes_back(self) -> None:
        """The bot is started again, connects under its name and executes what comes next."""
        self._bot.start()
        self._say("   -> the bot's process is connected")
        status, answer = self._post("/api/commands?wait=10000", ban(SIXTH, "after the restart"))
        self._check(
            status == 200 and answer["method"] == "websocket", f"status {answer['status']} over {answer['method']}"
        )
        effects = self._ledger.read("ban", subject=SIXTH)
        self._check([effect.by for effect in effects] == ["bot"], "the ledger has one ban, by the bot's process")

    # ------------------------------------------------------------ asking and looking

    def _post(self, path: str, body: Any) -> tuple[int, Any]:
        shown = body
        if isinstance(body, dict) and "commands" in body:
            shown = f"{len(body['commands'])} commands"
        elif isinstance(body, dict) and "type" in body:
            shown = f"{body['type']} {body['data']}"
        self._say(f"   POST {path}" + (f"  {shown}" if shown is not None else ""))
        return self._client.ask("POST", path, body)

    def _state(self, job: str) -> Any:
        return self._client.ask("GET", f"/api/commands/{job}")[1]

    def _end_of(self, job: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while (state := self._state(job))["result"] is None:
            if time.monotonic() > deadline:
                raise Broken(f"job {job} is still {state['state']} after {PATIENCE:g} s")
            time.sleep(0.02)
        return state["result"]

    def _wait(self, holds: Callable[[], object], text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise Broken(f"not within {PATIENCE:g} s: {text}")
            time.sleep(0.01)
        self._say(f"   -> {text}")

    def _check(self, holds: object, text: str) -> None:
        if not holds:
            raise Broken(f"step {self._step} does not hold: {text}")
        self._say(f"   -> {text}")

    def _nodes(self) -> list[dict[str, Any]]:
        found, left = [], [self._client.ask("GET", "/api/admin/tree")[1]]
        while left:
            node = left.pop()
            found.append(node)
            left.extend(node.get("children", ()))
        return found

    def _actor(self, wanted: str) -> str:
        names = [str(node["name"]) for node in self._nodes()]
        if wanted not in names:
            raise Broken(f"no actor {wanted} in the tree: {', '.join(names)}")
        return wanted

    def _restarts(self, name: str) -> int:
        return next((int(node.get("restarts", 0)) for node in self._nodes() if node["name"] == name), -1)

    def _spans(self, guild: str, channel: str) -> list[tuple[int, int]]:
        begun = [effect.at for effect in self._ledger.read("begin", guild=guild, subject=channel)]
        ended = [effect.at for effect in self._ledger.read("message", guild=guild, subject=channel)]
        return list(zip(begun, ended, strict=True))


def overlaps(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> int:
    """How many pairs of spans share a moment."""
    return sum(one[0] < other[1] and other[0] < one[1] for one in ours for other in theirs)


def _command(type: str, data: dict[str, Any], guild: str = GUILD) -> dict[str, Any]:
    return {"type": type, "guildId": guild, "userId": MODERATOR, "data": data}


def ban(user: str, reason: str) -> dict[str, Any]:
    """A ban."""
    return _command("BAN_USER", {"userId": user, "reason": reason})


def unban(user: str) -> dict[str, Any]:
    """The opposite of a ban."""
    return _command("UNBAN_USER", {"userId": user, "reason": "it was one"})


def timeout(user: str) -> dict[str, Any]:
    """Five minutes of silence."""
    return _command("TIMEOUT_USER", {"userId": user, "reason": "calm down", "duration": 300})


def kick(user: str) -> dict[str, Any]:
    """A kick."""
    return _command("KICK_USER", {"userId": user, "reason": "third warning"})


def say(guild: str, channel: str, content: str) -> dict[str, Any]:
    """A message to a channel."""
    return _command("SEND_MESSAGE", {"channelId": channel, "content": content}, guild)


def play(query: str) -> dict[str, Any]:
    """A track."""
    return _command("PLAY_MUSIC", {"query": query})
