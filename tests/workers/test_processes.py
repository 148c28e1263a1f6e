"""Workers as processes of their own, over a real Redis; killed, stopped and told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.errors import StartError
from router import Router
from router.errors import BadWorker
from router.messages import BanUser, SendMessage, TimeoutUser
from router.worker import Worker
from tests.chaos.load import wait_until
from tests.chaos.nursery import Life, Nursery, said
from tests.cli.processes import ROOT, pass_the_echo, running
from tests.servers.shared import server

GUILD = "81384788765712384"
PATIENCE = 60  # of a test that waits for other processes on a busy machine

_numbers = count(1)


class Yard:
    """A store, a ledger, a router without handlers, and workers that come and go."""

    def __init__(self, folder: Path, router: Router, store: str, nurseries: list[Nursery]) -> None:
        self.router = router
        self.store = store
        self.ledger = folder / "ledger"
        self._free = list(nurseries)
        self._lives: dict[str, tuple[Nursery, Life]] = {}

    def environ(self, name: str, *, holds: bool = False, lease: float = 1.0) -> dict[str, str]:
        return {
            "WORKER_LEASE": str(lease),
            "WORKER_STORE": self.store,
            "WORKER_LEDGER": str(self.ledger),
            "WORKER_NAME": name,
            "WORKER_HOLDS": name if holds else "",
        }

    def worker(self, name: str, **options: Any) -> Life:
        """A new one, when it is seen to live."""
        nursery = self._free.pop()
        life = nursery.start("tests.workers.served:work", environment=self.environ(name, **options))
        self._lives[name] = (nursery, life)
        self.until(lambda: any(each.name == name for each in self.alive()))
        return life

    def ended(self, name: str) -> int:
        """Its exit status (negative: the signal that ended it), when it is gone."""
        nursery, life = self._lives.pop(name)
        status = life.wait(PATIENCE)
        self._free.append(nursery)
        return status

    def kill(self, name: str) -> None:
        self._lives[name][1].signal(signal.SIGKILL)
        assert self.ended(name) == -signal.SIGKILL

    def alive(self) -> list[Any]:
        roll = self.router.protocols.queue.roll
        assert roll is not None
        return roll.all()

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def until(self, condition: Any) -> None:
        wait_until(condition, PATIENCE, lambda: "it never came")


@pytest.fixture
def yard(tmp_path: Path, nurseries: list[Nursery]) -> Iterator[Yard]:
    store = f"{server().url}?prefix=yard{next(_numbers)}&partitions=2"
    with ExitStack() as stack:
        for nursery in nurseries:
            stack.enter_context(said(nursery))
        router = stack.enter_context(Router(store=store))
        yield Yard(tmp_path, router, store, nurseries)


def say(text: str = "hello") -> SendMessage:
    return SendMessage(guild_id=GUILD, channel_id="381870553235193857", content=text)


def ban(user: int = 1) -> BanUser:
    return BanUser(guild_id=GUILD, user_id=str(175928847299117063 + user), moderator_id=GUILD, reason="spam")


def test_a_command_is_executed_in_another_process_and_answered_here(yard: Yard) -> None:
    arguments = ("work", "--app", "tests.workers.app:worker", "--concurrency", "3")
    with running(*arguments, cwd=ROOT, environ=yard.environ("w1")) as process:
        assert "bot:moderation" in process.line_with("consumes")
        response = yard.router.request(say(), timeout=PATIENCE)
        assert (response.status, response.method, response.data) == ("ok", "queue", {"by": "w1", "said": "hello"})
        replies = yard.router.send_many([ban(number) for number in range(100)])
        assert {reply.result(PATIENCE).status for reply in replies} == {"ok"}
        assert len([line for line in yard.lines() if line.startswith("end")]) == 101
        assert [each.capacity for each in yard.alive()] == [6]
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    yard.until(lambda: not yard.alive())


def test_a_router_with_a_handler_of_its_own_leaves_the_types_of_a_worker_in_their_queue_to_it(yard: Yard) -> None:
    yard.router.handler(TimeoutUser)(lambda _command, _ctx: {"by": "router"})
    yard.worker("w1")
    kinds: list[str] = []
    stop = yard.router.hub.subscribe(lambda kind, _: kinds.append(kind))
    responses = [reply.result(PATIENCE) for reply in yard.router.send_many([ban(number) for number in range(30)])]
    yard.until(lambda: kinds.count("settled") == 30)
    stop()
    assert [response.data for response in responses] == [{"by": "w1"}] * 30
    assert (kinds.count("started"), kinds.count("attempted")) == (30, 30)  # nobody handed one back


def test_a_command_that_comes_before_its_worker_waits_for_it(yard: Yard) -> None:
    reply = yard.router.send(say(), expires_in=60)
    reply.accepted(PATIENCE)
    yard.worker("w1")
    assert reply.result(PATIENCE).data == {"by": "w1", "said": "hello"}


def test_a_command_whose_worker_was_killed_is_finished_elsewhere_if_repeating_does_no_harm(yard: Yard) -> None:
    yard.worker("w1", holds=True)
    reply = yard.router.send(ban())
    yard.until(lambda: len(yard.lines()) == 1)
    yard.kill("w1")
    yard.worker("w2")
    response = reply.result(PATIENCE)
    assert (response.status, response.data) == ("ok", {"by": "w2"})
    id_ = reply.id
    assert yard.lines() == [f"begin w1 {id_} 1", f"begin w2 {id_} 2", f"end w2 {id_} 2"]


def test_what_a_killed_worker_held_is_free_however_long_its_lease_is(yard: Yard) -> None:
    """The end of a process is seen by its connection; the lease is for those who are frozen."""
    yard.worker("w1", holds=True, lease=86_400)
    replies = [yard.router.send(ban(number)) for number in range(40)]
    yard.until(lambda: bool(yard.lines()))  # before there is another, who would be quicker
    yard.worker("w2", lease=86_400)
    yard.kill("w1")
    assert {reply.result(PATIENCE).status for reply in replies} == {"ok"}


def test_a_command_that_kills_each_of_its_workers_is_a_dead_letter_after_three(yard: Yard) -> None:
    yard.worker("w1", holds=True)
    reply = yard.router.send(ban())
    for number in (1, 2, 3):
        yard.until(lambda number=number: len(yard.lines()) == number)
        yard.kill(f"w{number}")
        yard.worker(f"w{number + 1}", holds=True)
    response = reply.result(PATIENCE)
    assert (response.status, response.error.code) == ("dead", "worker_lost")
    assert yard.lines() == [f"begin w{number} {reply.id} {number}" for number in (1, 2, 3)]
    yard.kill("w4")
    yard.worker("w5")
    assert yard.router.request(ban(2), timeout=PATIENCE).data == {"by": "w5"}, "its guild goes on"


def test_any_other_command_whose_worker_was_killed_is_in_doubt_and_not_repeated(yard: Yard) -> None:
    yard.worker("w1", holds=True)
    reply = yard.router.send(say())
    yard.until(lambda: len(yard.lines()) == 1)
    yard.kill("w1")
    yard.worker("w2")
    assert reply.result(PATIENCE).status == "in_doubt"
    assert yard.router.request(say("and now?"), timeout=PATIENCE).data == {"by": "w2", "said": "and now?"}
    assert [line.split()[:2] for line in yard.lines()] == [["begin", "w1"], ["begin", "w2"], ["end", "w2"]]


def test_a_worker_that_was_frozen_through_its_lease_changes_nothing_when_it_thaws(yard: Yard) -> None:
    first = yard.worker("w1", holds=True)
    reply = yard.router.send(ban())
    yard.until(lambda: len(yard.lines()) == 1)
    first.signal(signal.SIGSTOP)
    yard.worker("w2")
    assert reply.result(PATIENCE).data == {"by": "w2"}
    first.signal(signal.SIGCONT)
    yard.until(lambda: len(yard.alive()) == 2)
    first.signal(signal.SIGTERM)
    yard.ended("w1")
    view = reply.status()
    assert view is not None
    assert view.response is not None
    assert view.response.data == {"by": "w2"}
    assert len(yard.lines()) == 3


def test_sigterm_lets_running_commands_end_and_a_second_one_does_not_wait(yard: Yard) -> None:
    polite = yard.worker("w1")
    assert yard.router.request(say(), timeout=PATIENCE).success
    polite.signal(signal.SIGTERM)
    assert yard.ended("w1") == 0
    yard.until(lambda: not yard.alive())
    stubborn = yard.worker("w2", holds=True)
    reply = yard.router.send(ban())
    yard.until(lambda: len(yard.lines()) == 3)
    stubborn.signal(signal.SIGTERM)
    yard.until(lambda: not yard.alive())
    pass_the_echo()
    stubborn.signal(signal.SIGTERM)
    assert yard.ended("w2") == 128 + signal.SIGTERM
    yard.worker("w3")
    assert reply.result(PATIENCE).data == {"by": "w3"}


def test_a_router_that_stops_ends_what_it_executes_for_another(yard: Yard) -> None:
    guilds = [str(int(GUILD) + (number << 22)) for number in range(8)]  # some of either router's
    begun, go = threading.Semaphore(0), threading.Event()
    other = Router(store=yard.store, workers=len(guilds))

    @other.handler(SendMessage, timeout=PATIENCE)
    def send(command: SendMessage, ctx: Any) -> None:
        begun.release()
        assert go.wait(PATIENCE)

    with other:
        yard.until(lambda: len(yard.alive()) == 1)
        replies = yard.router.send_many([say().model_copy(update={"guild_id": guild}) for guild in guilds])
        for _ in guilds:
            assert begun.acquire(timeout=PATIENCE)
        stop = threading.Thread(target=other.stop, args=[PATIENCE])
        stop.start()
        yard.until(lambda: not yard.alive())
        go.set()
        stop.join(PATIENCE)
        assert not stop.is_alive()
    assert {reply.result(PATIENCE).status for reply in replies} == {"ok"}


def test_workers_killed_again_and_again_lose_nothing(yard: Yard) -> None:
    yard.worker("steady")
    replies = [yard.router.send(ban(number)) for number in range(60)]
    for number in range(3):
        yard.worker(f"w{number}", holds=True)
        replies += [yard.router.send(ban(1_000 + 10 * number + each)) for each in range(5)]
        yard.kill(f"w{number}")
    assert {reply.result(PATIENCE).status for reply in replies} == {"ok"}
    ended = [line.split()[2] for line in yard.lines() if line.startswith("end")]
    assert sorted(ended) == sorted(reply.id for reply in replies), "each ended once, whoever began it"


def test_a_worker_over_a_store_of_one_process_is_refused_in_one_line() -> None:
    for url in ("sqlite:///router.db", "memory://", "postgres://x"):
        with pytest.raises(BadWorker) as refused:
            Worker(url)
        assert "redis://" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_worker_whose_redis_is_not_there_says_so_and_ends_with_status_one(tmp_path: Path) -> None:
    environ = {"WORKER_STORE": "redis://127.0.0.1:1", "WORKER_NAME": "w"}
    with running("work", "--app", "tests.workers.app:worker", cwd=ROOT, environ=environ) as process:
        process.line_with("cannot start")
        assert process.ended() == 1
    worker = Worker("redis://127.0.0.1:1")
    with pytest.raises(StartError):
        worker.start()


@pytest.mark.parametrize("arguments", [("--app", "nowhere:worker"), ("--app", "tests.workers.app:never"), ()])
def test_wrong_use_is_status_two(arguments: tuple[str, ...]) -> None:
    with running("work", *arguments, cwd=ROOT) as process:
        assert process.ended() == 2
