"""The messages of a chat server with agents, one type for each of its queues. The lane is the conversation."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Le, MaxLen
from pydantic import Field

from router.messages.base import Command, Event
from router.messages.fields import Amount, Count, Flag, Id, Json, JsonObject, LongText, Millis, Word, acting_user
from router.messages.priority import Priority

Fraction = Annotated[Amount, Le(1)]
REALTIME = 8
PROACTIVE = 7
RESPONSE = 6


class ChatMessage(
    Command,
    type="CHAT_MESSAGE",
    queue="chat_messages",
    subject="conversation:{conversation_id}",
    actor="user_id",
    sensitive=("message",),
):
    """A user's message that waits to be processed."""

    user_id: Id = acting_user()
    conversation_id: Id
    message: LongText
    force_agent: Word | None = None


class AgentResponse(
    Command,
    type="AGENT_RESPONSE",
    queue="agent_responses",
    subject="conversation:{conversation_id}",
    owner="user_id",
    priority=RESPONSE,
    sensitive=("response",),
):
    """An agent's answer, ready to be sent."""

    conversation_id: Id
    user_id: Id | None = None
    agent_type: Word
    response: LongText
    message_id: Id | None = Field(default=None, description="the message it answers")
    confidence: Fraction | None = None
    metadata: JsonObject | None = None


class ProactiveAction(
    Command,
    type="PROACTIVE_ACTION",
    queue="proactive_actions",
    subject="conversation:{conversation_id}",
    actor="user_id",
    priority=PROACTIVE,
    delay="delay_ms",
    sensitive=("message",),
):
    """Something an agent does unasked; ``delay_ms`` is waited before."""

    action_type: Word
    agent_type: Word
    message: LongText
    user_id: Id = acting_user()
    conversation_id: Id
    timing: Literal["immediate", "delayed"] = "immediate"
    delay_ms: Count | None = None


class StreamChunk(
    Event,
    type="STREAM_CHUNK",
    queue="stream_chunks",
    subject="conversation:{conversation_id}",
    owner="user_id",
    priority=REALTIME,
    sensitive=("content",),
):
    """A piece of an answer that is being written."""

    conversation_id: Id
    user_id: Id | None = None
    message_id: Id
    index: Count
    content: LongText
    is_final: Flag = False


class StatusUpdate(
    Event, type="STATUS_UPDATE", queue="status_updates", subject="conversation:{conversation_id}", owner="user_id"
):
    """The state of the system or of an agent."""

    status: Word
    conversation_id: Id | None = None
    user_id: Id | None = None
    agent_type: Word | None = None
    detail: Json = None


class ValidationRequest(
    Command,
    type="VALIDATION_REQUEST",
    queue="validation_requests",
    subject="conversation:{conversation_id}",
    owner="user_id",
    sensitive=("content",),
):
    """Check a message before it goes out."""

    conversation_id: Id
    user_id: Id | None = None
    message_id: Id | None = None
    agent_type: Word | None = None
    content: LongText
    rules: Annotated[tuple[Word, ...], MaxLen(100)] | None = None


class GoalSeekingUpdate(
    Event,
    type="GOAL_SEEKING_UPDATE",
    queue="goal_seeking_updates",
    subject="conversation:{conversation_id}",
    owner="user_id",
    priority=Priority.LOW,
):
    """The state of the goal-seeking system changed."""

    conversation_id: Id | None = None
    user_id: Id
    state: Word
    goals: Json = None
    progress: Fraction | None = None


class ConversationEvent(
    Event,
    type="CONVERSATION_EVENT",
    queue="conversation_events",
    subject="conversation:{conversation_id}",
    owner="user_id",
):
    """A step in a conversation's life."""

    conversation_id: Id
    user_id: Id | None = None
    event_type: Word
    at: Millis | None = None
    data: JsonObject | None = None
