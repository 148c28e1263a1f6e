"""What happened in moderation: cases, actions, automatic rules."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MaxLen

from router.messages.base import Event
from router.messages.fields import Count, Flag, Id, Line, LongText, Millis, Reason, Word, acting_user
from router.messages.layout import Payload


class ModerationEvent(Event, queue="moderation:events"):
    """Something that happened in the moderation of one guild."""


class Case(Payload):
    id: Word
    case_number: Count
    type: Literal["BAN", "KICK", "TIMEOUT", "WARN", "NOTE"]
    user_id: Id
    moderator_id: Id
    reason: Reason
    duration: Count | None = None
    status: Literal["ACTIVE", "EXPIRED", "REVOKED"]
    evidence: Annotated[tuple[LongText, ...], MaxLen(100)] | None = None


class StatusChange(Payload):
    old: Word
    new: Word


class ReasonChange(Payload):
    old: Reason
    new: Reason


class DurationChange(Payload):
    old: Count | None = None
    new: Count | None = None


class CaseChanges(Payload):
    status: StatusChange | None = None
    reason: ReasonChange | None = None
    duration: DurationChange | None = None


class CaseCreated(ModerationEvent, type="CASE_CREATED", subject="case:{case.id}"):
    """A moderation case was opened."""

    case: Case


class CaseUpdated(ModerationEvent, type="CASE_UPDATED", subject="case:{case_id}", actor="updated_by"):
    """A moderation case changed."""

    case_id: Word
    changes: CaseChanges
    updated_by: Id = acting_user()


class ModerationActionCompleted(
    ModerationEvent, type="MODERATION_ACTION_COMPLETED", subject="user:{user_id}", actor="executed_by"
):
    """A moderation action was executed, or failed for good."""

    action: Literal["BAN", "KICK", "TIMEOUT", "UNBAN"]
    user_id: Id
    success: Flag
    error: LongText | None = None
    case_id: Word | None = None
    executed_by: Id = acting_user()
    timestamp: Millis


class AutomodTriggered(
    ModerationEvent, type="AUTOMOD_TRIGGERED", subject="user:{user_id}", owner="user_id", sensitive=("content",)
):
    """An automatic rule fired."""

    rule: Line
    user_id: Id
    channel_id: Id
    message_id: Id | None = None
    action: Literal["DELETE", "TIMEOUT", "WARN"]
    severity: Literal["LOW", "MEDIUM", "HIGH"]
    content: LongText | None = None
