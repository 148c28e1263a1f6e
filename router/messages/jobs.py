"""Long jobs of a chat application; each type has a queue of its own with its own limits."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from router.messages.base import Command, Event
from router.messages.fields import Id, JsonObject, LongText, Millis, Text, Url, Word
from router.messages.layout import Payload


class Turn(Payload):
    """One line of a conversation with a model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: LongText
    name: Word | None = None


Turns = Annotated[tuple[Turn, ...], MinLen(1), MaxLen(500)]


class ChatRequest(
    Command, type="CHAT_REQUEST", queue="openai-chat", subject="thread:{thread_id}", priority=2, sensitive=("messages",)
):
    """Let an assistant answer a conversation."""

    messages: Turns
    thread_id: Id | None = None
    assistant_id: Id | None = None
    request_id: Word | None = None


class AudioProcessing(
    Command, type="AUDIO_PROCESSING", queue="audio-processing", subject="thread:{thread_id}", priority=3
):
    """Turn speech into text."""

    audio_url: Url
    language: Annotated[Text, MaxLen(35)] | None = None
    thread_id: Id | None = None
    request_id: Word | None = None


class LargeRequest(
    Command,
    type="LARGE_REQUEST",
    queue="large-requests",
    subject="thread:{thread_id}",
    priority=4,
    sensitive=("messages",),
):
    """A long analysis; two are started in a minute."""

    messages: Turns
    thread_id: Id | None = None
    assistant_id: Id | None = None
    request_id: Word | None = None
    options: JsonObject | None = None


class AnalyticsEvent(Event, type="ANALYTICS_EVENT", queue="analytics", subject="analytics", priority=1):
    """Something to be counted; tried once."""

    event: Word
    user_id: Id | None = None
    properties: JsonObject | None = None
    timestamp: Millis | None = None
