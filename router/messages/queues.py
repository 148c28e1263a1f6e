"""Named queues and the settings they start with."""

from __future__ import annotations

from dataclasses import dataclass

from actors.policy.facts import Backoff


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` in any ``per`` milliseconds."""

    count: int
    per: int


_DEFAULT = Backoff()


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """What one named queue allows; settings override it. Times in milliseconds."""

    name: str
    concurrency: int = 10  #: claimed at once
    attempts: int = 3
    backoff: Backoff = _DEFAULT
    rate_limit: RateLimit | None = None
    retention_done: int = 10
    retention_failed: int = 5
    stalled_after: int = 30_000  #: a claim its consumer does not renew lapses after this
    max_stalled: int = 1  #: lapses that are forgiven


_EXACT = 0.0  # no jitter: these delays are promised
_CHAT = Backoff(initial=1_000, factor=2.0, cap=30_000, jitter=_EXACT)


def _chat(name: str) -> QueueSpec:
    return QueueSpec(name, attempts=4, backoff=_CHAT)  # at once, then after 1, 2 and 4 s


_SPECS = (
    # commands, to the bot
    QueueSpec("bot:commands"),
    QueueSpec("bot:moderation"),
    QueueSpec("bot:music"),
    QueueSpec("bot:config"),
    # events, from the bot
    QueueSpec("discord:events"),
    QueueSpec("moderation:events"),
    QueueSpec("music:events"),
    # between services
    QueueSpec("notifications"),
    QueueSpec("webhooks"),
    # by the clock
    QueueSpec("scheduled:tasks"),
    QueueSpec("cleanup:tasks"),
    # a chat application's jobs
    QueueSpec("openai-chat", concurrency=3, attempts=3, backoff=Backoff(initial=2_000)),
    QueueSpec("audio-processing", concurrency=2, attempts=2, backoff=Backoff(initial=5_000)),
    QueueSpec(
        "large-requests",
        concurrency=2,
        attempts=5,
        backoff=Backoff(initial=10_000, cap=160_000),
        rate_limit=RateLimit(2, 60_000),
    ),
    QueueSpec("analytics", concurrency=5, attempts=1, backoff=Backoff(initial=0, jitter=_EXACT)),
    # a chat server's messages
    _chat("chat_messages"),
    _chat("agent_responses"),
    _chat("proactive_actions"),
    _chat("stream_chunks"),
    _chat("status_updates"),
    _chat("validation_requests"),
    _chat("goal_seeking_updates"),
    _chat("conversation_events"),
)

QUEUES: dict[str, QueueSpec] = {spec.name: spec for spec in _SPECS}
"""Every queue of the catalog, by name."""


def queue_spec(name: str) -> QueueSpec:
    """The settings a queue starts with; one that is not listed gets the defaults."""
    return QUEUES.get(name) or QueueSpec(name)
