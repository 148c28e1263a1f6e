"""Several routers with bots on one store, each as if in a process of its own; the clock is the test's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from actors.codec import encode as frame_of
from actors.codec import pack
from actors.envelope import Envelope
from actors.errors import StoreUnavailable
from actors.keeper import Keeper
from actors.outcome import Outcome
from actors.policy.consuming import QueueRules
from actors.ports import Ticket
from actors.queues import NamedQueues
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import ManualClock
from actors.sharing import Member
from actors.tables.deliveries import Desk
from router.frames import MSGPACK, decode_from_router, encode
from router.frames.frame import Frame
from router.frames.from_router import AskRecord, Order
from router.frames.to_router import Executed, Recorded, RecordLine, Refused
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.messages.seal import seal
from router.protocols.rehearsal import Outcomes
from router.protocols.rings import Rings
from router.protocols.websocket.bots import Bot, Offer
from router.protocols.websocket.everywhere import Everywhere
from router.protocols.websocket.letters import RULES
from router.protocols.websocket.protocol import WebSocketProtocol
from router.stores.memory_hub import MemoryHub
from router.stores.memory_shared import MemorySharedStore
from router.stores.redis.store import RedisStore
from tests.servers.shared import options, server

HANDLES = frozenset(("BAN_USER", "SEND_MESSAGE"))


class FakeBot:
    """A bot with a dedupe record. It connects to one router at a time, and executes when the test says so."""

    def __init__(self, name: str = "bot", instance: str = "i1", **offer: Any) -> None:
        self.name = name
        self.instance = instance
        self.offer = Offer(**{"handles": HANDLES} | offer)
        self.done: dict[str, str] = {}  # envelope id -> what came of it
        self.order: list[str] = []  # what was executed, in this order
        self.waiting: deque[Order] = deque()  # came and is not executed
        self.outbox: deque[tuple[bytes, Callable[[], bool]]] = deque()  # not sent yet
        self.holding = False  # nothing leaves for it until ``flush``
        self.house: House | None = None
        self.bot: Bot | None = None

    def connect(self, house: House, *, allowed: frozenset[str] = frozenset()) -> FakeBot:
        self.leave()
        self.house, self.bot = house, Bot(self.name, self.instance, self, allowed)
        if self not in house.town.fakes:
            house.town.fakes.append(self)
        self.outbox.clear()
        house.bots.join(self.bot, self.offer)
        return self

    def leave(self) -> None:
        """The connection ends; a dead router hears nothing of it."""
        house, bot = self.house, self.bot
        self.house = self.bot = None
        if house is not None and bot is not None and not house.dead:
            house.bots.leave(bot)

    # ------------------------------------------------------------ the router's link to it

    def post(self, message: bytes | str, may_send: Callable[[], bool]) -> None:
        assert isinstance(message, bytes)
        self.outbox.append((message, may_send))  # as a socket does: it leaves after whoever posts it has gone on

    def flush(self) -> None:
        while self.outbox:
            message, may_send = self.outbox.popleft()
            if may_send():
                order = decode_from_router(message, MSGPACK)
                assert isinstance(order, Order)
                self.waiting.append(order)

    def say(self, frame: Frame) -> None:
        if isinstance(frame, AskRecord) and self.bot is not None and self.house is not None:
            lines = [self._line(id_) for id_ in frame.ids]
            self.house.bots.recorded(self.bot, Recorded(correlation_id=frame.correlation_id, entries=lines))

    def encode(self, frame: Frame) -> bytes | str:
        return encode(frame, MSGPACK)

    def replace(self) -> None:
        return

    def _line(self, id_: str) -> RecordLine:
        if id_ in self.done:
            return RecordLine(id=id_, state="done", attempt=1, outcome=self.done[id_], data={"by": self.name})
        running = any(order.envelope.id == id_ for order in self.waiting)
        return RecordLine(id=id_, state="running" if running else "never", attempt=1 if running else 0)

    # ------------------------------------------------------------ what the test has it do

    def execute(self, outcome: str = "applied", *, say: bool = True) -> Order:
        """The oldest that came; what it did before it does not do again."""
        order = self.waiting.popleft()
        id_ = order.envelope.id
        if id_ not in self.done:
            self.order.append(id_)
            self.done[id_] = outcome
        if say and self.bot is not None and self.house is not None:
            said = Executed(
                correlation_id=order.correlation_id,
                id=id_,
                attempt=order.attempt,
                outcome=self.done[id_],
                data={"by": self.name},
            )
            self.house.bots.executed(self.bot, said)
        return order

    def refuse(self, code: str = "busy") -> None:
        order = self.waiting.popleft()
        assert self.bot is not None
        assert self.house is not None
        error = {"code": code, "message": "", "retryable": True, "retryAfter": 100}
        refused = Refused.model_validate(
            {
                "op": "nack",
                "correlationId": order.correlation_id,
                "id": order.envelope.id,
                "attempt": order.attempt,
                "error": error,
            }
        )
        self.house.bots.refused(self.bot, refused)


class House:
    """A router: its bots, its named queues, its way to the store."""

    def __init__(self, town: Town, name: str, bots: WebSocketProtocol | None = None) -> None:
        self.town = town
        self.name = name
        self.clock = town.clock
        self.dead = False
        self.away = False  # the others do not see it, though it lives
        self.told: dict[str, Any] = {}  # what the others hear of it instead of the truth
        self.changes = 0
        self.refusal: Outcome | None = None  # what its guard says
        self.handle = Cuttable(town.handle(name))
        self.runtime = Runtime(clock=town.clock)
        self.desk = Desk(lambda _: town.rules)
        self.desk.holder = name
        self.bots = bots or WebSocketProtocol(clock=town.clock, timeout_ms=20_000, changed=self._bots_changed)
        self.protocol = Everywhere(
            self.bots,
            lambda: self.runtime.ref("queues"),
            self.desk,
            name,
            clock=town.clock,
            members=lambda: town.members(self),
            timeout_ms=20_000,
            changed=self._changed,
            check=lambda _, decided: decided(self.refusal),
        )
        children = [
            ChildSpec("keeper", lambda: Keeper(self.handle)),
            ChildSpec("queues", lambda: NamedQueues(lambda: self.runtime.ref("keeper"), self.desk)),
        ]
        self.runtime.start(SupervisorSpec("root", children))
        self.protocol.open()
        self.rings: Rings | None = None
        if town.bells:
            self.rings = Rings(self.handle.bell(), self.desk, name, self.protocol.outcomes)
            self.rings.open()

    def _bots_changed(self) -> None:
        self.protocol.bots_changed()

    def _changed(self) -> None:
        self.changes += 1

    def now(self) -> int:
        return self.clock.now()

    def start(self, ticket: Ticket) -> Outcomes:
        outcomes = Outcomes()
        self.protocol.start(ticket, outcomes)
        return outcomes

    def verify(self, envelope: Envelope) -> Outcomes:
        answers = Outcomes()
        self.protocol.verify(envelope, answers)
        return answers

    def kill(self) -> None:
        """As ``kill -9``: nothing more of it reaches the store, and its bots lose their sockets."""
        self.dead = self.handle.cut = True

    def close(self) -> None:
        self.dead = True
        if self.rings is not None:
            self.rings.close()
        self.protocol.close(0)
        self.runtime.stop()


class Town:
    """All of them, and what they share; ``store`` is ``memory`` or ``redis``. Without ``bells`` only time moves."""

    def __init__(
        self, store: str, *, bells: bool = False, rules: QueueRules = RULES, clock: ManualClock | None = None
    ) -> None:
        self.bells = bells
        self.rules = rules
        self.clock = clock or ManualClock()
        self.houses: list[House] = []
        self.fakes: list[FakeBot] = []
        self._numbers = count(1)
        if store == "memory":
            hub = MemoryHub(self.clock.now)
            self.handle: Callable[[str], Any] = lambda name: MemorySharedStore(hub, name)
        else:
            url, its = server().url, options()
            self.handle = lambda name: RedisStore(url, its, router=name)

    def members(self, me: House) -> list[Member]:
        """Those that live, as each tells of itself."""
        living = [house for house in self.houses if house is me or not (house.dead or house.away)]
        return [
            Member(house.name, f"host:{house.name}", 0, pack(house.protocol.about() | house.told)) for house in living
        ]

    def house(self, name: str, bots: WebSocketProtocol | None = None) -> House:
        """A router that has seen the others, and they it; ``bots``: those of its door."""
        house = self.found(name, bots=bots)
        self.pass_time(0.3)
        return house

    def found(self, name: str, *, away: bool = False, bots: WebSocketProtocol | None = None) -> House:
        """A router that the others have not seen yet."""
        house = House(self, name, bots)
        house.away = away
        self.houses.append(house)
        return house

    def ticket(self, text: str = "hello", attempt: int = 1, guild: str = "1" * 17, **more: Any) -> Ticket:
        """Of a command whose repetition shows."""
        message = SendMessage(guild_id=guild, channel_id="4" * 17, content=text)
        return self.seal(message, attempt, **more)

    def ban(self, attempt: int = 1, guild: str = "1" * 17, **more: Any) -> Ticket:
        """Of one whose repetition does no harm."""
        message = BanUser(guild_id=guild, user_id="2" * 17, moderator_id="3" * 17, reason="spam")
        return self.seal(message, attempt, **more)

    def seal(self, message: Any, attempt: int, **more: Any) -> Ticket:
        """A new envelope's ticket."""
        envelope = seal(message, id=f"t{next(self._numbers)}", now=self.clock.now(), source="library")
        about = {"deadline": 0, "sequence": 7, "token": 3} | more
        return Ticket(envelope, frame_of(envelope), attempt, **about)

    def settle(self) -> None:
        """Everybody has done what there was to do."""
        for _ in range(2):
            for fake in self.fakes:
                if not fake.holding:
                    fake.flush()
            for house in self.houses:
                for name in ("queues", "keeper", "queues"):
                    house.runtime.ref(name).ask(Nothing(), timeout=10)

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Time passes in steps, and in each everybody does what is due."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            self.settle()
            seconds -= step

    def until(self, condition: Callable[[], Any], seconds: float = 15.0) -> None:
        """Time passes until it is so."""
        while not condition():
            assert seconds > 0, "it never came"
            self.pass_time(0.05)
            seconds -= 0.05

    def answered(self, outcomes: Outcomes, seconds: float = 15.0) -> Any:
        self.until(lambda: outcomes.all, seconds)
        return outcomes.one

    def close(self) -> None:
        for house in self.houses:
            house.close()


class Cuttable:
    """A handle that can be cut off from its store."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.cut = False
        self.silent = ""  # what this did is not heard of

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method) or name == "close":
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.cut:
                raise StoreUnavailable("cut off")
            answer = method(*args, **kwargs)
            if name == self.silent:
                raise StoreUnavailable("its answer was lost")
            return answer

        return call


class Nothing:
    """Asked and answered: whatever was told before is done."""

    reply = staticmethod(lambda _: None)
    fn = staticmethod(lambda _store, _now: None)
