"""The traps of pykka 4.5, each closed. The names say what pykka does; the tests show that it does not happen here."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pykka
import pytest

from actors.runtime import (
    Actor,
    ActorStopped,
    AskDeadlock,
    ChildSpec,
    MailboxFull,
    PoolDispatcher,
    PoolExhausted,
    Promise,
    Runtime,
    StartError,
    SupervisorSpec,
)

from .conftest import CAP, Boom, Journal, Script, eventually

BOTH = pytest.mark.parametrize("dispatcher", ["thread", "pool"])


def start(runtime: Runtime, journal: Journal, *names: str, **options: Any) -> list[Any]:
    specs = [ChildSpec(name, lambda name=name: Script(name, journal), **options) for name in names]
    runtime.start(SupervisorSpec("root", specs, intensity=100))
    return [runtime.ref(name) for name in names]


def test_trap_unregister_is_linear_our_actors_are_not_in_pykkas_registry(threaded: Runtime, journal: Journal) -> None:
    start(threaded, journal, "a", "b", dispatcher="pool")
    assert pykka.ActorRegistry.get_all() == []


def test_trap_stop_all_by_a_foreign_actor_stops_every_actor_of_the_process(threaded: Runtime, journal: Journal) -> None:
    class Foreign(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            raise SystemExit(message)

    (ours,) = start(threaded, journal, "ours")
    life = ours.ask("who", CAP)
    foreign = Foreign.start()
    foreign.tell("die, all of you")
    eventually(lambda: not foreign.is_alive())
    pykka.ActorRegistry.stop_all(timeout=CAP)
    assert ours.ask("who", CAP) == life


@BOTH
def test_trap_a_base_exception_in_one_handler_stops_every_actor(
    threaded: Runtime, journal: Journal, dispatcher: str
) -> None:
    one, two = start(threaded, journal, "one", "two", dispatcher=dispatcher)
    lives = one.ask("who", CAP), two.ask("who", CAP)
    for error in (SystemExit(), KeyboardInterrupt()):
        one.tell(("raise", error))
    assert one.ask("who", CAP) > lives[0]
    assert two.ask("who", CAP) == lives[1]


@BOTH
def test_trap_a_ref_holds_one_instance_and_dies_with_it(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    (ref,) = start(threaded, journal, "one", dispatcher=dispatcher)
    life = ref.ask("who", CAP)
    ref.tell(("raise", Boom()))
    assert ref.ask("who", CAP) > life
    assert ref.alive()


def test_trap_on_start_raising_leaves_a_ref_to_a_dead_actor(threaded: Runtime, journal: Journal) -> None:
    def bad(_: Script) -> None:
        raise Boom

    with pytest.raises(StartError):
        threaded.start(SupervisorSpec("root", [ChildSpec("bad", lambda: Script("bad", journal, bad))]))


@BOTH
def test_trap_an_exception_on_ask_is_no_failure_of_the_actor(
    threaded: Runtime, journal: Journal, dispatcher: str
) -> None:
    (ref,) = start(threaded, journal, "one", dispatcher=dispatcher)
    life = ref.ask("who", CAP)
    with pytest.raises(Boom):
        ref.ask(("raise", Boom()), CAP)
    with pytest.raises(AttributeError):
        ref.proxy().number.no_such_thing.get(timeout=CAP)
    assert ref.ask("who", CAP) > life
    journal.wait("failed", 1)


@BOTH
def test_trap_messages_left_by_a_dead_actor_vanish(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    (ref,) = start(threaded, journal, "one", dispatcher=dispatcher)
    ref.tell(("raise", Boom()))
    ref.tell("left behind")
    answer = ref.ask("asked behind", block=False)
    assert journal.wait("handled", 2)[0][2] == "left behind"
    assert answer.get(CAP) == "asked behind"


@BOTH
def test_trap_a_tell_may_land_after_the_inbox_was_drained(journal: Journal, dispatcher: str) -> None:
    dropped: list[Any] = []
    lock = threading.Lock()

    def on_dropped(_ref: Any, messages: Any) -> None:
        with lock:
            dropped.extend(messages)

    runtime = Runtime(on_dropped=on_dropped)
    (ref,) = start(runtime, journal, "one", dispatcher=dispatcher)
    accepted: list[list[int]] = [[], [], []]
    sending = threading.Barrier(4)

    def send(mine: list[int], first: int) -> None:
        sending.wait(CAP)
        for number in range(first, first + 100_000):
            try:
                ref.tell(number)
            except MailboxFull:
                continue
            except ActorStopped:
                return
            mine.append(number)

    threads = [threading.Thread(target=send, args=(mine, number * 1_000_000)) for number, mine in enumerate(accepted)]
    for thread in threads:
        thread.start()
    sending.wait(CAP)
    journal.wait("handled", 100)
    runtime.stop()
    for thread in threads:
        thread.join(CAP)
    handled = [line[2] for line in journal.lines("handled")]
    assert sorted(handled + dropped) == sorted(number for mine in accepted for number in mine)


@BOTH
def test_trap_stop_waits_behind_the_whole_inbox(journal: Journal, dispatcher: str) -> None:
    runtime = Runtime()
    (ref,) = start(runtime, journal, "one", dispatcher=dispatcher)
    hold, entered = threading.Event(), threading.Event()
    ref.tell(("call", lambda _: (entered.set(), hold.wait(CAP))))
    ref.tell_many(range(1000))
    assert entered.wait(CAP)
    stopping = threading.Thread(target=runtime.stop)
    stopping.start()
    eventually(lambda: ref._cell.mailbox.interrupt)  # the stop is on its way
    hold.set()
    stopping.join(CAP)
    assert journal.lines("handled") == []
    assert runtime.dropped_messages == 1000


@BOTH
def test_trap_stop_with_a_timeout_cannot_end_a_busy_thread(
    journal: Journal, gate: threading.Event, dispatcher: str
) -> None:
    runtime = Runtime()
    (ref,) = start(runtime, journal, "busy", dispatcher=dispatcher, shutdown=0.1)
    entered = threading.Event()
    ref.tell(("call", lambda _: (entered.set(), gate.wait(CAP))))
    assert entered.wait(CAP)
    runtime.stop()
    assert runtime.wait_stopped(0) == "stopped"
    assert runtime.leaked_threads == 1


@BOTH
def test_trap_inboxes_are_unbounded(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    (ref,) = start(threaded, journal, "one", dispatcher=dispatcher, mailbox_capacity=10)
    hold, entered = threading.Event(), threading.Event()
    ref.tell(("call", lambda _: (entered.set(), hold.wait(CAP))))
    assert entered.wait(CAP)
    ref.tell_many(range(10))
    with pytest.raises(MailboxFull):
        ref.tell("one too many")
    hold.set()
    journal.wait("handled", 10)


def test_trap_awaiting_a_future_blocks_the_loop(threaded: Runtime, journal: Journal) -> None:
    (ref,) = start(threaded, journal, "one")
    hold = threading.Event()

    async def scenario() -> Any:
        slow = asyncio.ensure_future(_await(ref.ask(("call", lambda _: hold.wait(CAP)), block=False)))
        proxied = asyncio.ensure_future(_await(ref.proxy().number))
        for _ in range(3):
            await _turn()
        assert not slow.done()
        hold.set()  # only a loop that is not blocked gets here
        return await slow, await proxied

    opened, number = asyncio.run(asyncio.wait_for(scenario(), CAP))
    assert opened
    assert isinstance(number, int)


async def _await(promise: Any) -> Any:
    return await promise


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    loop.call_soon(waiter.set_result, None)
    await waiter


def asks(other: Any, then: Any = "who") -> Any:
    return ("call", lambda _: other.ask(then))


@BOTH
def test_trap_two_actors_that_ask_each_other_deadlock(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    one, two, three = start(threaded, journal, "one", "two", "three", dispatcher=dispatcher)
    with pytest.raises(AskDeadlock) as raised:
        one.ask(asks(two, asks(three, asks(one))), CAP)
    assert raised.value.names[0] == "three"
    with pytest.raises(AskDeadlock):
        one.ask(asks(one), CAP)
    with pytest.raises(AskDeadlock):
        one.ask(("call", lambda _: two.ask(asks(one), block=False).get()), CAP)
    assert one.ask(asks(two, asks(three)), CAP)  # a chain without a circle is fine


def test_trap_pooled_actors_that_wait_take_all_threads(threaded_small: Runtime, journal: Journal) -> None:
    """Four pooled actors wait for a fifth; a pool of two threads would never come to it."""
    names = ["w1", "w2", "w3", "w4", "last"]
    *waiters, last = start(threaded_small, journal, *names, dispatcher="pool")
    hold = threading.Event()
    last.tell(("call", lambda _: hold.wait(CAP)))
    answers = [waiter.ask(asks(last), block=False) for waiter in waiters]
    hold.set()
    assert len({answer.get(CAP) for answer in answers}) == 1


@pytest.fixture
def threaded_small() -> Any:
    runtime = Runtime(dispatchers={"pool": PoolDispatcher(2, "small", stand_ins=4)})
    yield runtime
    runtime.stop(CAP)


def test_trap_pooled_actors_that_wait_are_bounded_too(threaded_small: Runtime, journal: Journal) -> None:
    waiters = start(threaded_small, journal, *[f"w{n}" for n in range(6)], dispatcher="pool")
    never: Promise[int] = Promise()
    asked = [waiter.ask(("call", lambda _: never.get(CAP)), block=False) for waiter in waiters]
    failed = threading.Semaphore(0)
    for answer in asked:
        answer.add_done_callback(lambda _: failed.release())
    assert failed.acquire(timeout=CAP)  # the fifth is refused a stand-in, instead of all hanging
    never.set(1)
    results = []
    for answer in asked:
        try:
            results.append(answer.get(CAP))
        except PoolExhausted as error:
            results.append(error.code)
    assert set(results) == {1, "pool_exhausted"}


def test_trap_forgetting_super_init_breaks_the_actor(threaded: Runtime) -> None:
    class Forgetful(Actor):
        def __init__(self) -> None:
            self.value = 1

        def on_receive(self, message: Any) -> Any:
            return self.value

    threaded.start(SupervisorSpec("root", [ChildSpec("one", Forgetful)]))
    assert threaded.ref("one").ask("?", CAP) == 1


def test_pykkas_own_ways_to_start_an_actor_say_what_to_do() -> None:
    with pytest.raises(TypeError, match="supervisor"):
        Script.start("x")
    with pytest.raises(TypeError, match="does not live"):
        Script("x", Journal()).send_after(1, "x")


@BOTH
def test_proxies_outlive_the_actor_they_were_made_of(threaded: Runtime, journal: Journal, dispatcher: str) -> None:
    (ref,) = start(threaded, journal, "one", dispatcher=dispatcher)
    proxy = ref.proxy()
    before = proxy.number.get(timeout=CAP)
    proxy.stop.defer()
    assert proxy.number.get(timeout=CAP) > before
    proxy.state = ["set"]
    assert proxy.state.get(timeout=CAP) == ["set"]
    assert proxy.on_receive("hello").get(timeout=CAP) == "hello"
    assert isinstance(proxy, pykka.ActorProxy)
    assert isinstance(ref._cell.incarnation.actor, pykka.Actor)
    assert pykka.get_all([proxy.number, proxy.name], timeout=CAP)[1] == "one"
    threaded.stop()
    with pytest.raises(ActorStopped):
        ref.proxy().number.get(timeout=CAP)
    with pytest.raises(pykka.ActorDeadError):  # who catches pykka's error catches ours
        ref.tell("too late")


def test_a_pykka_stop_message_ends_the_actor_as_its_own_stop_would(threaded: Runtime, journal: Journal) -> None:
    (ref,) = start(threaded, journal, "one", restart="transient")
    assert pykka.ActorRef.stop(ref, timeout=CAP)
    journal.wait("stopped")
    eventually(lambda: not ref.alive())


def test_actor_threads_are_daemons_and_named_after_their_actor(threaded: Runtime, journal: Journal) -> None:
    (ref,) = start(threaded, journal, "one")
    thread = ref.ask(("call", lambda _: threading.current_thread()), CAP)
    assert (thread.name, thread.daemon) == ("one", True)
