"""What the engine is told of each type; the table is what users rely on."""

from __future__ import annotations

import pytest

from actors.policy.facts import Backoff, ConflictPolicy, Facts, OnExhausted
from router.errors import BadCatalog, UnknownType
from router.messages import Catalog, Command, Event, catalog
from router.messages.permissions import BITS, mask
from router.messages.queues import QUEUES, QueueSpec, RateLimit, queue_spec

MIN5 = 300_000
BUILT_IN = {name: cls for name, cls in catalog.items() if cls.__module__.startswith("router.messages.")}

COMMANDS = {
    # type: (priority, idempotent, window, has a key, opposed types)
    "BAN_USER": (8, True, MIN5, True, "BAN_USER KICK_USER TIMEOUT_USER UNBAN_USER UNTIMEOUT_USER"),
    "BULK_BAN": (8, True, MIN5, True, ""),
    "KICK_USER": (8, False, 60_000, True, "BAN_USER"),
    "TIMEOUT_USER": (8, True, 60_000, True, "TIMEOUT_USER UNTIMEOUT_USER"),
    "UNBAN_USER": (8, True, MIN5, True, "BAN_USER"),
    "UNTIMEOUT_USER": (8, True, MIN5, True, "TIMEOUT_USER"),
    "PLAY_MUSIC": (5, False, 10_000, False, "PAUSE_MUSIC STOP_MUSIC"),
    "SKIP_MUSIC": (5, False, 10_000, False, ""),
    "PAUSE_MUSIC": (5, True, 10_000, True, "PAUSE_MUSIC PLAY_MUSIC STOP_MUSIC"),
    "STOP_MUSIC": (5, True, 10_000, True, "PAUSE_MUSIC PLAY_MUSIC"),
    "SET_VOLUME": (5, True, 10_000, True, "SET_VOLUME"),
    "SET_REPEAT": (5, True, 10_000, True, "SET_REPEAT"),
    "UPDATE_CONFIG": (5, True, MIN5, True, "UPDATE_CONFIG"),
    "SYNC_PERMISSIONS": (5, True, 5_000, True, ""),
    "RELOAD_COMMANDS": (5, True, 5_000, True, ""),
    "RELOAD_SETTINGS": (5, True, 5_000, True, ""),
    "SEND_MESSAGE": (5, False, MIN5, False, ""),
    "SEND_DM": (5, False, MIN5, False, ""),
    "EDIT_MESSAGE": (5, True, MIN5, True, "DELETE_MESSAGE EDIT_MESSAGE"),
    "DELETE_MESSAGE": (5, True, MIN5, True, "ADD_REACTION EDIT_MESSAGE"),
    "ADD_REACTION": (5, True, MIN5, True, "DELETE_MESSAGE REMOVE_REACTION"),
    "REMOVE_REACTION": (5, True, MIN5, True, "ADD_REACTION"),
    "BULK_DELETE_MESSAGES": (5, True, MIN5, True, ""),
    "ADD_ROLE": (5, True, MIN5, True, "REMOVE_ROLE"),
    "REMOVE_ROLE": (5, True, MIN5, True, "ADD_ROLE"),
    "CHAT_MESSAGE": (5, False, MIN5, False, ""),
    "AGENT_RESPONSE": (6, False, MIN5, False, ""),
    "PROACTIVE_ACTION": (7, False, MIN5, False, ""),
    "VALIDATION_REQUEST": (5, False, MIN5, False, ""),
    "CHAT_REQUEST": (2, False, MIN5, False, ""),
    "AUDIO_PROCESSING": (3, False, MIN5, False, ""),
    "LARGE_REQUEST": (4, False, MIN5, False, ""),
}


def test_the_table_has_every_command() -> None:
    assert {name for name, cls in BUILT_IN.items() if cls.facts().kind == "command"} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_facts_of_a_command(name: str) -> None:
    facts = catalog[name].facts()
    priority, idempotent, window, keyed, opposed = COMMANDS[name]
    assert (facts.type, facts.kind) == (name, "command")
    assert (facts.priority, facts.idempotent, facts.window) == (priority, idempotent, window)
    assert facts.opposes == frozenset(opposed.split())
    assert bool(catalog[name].__operation__.key) == keyed
    assert facts.conflict is ConflictPolicy.QUEUE
    assert facts.on_exhausted is OnExhausted.CONTINUE
    assert type(facts.priority) is int


