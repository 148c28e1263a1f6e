"""What was sent and never answered, and those who may know what came of it."""

from __future__ import annotations

from threading import Condition

from actors.envelope import Envelope
from actors.outcome import Outcome, Verdict
from actors.ports import Verified
from actors.runtime.clock import Clock
from router.frames.from_router import AskRecord
from router.frames.to_router import RecordLine
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.executor import tell
from router.protocols.sealing import sealed
from router.protocols.websocket.attempt import outcome_of
from router.protocols.websocket.bots import Bot, Bots

PATIENCE = 9_000
"""Ms for a bot to come back and answer: less than the ten seconds after which the engine gives up."""

NEVER_STARTED = Outcome(Verdict.NOT_APPLIED)


class _Doubt:
    """One envelope, asked about."""

    __slots__ = ("deadline", "envelope", "instance", "name", "waiters")

    def __init__(self, envelope: Envelope, deadline: int) -> None:
        self.envelope = envelope
        self.name = self.instance = ""  #: of the bot it was sent to; "": nobody knows, an earlier router did
        self.deadline = deadline
        self.waiters: list[Verified] = []

    def concerns(self, bot: Bot) -> bool:
        return bot.name == self.name if self.name else bot.fits(self.envelope)


class Doubts:
    """Questions to the dedupe records of bots, until one answers or nobody does in time. Shares the protocol's lock."""

    def __init__(self, clock: Clock, lock: Condition, bots: Bots) -> None:
        self._clock = clock
        self._lock = lock
        self._bots = bots
        self._doubts: dict[str, _Doubt] = {}
        self._timer = CoarseTimer(clock, self._look)
        self._count = 0

    def about(self, id_: str) -> bool:
        """Whether somebody wants to know; with the lock held."""
        return id_ in self._doubts

    def ask(self, envelope: Envelope, had: tuple[str, str], done: Verified) -> None:
        """Ask the bot that had it (name, instance), or all that may have had it (``""``), now and when they come.

        With the lock held.
        """
        now = self._clock.now()
        doubt = self._doubts.get(envelope.id)
        if doubt is None:
            doubt = self._doubts[envelope.id] = _Doubt(envelope, now + PATIENCE)
        if had[0]:
            doubt.name, doubt.instance = had
        doubt.waiters.append(done)
        self._timer.want(doubt.deadline, now)
        for bot in self._bots.all():
            if doubt.concerns(bot):
                bot.link.say(self._question([doubt]))

    def questions(self, bot: Bot) -> list[AskRecord]:
        """What to ask a bot that has just come; with the lock held."""
        concerning = [doubt for doubt in self._doubts.values() if doubt.concerns(bot)]
        return [self._question(concerning[start : start + 20]) for start in range(0, len(concerning), 20)]

    def hear(self, bot: Bot, line: RecordLine) -> Outcome | None:
        """The outcome that a line of a bot's record proves; ``None``: nothing yet, or for ever nothing."""
        with self._lock:
            doubt = self._doubts.get(line.id)
            if doubt is None or not (doubt.concerns(bot) or bot.draining):
                return None
            its_own = bool(doubt.name) and doubt.name == bot.name
            if line.state == "done":
                return outcome_of(line)
            if line.state == "running" or not its_own:
                return None  # its result comes; or another may know more
            if line.state == "never" and doubt.instance == bot.instance:
                return NEVER_STARTED
        self._tell(line.id, None)  # its process began anew, or its record does not reach back so far
        return None

    def settle(self, id_: str, outcome: Outcome) -> None:
        """What came of it is known; without the lock."""
        happened = None if outcome.verdict is Verdict.IN_DOUBT else outcome.verdict is Verdict.APPLIED
        self._tell(id_, happened, outcome.data)

    def give_up(self) -> None:
        """Nobody will know any more."""
        self._timer.stop()
        for id_ in list(self._doubts):
            self._tell(id_, None)

    def _question(self, doubts: list[_Doubt]) -> AskRecord:
        self._count += 1
        ids = [doubt.envelope.id for doubt in doubts]
        return AskRecord(
            correlation_id=f"record/{self._count}", ids=ids, envelopes=[sealed(doubt.envelope) for doubt in doubts]
        )

    def _tell(self, id_: str, happened: bool | None, data: bytes = b"") -> None:
        with self._lock:
            doubt = self._doubts.pop(id_, None)
        for done in doubt.waiters if doubt is not None else ():
            tell(done, happened, data)

    def _look(self, now: int) -> int:
        with self._lock:
            late = [id_ for id_, doubt in self._doubts.items() if doubt.deadline <= now]
            following = min((doubt.deadline for doubt in self._doubts.values() if doubt.deadline > now), default=NEVER)
        for id_ in late:
            self._tell(id_, None)
        return following
