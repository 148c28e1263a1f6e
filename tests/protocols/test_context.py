"""What a handler is told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from router.messages.communication import SendMessage
from router.messages.moderation import BanUser
from router.protocols.context import Context
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import Outcomes, ban
from tests.protocols.benches import DirectBench
from tests.protocols.tickets import ticket


def context(message: Any, **sealed: Any) -> Context:
    class Now:
        @staticmethod
        def now() -> int:
            return 1_700_000_000_000

    return Context(ticket(Now, message, **sealed), message, 5)


def test_a_handler_sees_its_attempt() -> None:
    seen: list[Any] = []
    handlers = Handlers()
    handlers.handler(BanUser, timeout=2)(lambda _, ctx: seen.append(ctx))
    bench = DirectBench(handlers)
    outcomes = Outcomes()
    its = ticket(bench, ban(), attempt=2, user="9" * 17)
    bench.protocol.start(its, outcomes)
    assert outcomes.one
    (ctx,) = seen
    assert (ctx.id, ctx.sequence, ctx.attempt, ctx.fencing_token) == (its.envelope.id, 7, 2, 3)
    assert ctx.deadline == bench.now() + 2_000
    assert ctx.envelope is its.envelope
    bench.close()


def test_the_idempotency_key_is_the_senders_or_the_envelopes_id() -> None:
    assert context(ban(), idempotency_key="form-1").idempotency_key == "form-1"
    plain = context(ban())
    assert plain.idempotency_key == plain.id


@pytest.mark.parametrize(
    ("reason", "user", "audit"),
    [
        ("spam", "9" * 17, "spam (by 99999999999999999)"),
        ("two\r\nlines\x00", "9" * 17, "two lines (by 99999999999999999)"),
    ],
)
def test_the_audit_reason_has_the_commands_reason_and_who_asked(reason: str, user: str, audit: str) -> None:
    ctx = context(ban(), user=user)
    ctx._command = BanUser.model_construct(reason=reason)
    assert ctx.audit_reason == audit


def test_the_audit_reason_of_a_command_without_one_is_its_type() -> None:
    ctx = context(SendMessage(guild_id="1" * 17, channel_id="2" * 17, content="x"))
    assert ctx.audit_reason == "SEND_MESSAGE"


def test_the_audit_reason_is_cut_to_512_code_points_and_keeps_who_asked() -> None:
    ctx = context(ban(), user="9" * 17)
    ctx._command = BanUser.model_construct(reason="\N{PILE OF POO}" * 600)
    assert len(ctx.audit_reason) == 512
    assert ctx.audit_reason.endswith("… (by 99999999999999999)")


def test_the_logger_names_the_command(caplog: pytest.LogCaptureFixture) -> None:
    ctx = context(ban())
    with caplog.at_level(logging.INFO):
        ctx.logger.info("%d%% done", 50)
    (record,) = caplog.records
    assert record.getMessage() == f"BAN_USER {ctx.id} of {'1' * 17}: 50% done"
    assert record.__dict__["envelope_id"] == ctx.id