KINDS = {
    "discord:events": "event",
    "moderation:events": "event",
    "music:events": "event",
    "notifications": "notification",
    "scheduled:tasks": "task",
    "cleanup:tasks": "task",
}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_kinds_follow_the_queues_and_events_never_deduplicate_by_themselves(name: str) -> None:
    facts = catalog[name].facts()
    assert facts.kind == KINDS.get(facts.queue, facts.kind)
    if facts.kind in ("event", "notification"):
        assert not catalog[name].__operation__.key
        assert not facts.opposes


def test_a_command_that_undoes_another_knows_it_and_is_known_by_it() -> None:
    one_way = {("BAN_USER", "TIMEOUT_USER"), ("BAN_USER", "UNTIMEOUT_USER")}  # a ban ends a timeout, not the reverse
    for name, cls in BUILT_IN.items():
        for other in cls.facts().opposes:
            assert name in BUILT_IN[other].facts().opposes or (name, other) in one_way


def test_opposed_commands_share_their_lane() -> None:
    for cls in BUILT_IN.values():
        for other in cls.facts().opposes:
            assert cls.__operation__.subject == BUILT_IN[other].__operation__.subject


def test_what_a_type_refers_to_exists() -> None:
    for cls in BUILT_IN.values():
        operation = cls.__operation__
        assert not operation.compensation or operation.compensation in BUILT_IN
        assert mask(operation.permissions) >= 0
        assert operation.queue in QUEUES
    assert mask(("BAN_MEMBERS", "KICK_MEMBERS")) == 6
    assert len(set(BITS.values())) == len(BITS)


def test_queues_are_named_as_in_the_seeds() -> None:
    seeds = """bot:commands bot:moderation bot:music bot:config discord:events moderation:events music:events
    notifications webhooks analytics scheduled:tasks cleanup:tasks chat_messages agent_responses proactive_actions
    stream_chunks status_updates validation_requests goal_seeking_updates conversation_events"""
    assert set(seeds.split()) <= set(QUEUES)
    assert all(name == spec.name for name, spec in QUEUES.items())


@pytest.mark.parametrize(
    ("name", "concurrency", "attempts", "first_wait", "rate"),
    [
        ("bot:moderation", 10, 3, 2_000, None),
        ("openai-chat", 3, 3, 2_000, None),
        ("audio-processing", 2, 2, 5_000, None),
        ("large-requests", 2, 5, 10_000, RateLimit(2, 60_000)),
        ("analytics", 5, 1, 0, None),
        ("chat_messages", 10, 4, 1_000, None),
    ],
)
def test_queue_settings_are_the_seeds(
    name: str, concurrency: int, attempts: int, first_wait: int, rate: RateLimit | None
) -> None:
    spec = queue_spec(name)
    assert (spec.concurrency, spec.attempts, spec.backoff.initial, spec.rate_limit) == (
        concurrency,
        attempts,
        first_wait,
        rate,
    )
    assert (spec.retention_done, spec.retention_failed, spec.stalled_after, spec.max_stalled) == (10, 5, 30_000, 1)


def test_a_queue_that_is_not_listed_has_the_defaults() -> None:
    assert queue_spec("own") == QueueSpec("own")


def test_a_type_takes_attempts_and_backoff_from_its_queue_unless_it_has_its_own() -> None:
    mine = Catalog()

    class Slow(Command, type="SLOW", queue="large-requests", catalog=mine):
        pass

    class Own(Slow, type="OWN", attempts=0, backoff=Backoff(initial=1), on_exhausted="pause", timeout=50, window=0):
        pass

    assert (Slow.facts().attempts, Slow.facts().backoff.initial) == (5, 10_000)
    assert (Own.facts().attempts, Own.facts().backoff.initial, Own.facts().timeout) == (0, 1, 50)
    assert Own.facts().on_exhausted is OnExhausted.PAUSE


def test_the_smallest_type_of_ones_own_has_the_defaults() -> None:
    mine = Catalog()

    class Ping(Event, type="PING", catalog=mine):
        pass

    assert Ping.facts() == Facts("PING", kind="event")
    assert mine.facts() == {"PING": Ping.facts()}


def test_base_classes_have_no_facts() -> None:
    with pytest.raises(BadCatalog, match="Command has no type"):
        Command.facts()


def test_methods_are_found_by_name() -> None:
    assert catalog.by_method("ban_user").type == "BAN_USER"
    with pytest.raises(UnknownType):
        catalog.by_method("no_such")
