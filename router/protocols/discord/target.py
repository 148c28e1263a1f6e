"""Discord as a target of ``rest``: a command by the table of ``commands``, an outcome by the table of ``codes``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

from actors.envelope import Envelope
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Sign, Ticket
from actors.runtime.clock import Clock
from router.messages.fields import is_snowflake
from router.messages.moderation import BulkBan
from router.protocols import results
from router.protocols.context import Context
from router.protocols.discord.call import (
    Applied,
    Call,
    Lapsed,
    NotSent,
    RateLimited,
    Rejected,
    Reply,
    RestBackend,
    Unknown,
    call,
)
from router.protocols.discord.codes import Meaning, Scope, code_of
from router.protocols.discord.commands import COMMANDS, UNKNOWN_BAN, At, Spec, look_at_ban, send_direct
from router.protocols.discord.limits import Ledger
from router.protocols.discord.nonce import VALID
from router.protocols.discord.reason import LONGEST
from router.protocols.rest.target import NOBODY_KNOWS, Found, Sent
from router.protocols.signals import Signal

CHANNELS = 10_000  # channels of direct messages that are remembered
LATER = 5_000  # ms


Key = Callable[[Scope], tuple[str, ...]]


class DiscordTarget:
    """``types``: what it executes; empty: all it can. ``tagged``: a short mark of the envelope ends each audit reason,
    by which a bot that reads the audit log finds the command.
    """

    name = "discord"
    weight = 1.0
    dedupes = False
    rank = 1
    unwell = frozenset({"discord_cloudflare"})  # Cloudflare itself said no: the address is barred

    def __init__(
        self,
        backend: RestBackend,
        ledger: Ledger,
        *,
        clock: Clock,
        decode: Callable[[Envelope], Any],
        types: Collection[str] = (),
        capacity: int = 100,
        tagged: bool = False,
    ) -> None:
        self.capacity = capacity
        self._backend = backend
        self._ledger = ledger
        self._clock = clock
        self._decode = decode
        self._types = frozenset(types) & COMMANDS.keys() if types else COMMANDS.keys()
        self._tagged = tagged
        self._channels: OrderedDict[str, str] = OrderedDict()  # user -> channel of direct messages

    def serves(self, envelope: Envelope) -> bool:
        """By its type."""
        return envelope.type in self._types

    def idempotent(self, envelope: Envelope) -> bool:  # noqa: ARG002 - one rule for all
        """``False``: the catalog knows which commands are. A nonce protects from Discord alone, and for two minutes."""
        return False

    def knows(self, envelope: Envelope) -> bool:
        """Whether a look tells if it happened, or sending it again does no harm."""
        spec = COMMANDS.get(envelope.type)
        return spec is not None and (spec.nonce or spec.judge is not None)

    async def execute(self, ticket: Ticket, deadline: int) -> Outcome:
        """Send it."""
        envelope = ticket.envelope
        spec = COMMANDS[envelope.type]
        try:
            message = self._decode(envelope)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, it is the body's fault
            return results.of_undecodable(error)
        for field in spec.ids:
            value = getattr(message, field)
            if not all(map(is_snowflake, value if isinstance(value, tuple) else (value,))):
                return Outcome(Verdict.REJECTED, fault=Fault("invalid_message", f"{field} must be a Discord id"))
        at = At(envelope.id, self._clock.now(), self._reason(ticket, message, deadline))
        try:
            first = spec.call(message, at)
        except Signal as signal:
            return results.of_error(signal)
        key = self._key(spec, message, first)
        known = self._ledger.refusal(key(Scope.PLACE), at.now) or self._ledger.refusal(key(Scope.TARGET), at.now)
        reply = known or await self._sent(spec, message, at, deadline, ticket.lapsed)
        if isinstance(reply, Rejected) and reply.code in spec.unclear:
            reply = await self._each(message, reply, deadline, ticket.lapsed)
        return self._outcome(spec, message, reply, key if known is None else None)

    async def verify(self, envelope: Envelope, sent: Sent) -> Found:
        """By sending it again with its nonce, or by looking. Nothing is said that is not sure."""
        spec = COMMANDS[envelope.type]
        message = self._decode(envelope)
        now = self._clock.now()
        if spec.nonce:
            # Not later than Discord surely knows the nonce: after that it would be a second message.
            reply = await self._sent(spec, message, At(envelope.id, now), sent.earliest + VALID)
            gone = isinstance(reply, Rejected) and reply.code in spec.noop
            if gone or isinstance(reply, Applied):
                return Found(True, self._outcome(spec, message, reply, None).data)
            return NOBODY_KNOWS
        if spec.look is None or spec.judge is None:
            return NOBODY_KNOWS
        reply = await self._backend.request(spec.look(message), deadline=0)
        happened = spec.judge(message, reply, sent)
        if not happened:
            return Found(happened)
        return Found(True, results.of_value(spec.result(message, {})).data)

    async def look(self) -> Sign:
        """Discord answers and knows the token. Its limits are no illness."""
        if self._ledger.unauthorized:
            return Sign(well=False, detail="Discord does not know the bot's token")
        reply = await self._backend.request(call("GET", "/users/@me"), deadline=0)
        match reply:
            case Applied():
                return Sign(well=True)
            case RateLimited() | NotSent(failed=False):
                return Sign(well=True, detail="within its limits, which are used up")
            case Rejected(status):
                return Sign(well=False, detail=f"Discord answers {status}")
            case NotSent() | Unknown():
                return Sign(well=False, detail=reply.message)

    def resume(self) -> None:
        """Ask Discord again, after a token it did not know or a bar."""
        self._ledger.resume()

    async def close(self) -> None:
        """Hang up."""
        await self._backend.close()

    # ------------------------------------------------------------ inside

    async def _sent(self, spec: Spec, message: Any, at: At, deadline: int, lapsed: Lapsed | None = None) -> Reply:
        first = spec.call(message, at)
        if not spec.direct:
            return await self._backend.request(first, deadline=deadline, lapsed=lapsed)
        channel = self._channels.get(message.user_id)
        if channel is None:
            reply = await self._backend.request(first, deadline=deadline, lapsed=lapsed)
            if not isinstance(reply, Applied):
                # No message is out whatever became of the channel.
                return NotSent(reply.code, reply.message, failed=True) if isinstance(reply, Unknown) else reply
            channel = str(reply.data.get("id")) if isinstance(reply.data, dict) else ""
            if not is_snowflake(channel):
                return NotSent("no_channel", "Discord named no channel for direct messages", failed=True)
            self._channels[message.user_id] = channel
            while len(self._channels) > CHANNELS:
                self._channels.popitem(last=False)
        reply = await self._backend.request(send_direct(message, at, channel), deadline=deadline, lapsed=lapsed)
        if isinstance(reply, Rejected) and code_of(reply.code, reply.status).name == "unknown_channel":
            self._channels.pop(message.user_id, None)
        return reply

    async def _each(self, message: BulkBan, refused: Rejected, deadline: int, lapsed: Lapsed | None) -> Reply:
        """Nobody could be banned: are they banned already? An attempt that got lost may have done it."""
        banned: list[str] = []
        for user in message.user_ids:
            reply = await self._backend.request(look_at_ban(message, user), deadline=deadline, lapsed=lapsed)
            if isinstance(reply, Applied):
                banned.append(user)
            elif isinstance(reply, Unknown):
                return NotSent(reply.code, f"they could not be looked up: {reply.message}", LATER)
            elif not (isinstance(reply, Rejected) and reply.code == UNKNOWN_BAN):
                return reply
        failed = [user for user in message.user_ids if user not in banned]
        return Applied({"banned_users": banned, "failed_users": failed}) if banned else refused

    def _outcome(self, spec: Spec, message: Any, reply: Reply, key: Key | None) -> Outcome:
        match reply:
            case Applied(data):
                return results.of_value(spec.result(message, data if isinstance(data, dict) else {}))
            case NotSent(code, text, wait, failed):
                fault = Fault(f"discord_{code}", text, True, wait)
                if failed:
                    return Outcome(Verdict.NOT_APPLIED, fault=fault)
                return Outcome(Verdict.DEFERRED, fault=fault, retry_after=wait or LATER)
            case RateLimited(wait, scope):
                code = "discord_cloudflare" if scope == "cloudflare" else "discord_rate_limited"
                fault = Fault(code, f"Discord's {scope} limit", True, wait)
                return Outcome(Verdict.DEFERRED, executed=True, fault=fault, retry_after=wait)
            case Unknown(code, text):
                return Outcome(Verdict.IN_DOUBT, fault=Fault(f"discord_{code}", text, True))
            case Rejected():
                return self._refused(spec, message, reply, key)

    def _refused(self, spec: Spec, message: Any, reply: Rejected, key: Key | None) -> Outcome:
        if reply.code in spec.noop:
            return results.of_value(spec.result(message, {}))._replace(noop=True)
        row = code_of(reply.code, reply.status)
        if row.scope is not Scope.NONE and key is not None:
            self._ledger.refused(key(row.scope), reply, self._clock.now())
        if reply.status == 401:
            held = Fault("discord_unauthorized", "Discord does not know the bot's token", True, LATER)
            return Outcome(Verdict.DEFERRED, fault=held, retry_after=LATER)
        text = f"{reply.message} (Discord {reply.code})" if reply.code else reply.message
        if row.meaning is Meaning.LATER:
            wait = reply.retry_after or row.wait
            return Outcome(
                Verdict.DEFERRED, executed=True, fault=Fault(f"discord_{row.name}", text, True, wait), retry_after=wait
            )
        return Outcome(Verdict.REJECTED, fault=Fault(f"discord_{row.name}", text))

    def _key(self, spec: Spec, message: Any, first: Call) -> Key:
        target = getattr(message, spec.target, "") if spec.target else ""
        return lambda scope: (scope.value, message.type, first.major, target if scope is Scope.TARGET else "")

    def _reason(self, ticket: Ticket, message: Any, deadline: int) -> str:
        reason = Context(ticket, message, deadline).audit_reason
        if not self._tagged:
            return reason
        tag = f" [r:{ticket.envelope.id[-12:]}]"
        return reason[: LONGEST - len(tag)] + tag
