"""The protocol: attempts go to connected bots, outcomes come back, doubts are settled by those who know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from threading import Condition

from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.outcome import Outcome, Verdict
from actors.policy.balancing import Balance
from actors.ports import Done, Ticket, Verified
from actors.runtime.clock import Clock
from router.frames import to_router
from router.frames.codec import FRAME_BYTES
from router.protocols import results
from router.protocols.coarse import NEVER, CoarseTimer
from router.protocols.executor import tell
from router.protocols.records import Records
from router.protocols.websocket.attempt import Attempt, Gate, order_of, outcome_of, refusal_of
from router.protocols.websocket.attempts import Attempts
from router.protocols.websocket.bots import Bot, Bots, Offer, Outlook
from router.protocols.websocket.doubts import Doubts
from router.protocols.workshop import BUSY, STOPPED

logger = logging.getLogger("router.protocols.websocket")


class WebSocketProtocol:
    """Executes over the sockets of bots. ``changed`` is called when a bot comes or goes, or what it can do changes.

    An attempt that was not sent has proof of not having happened. One that was sent and whose connection ended, or that
    takes longer than ``timeout_ms``, is in doubt; ``verify`` then asks the bot's dedupe record, if need be when it has
    come back, within ``doubts.PATIENCE``.
    """

    name = "websocket"
    dedupes = True

    def __init__(
        self,
        *,
        clock: Clock,
        timeout_ms: int = 30_000,
        balance: Balance = Balance.ROUND_ROBIN,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._timeout = timeout_ms
        self._changed = changed
        self._open = False
        self._lock = Condition()  # notified when an attempt ends
        self._bots = Bots(balance)
        self._attempts = Attempts(self._lock)
        self._records = Records()
        self._doubts = Doubts(clock, self._lock, self._bots)
        self._timer = CoarseTimer(clock, self._look)

    # ------------------------------------------------------------ asked by the engine (actors.ports.ExecutionProtocol)

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        self._open = True

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; what was not sent is handed back, what runs on after ``drain`` s is in doubt."""
        with self._lock:
            self._open = False
            unsent = [attempt for attempt in self._attempts if not attempt.sent]
            for attempt in unsent:
                self._attempts.forget(attempt)
        for attempt in unsent:
            attempt.tell(results.deferred("shutting_down", "the router stops", STOPPED))
        with self._lock:
            if drain > 0 and self._attempts:
                self._lock.wait_for(lambda: not self._attempts, drain)
            left = list(self._attempts)
            for attempt in left:
                self._attempts.give_up(attempt)
        for attempt in left:
            attempt.tell(results.in_doubt("shutting_down", "it still ran when the router stopped"))
        self._doubts.give_up()
        self._timer.stop()

    def reaches(self, envelope: Envelope) -> bool:
        """Whether a connected bot handles the type for the guild."""
        if not self._bots:
            return False
        with self._lock:
            return self._open and next(self._bots.fitting(envelope, self._clock.now()), None) is not None

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether every bot that could get it declared so."""
        with self._lock:
            return self._safe(envelope, self._clock.now())

    def start(self, ticket: Ticket, done: Done, gate: Gate | None = None) -> None:
        """See ``ExecutionProtocol``. ``gate``: what it has to pass before it leaves, if nothing of it is under way."""
        id_, now = ticket.envelope.id, self._clock.now()
        deadline = min(ticket.deadline or NEVER, now + self._timeout)
        outcome: Outcome | None = None
        with self._lock:
            running = self._attempts.find(id_)
            if running is not None:
                running.waiters.append(done)
                self._timer.want(running.deadline, now)
                return
            if self._open:
                outcome = self._records.answer(id_, ticket.attempt, safe=True)  # ends in doubt are not kept here
            else:
                outcome = results.deferred("shutting_down", "the router stops", STOPPED)
            if outcome is None:
                attempt = Attempt(ticket, done, deadline, gate)
                outcome = self._place(attempt, now)
                if outcome is None:
                    self._attempts.add(attempt)
        if outcome is not None:
            tell(done, outcome)
        else:
            self._timer.want(min(deadline, ticket.start_by or NEVER), now)

    def recall(self, id: str) -> bool:
        """``True`` while it has not left this process."""
        with self._lock:
            attempt = self._attempts.find(id)
            if attempt is None or attempt.sent:
                return False
            self._attempts.forget(attempt)
        self._fill()
        return True

    def verify(self, envelope: Envelope, done: Verified, had: tuple[str, str] = ("", "")) -> None:
        """By what was heard since; else by the dedupe record of the bot that had it, which may have to come back.

        ``had``: (name, instance) of the bot that another router sent it to.
        """
        known: Outcome | None = None
        with self._lock:
            known = self._records.find(envelope.id)
            if known is None:
                self._doubts.ask(envelope, self._attempts.sent_to(envelope.id) or had, done)
            elif known.verdict is Verdict.NOT_APPLIED:
                self._records.forget(envelope.id)  # it is heard now, and the next attempt executes
        if known is not None:
            tell(done, known.verdict is Verdict.APPLIED, known.data)

    def running(self, id_: str) -> bool:
        """Whether an attempt of it is under way here."""
        return self._attempts.find(id_) is not None

    def knows(self, id_: str) -> bool:
        """Whether it is under way here, its outcome is remembered, or the bot that may have done it is connected."""
        with self._lock:
            if self.running(id_) or self._records.find(id_) is not None:
                return True
            had = self._attempts.sent_to(id_)
            return had is not None and self._bots.find(had[0]) is not None

    def sent_to(self, id_: str) -> tuple[str, str]:
        """(name, instance) of the bot that had it and has not said what came of it; ``""``: nobody, as far as known."""
        with self._lock:
            return self._attempts.sent_to(id_) or ("", "")

    def outlook(self, envelope: Envelope) -> Outlook | None:
        """What the bots that fit are like; ``None``: none fits."""
        if not self._bots:
            return None
        with self._lock:
            return self._bots.outlook(envelope, self._clock.now()) if self._open else None

    def offers(self) -> list[tuple[Offer, frozenset[str]]]:
        """What each bot that takes commands now is good for, and the guilds its token is limited to."""
        with self._lock:
            now = self._clock.now()
            if not self._open:
                return []
            takers = [bot for bot in self._bots.all() if not (bot.draining or bot.stalled(now))]
            return [(bot.offer, bot.allowed) for bot in takers]

    def bots(self) -> tuple[int, int]:
        """How many are connected, and how many of them take nothing now."""
        with self._lock:
            now = self._clock.now()
            return len(self._bots), sum(bot.stalled(now) for bot in self._bots.all())

    # ------------------------------------------------------------ told by connections

    def join(self, bot: Bot, offer: Offer) -> None:
        """A bot announces itself, or something new about itself."""
        replaced: Bot | None = None
        with self._lock:
            if bot.gone:
                return
            before = bot.offer
            bot.draining = False
            replaced = self._bots.add(bot, offer)
            questions = self._doubts.questions(bot)
        if replaced is not None:
            logger.warning("bot %s connected again; its former connection is closed", bot.name)
            self.leave(replaced)
            replaced.link.replace()
        for question in questions:
            bot.link.say(question)
        if offer != before or replaced is not None:
            self._changed()
        self._fill()

    def drain(self, bot: Bot) -> None:
        """It wants no more; what it has may end, what has not left for it yet goes elsewhere."""
        with self._lock:
            bot.draining = True
            unsent = [attempt for attempt in self._attempts.of(bot) if not attempt.sent]
        self._elsewhere(unsent)
        self._changed()

    def leave(self, bot: Bot) -> None:
        """Its connection ended: what was sent is in doubt, the rest goes elsewhere."""
        with self._lock:
            if bot.gone:
                return
            bot.gone = True
            self._bots.remove(bot)
            mine = self._attempts.of(bot)
            lost = [attempt for attempt in mine if attempt.sent]
            for attempt in lost:
                self._attempts.give_up(attempt)
        self._elsewhere([attempt for attempt in mine if not attempt.sent])
        for attempt in lost:
            attempt.tell(results.in_doubt("connection_lost", f"bot {bot.name} went away before it had answered"))
        if bot.offer.handles:
            self._changed()

    def taken(self, bot: Bot, said: to_router.Taken) -> None:
        """It has it."""
        with self._lock:
            was_stalled = bot.stalled(self._clock.now())
            bot.unacked.pop(said.id, None)
            attempt = self._attempts.find(said.id)
            if attempt is not None and attempt.bot is bot:
                attempt.acked = True
            recovered = was_stalled and not bot.stalled(self._clock.now())
        if recovered:
            self._changed()
            self._fill()

    def executed(self, bot: Bot, said: to_router.Executed) -> None:
        """It says what came of it; also of what nobody waits for any more."""
        self._ended(bot, said.id, said.attempt, outcome_of(said))

    def refused(self, bot: Bot, said: to_router.Refused) -> None:
        """It did not start it."""
        self._ended(bot, said.id, said.attempt, refusal_of(said))

    def recorded(self, bot: Bot, said: to_router.Recorded) -> None:
        """What its dedupe record has."""
        for line in said.entries:
            answer = self._doubts.hear(bot, line)
            if answer is not None:
                self._ended(bot, line.id, max(1, line.attempt), answer)

    # ------------------------------------------------------------ inside, with the lock held

    def _safe(self, envelope: Envelope, now: int) -> bool:
        fitting = list(self._bots.fitting(envelope, now))
        return bool(fitting) and all(envelope.type in bot.offer.idempotent for bot in fitting)

    def _place(self, attempt: Attempt, now: int) -> Outcome | None:
        """To a bot, or among those that wait for one; why neither, if so."""
        envelope = attempt.ticket.envelope
        # Whoever may still be at an earlier attempt of it knows that from its record; anybody else would do it twice.
        former = self._attempts.overdue(attempt.id)
        bot = self._bots.find(former.name) if former is not None else None
        if bot is None or not bot.fits(envelope):
            bot = self._bots.choose(envelope, now)
        if bot is not None:
            return self._post(attempt, bot)
        if next(self._bots.fitting(envelope, now), None) is None:
            return results.deferred("no_bot", "no connected bot takes this now", BUSY)
        if not self._attempts.wait(attempt):
            return results.deferred("bots_busy", "every bot that takes this is at its capacity", BUSY)
        return None

    def _post(self, attempt: Attempt, bot: Bot) -> Outcome | None:
        try:
            message = bot.link.encode(order_of(attempt))
        except EnvelopeError as error:
            return results.of_undecodable(error)
        if len(message) > FRAME_BYTES:
            return Outcome(
                Verdict.NOT_APPLIED, fault=results.deferred("frame_too_large", "too long for a frame", 0).fault
            )
        if attempt.gate is not None:
            # Claimed for this bot until the gate says more: then it is sent, or handed back to whoever asked for it.
            refusal = attempt.gate.begin(bot.name, bot.instance, lambda end: self._begun(attempt, bot, end))
            if refusal is not None:
                return refusal
        attempt.bot = bot
        bot.running.add(attempt.id)
        if attempt.gate is None:
            bot.link.post(message, lambda: self._may_send(attempt, bot))
        else:
            attempt.message = message
        return None

    # ------------------------------------------------------------ inside, without it

    def _fill(self) -> None:
        """A bot has room: whoever waits and fits, in the order they came."""
        if not self._attempts.crowded:
            return
        refused: list[tuple[Attempt, Outcome]] = []
        with self._lock:
            now = self._clock.now()
            for attempt in self._attempts.waiting():
                if not self._bots.room():
                    break
                bot = self._bots.choose(attempt.ticket.envelope, now)
                if bot is None:
                    continue
                self._attempts.wait_no_more(attempt)
                outcome = self._post(attempt, bot)
                if outcome is not None:
                    self._attempts.forget(attempt)
                    refused.append((attempt, outcome))
        for attempt, outcome in refused:
            attempt.tell(outcome)

    def _begun(self, attempt: Attempt, bot: Bot, end: Outcome | None) -> None:
        """The gate has spoken; on its thread."""
        with self._lock:
            if attempt not in self._attempts or attempt.bot is not bot:
                return  # the bot went away meanwhile, and whoever asked was told so
            if end is None:
                message, attempt.message = attempt.message, b""
                bot.link.post(message, lambda: self._may_send(attempt, bot))
                return
            self._attempts.forget(attempt)
        attempt.tell(end)
        self._fill()

    def _may_send(self, attempt: Attempt, bot: Bot) -> bool:
        """The last moment before it leaves; on the connection's thread."""
        with self._lock:
            if attempt not in self._attempts or attempt.bot is not bot or bot.gone:
                return False
            if attempt.gate is None or attempt.gate.open():
                attempt.sent = True
                attempt.name, attempt.instance = bot.name, bot.instance
                bot.unacked[attempt.id] = self._clock.now()
                return True
            self._attempts.forget(attempt)
        attempt.tell(results.deferred("claim_lost", "it took too long until it could be sent", 0))
        return False

    def _elsewhere(self, attempts: Iterable[Attempt]) -> None:
        refused: list[tuple[Attempt, Outcome]] = []
        with self._lock:
            now = self._clock.now()
            for attempt in attempts:
                if attempt.sent or attempt.bot is None or attempt not in self._attempts:
                    continue
                attempt.bot.running.discard(attempt.id)
                attempt.bot = None
                outcome = self._place(attempt, now)
                if outcome is not None:
                    self._attempts.forget(attempt)
                    refused.append((attempt, outcome))
        for attempt, outcome in refused:
            attempt.tell(outcome)

    def _ended(self, bot: Bot, id_: str, number: int, outcome: Outcome) -> None:
        with self._lock:
            bot.unacked.pop(id_, None)
            attempt = self._attempts.find(id_)
            late = self._attempts.overdue(id_)
            final = outcome.verdict in (Verdict.APPLIED, Verdict.REJECTED)
            if attempt is not None and attempt.sent and attempt.name == bot.name:
                if number != attempt.ticket.attempt and not final:
                    return  # the failure of an earlier attempt, heard late: this one is still under way
                heard = True
            elif (late is not None and late.name == bot.name) or self._doubts.about(id_):
                attempt, heard = None, False
            else:
                return  # nothing that was asked of this bot
            if outcome.verdict is not Verdict.IN_DOUBT:
                if attempt is not None:
                    self._attempts.forget(attempt)
                self._attempts.ended(id_)
                self._records.keep(id_, outcome, number, heard=heard or self._doubts.about(id_))
            elif attempt is not None:
                self._attempts.give_up(attempt)  # it may still end there
        if attempt is not None:
            attempt.tell(outcome)
        self._doubts.settle(id_, outcome)
        self._fill()

    def _look(self, now: int) -> int:
        following = NEVER
        late: list[tuple[Attempt, Outcome]] = []
        with self._lock:
            for attempt in self._attempts:
                limit = attempt.deadline
                if not attempt.sent and attempt.ticket.start_by:
                    limit = min(limit, attempt.ticket.start_by)
                if limit > now:
                    following = min(following, limit)
                    continue
                if not attempt.sent:
                    self._attempts.forget(attempt)
                    late.append((attempt, results.deferred("bots_busy", "no bot had room for it in time", BUSY)))
                    continue
                self._attempts.give_up(attempt)
                fault = results.in_doubt("timeout", f"bot {attempt.name} gave no answer in time")
                # A bot that did not even acknowledge it is a failure of the protocol, not of the handler.
                late.append((attempt, fault._replace(executed=attempt.acked)))
        for attempt, outcome in late:
            attempt.tell(outcome)
        return following
