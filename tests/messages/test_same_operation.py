"""What counts as the same operation: stories of users, with the catalog's keys and facts in a real store."""

from __future__ import annotations

from typing import Any

import pytest

from actors.codec import encode
from actors.ports import Accept, Accepted, Settle
from router.messages import (
    AddReaction,
    BanUser,
    DeleteMessage,
    EditMessage,
    KickUser,
    Message,
    PauseMusic,
    PlayMusic,
    ReloadCommands,
    RemoveReaction,
    SendMessage,
    SetRepeat,
    SetVolume,
    SkipMusic,
    StopMusic,
    TimeoutUser,
    UnbanUser,
    UntimeoutUser,
    UpdateConfig,
)
from router.messages.seal import seal
from router.stores.memory import MemoryStore
from tests.messages.seeds import C, G, M, U, X

NOW = 1_700_000_000_000


def act(cls: type[Message], **fields: Any) -> Message:
    who = {"user_id": U, "moderator_id": M, "reason": ""} if issubclass(cls, MODERATION) else {}
    return cls(**{"guild_id": G, **who, **fields})


MODERATION = (BanUser, UnbanUser, KickUser, TimeoutUser, UntimeoutUser)
BAN, UNBAN, KICK = act(BanUser), act(UnbanUser), act(KickUser)
SHORT, LONG, UNTIMEOUT = act(TimeoutUser, duration=60), act(TimeoutUser, duration=3_600), act(UntimeoutUser)
PAUSE, RESUME = (act(PauseMusic, requested_by=M, paused=paused) for paused in (True, False))
STOP, SKIP = act(StopMusic, requested_by=M), act(SkipMusic, requested_by=M)
PLAY = act(PlayMusic, requested_by=M, query="a song")
LOUD, SOFT = (act(SetVolume, requested_by=M, volume=volume) for volume in (90, 10))
ONE, ALL = (act(SetRepeat, requested_by=M, mode=mode) for mode in ("TRACK", "QUEUE"))
ON, OFF = (act(UpdateConfig, updated_by=M, config_path="automod", value=value) for value in (True, False))
OTHER = act(UpdateConfig, updated_by=M, config_path="automod", value=1)
FIRST, SECOND = (act(EditMessage, channel_id=C, message_id=X, content=content) for content in ("a", "b"))
DELETE = act(DeleteMessage, channel_id=C, message_id=X)
ADD, REMOVE = (act(cls, channel_id=C, message_id=X, emoji="👍") for cls in (AddReaction, RemoveReaction))
SAY = act(SendMessage, channel_id=C, content="hi")
RELOAD = act(ReloadCommands)

STORIES = {
    "ban, ban": ([BAN, BAN], [1, 0]),
    "ban, ban for another reason by another moderator": (
        [BAN, act(BanUser, reason="other", moderator_id="7")],
        [1, 0],
    ),
    "ban, unban, ban": ([BAN, UNBAN, BAN], [1, 1, 1]),
    "ban, ban for a day, ban": ([BAN, act(BanUser, duration=24), BAN], [1, 1, 1]),
    "kick, kick": ([KICK, KICK], [1, 0]),
    "ban of two users": ([BAN, act(BanUser, user_id="5")], [1, 1]),
    "timeout, longer timeout, timeout": ([SHORT, LONG, SHORT], [1, 1, 1]),
    "timeout, untimeout, timeout": ([SHORT, UNTIMEOUT, SHORT], [1, 1, 1]),
    "pause, pause": ([PAUSE, PAUSE], [1, 0]),
    "pause, resume, pause, resume": ([PAUSE, RESUME, PAUSE, RESUME], [1, 1, 1, 1]),
    "pause, play, pause": ([PAUSE, PLAY, PAUSE], [1, 1, 1]),
    "stop, stop": ([STOP, STOP], [1, 0]),
    "stop, play, stop": ([STOP, PLAY, STOP], [1, 1, 1]),
    "play, play, skip, skip": ([PLAY, PLAY, SKIP, SKIP], [1, 1, 1, 1]),
    "loud, loud, soft, loud": ([LOUD, LOUD, SOFT, LOUD], [1, 0, 1, 1]),
    "one, all, one": ([ONE, ALL, ONE], [1, 1, 1]),
    "on, on, off, on": ([ON, ON, OFF, ON], [1, 0, 1, 1]),
    "true is not 1": ([ON, OTHER], [1, 1]),
    "edit, other edit, edit": ([FIRST, FIRST, SECOND, FIRST], [1, 0, 1, 1]),
    "delete, delete": ([DELETE, DELETE], [1, 0]),
    "react, react, unreact, react": ([ADD, ADD, REMOVE, ADD], [1, 0, 1, 1]),
    "say, say": ([SAY, SAY], [1, 1]),
    "reload, reload": ([RELOAD, RELOAD], [1, 0]),
}


@pytest.mark.parametrize("name", sorted(STORIES))
@pytest.mark.parametrize("finished", [False, True], ids=["in flight", "finished"])
def test_a_story_has_as_many_operations_as_its_teller_means(name: str, finished: bool) -> None:
    messages, expected = STORIES[name]
    assert [int(new) for new in told(messages, finished=finished)] == expected


def test_a_ban_that_was_applied_ends_the_timeout_before_it() -> None:
    assert told([SHORT, BAN, UNBAN, SHORT], finished=True) == [True] * 4


@pytest.mark.parametrize(
    ("message", "pause", "again"),
    [
        (BAN, 299_999, False),
        (BAN, 300_000, True),
        (KICK, 59_999, False),
        (KICK, 60_000, True),
        (PAUSE, 10_000, True),
        (RELOAD, 4_999, False),
        (RELOAD, 5_000, True),
    ],
)
def test_a_finished_operation_answers_for_its_window(message: Message, pause: int, again: bool) -> None:
    assert told([message, message], finished=True, pause=pause) == [True, again]


def told(messages: list[Message], *, finished: bool, pause: int = 0) -> list[bool]:
    """Which of the messages are operations of their own."""
    store, now, new = MemoryStore(), NOW, []
    store.open(now)
    for number, message in enumerate(messages):
        facts = message.facts()
        envelope = seal(message, id=f"m{number}", now=now, source="library")
        (result,) = store.write([Accept(envelope, encode(envelope), facts.window, facts.opposes)], now)
        new.append(isinstance(result, Accepted))
        if finished and new[-1]:
            store.write([Settle(envelope.id, "ok", b"", b"", True, facts.opposes)], now)
        now += pause
    store.close()
    return new
