"""Music commands. Their lane is the guild's player: ``music``.

The player also listens to others (people in the voice channel, the end of a track), so what a command reached does not
hold for long: finished ones answer their duplicates only for the seconds in which a double click or a retry comes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Le

from router.messages.base import Command
from router.messages.fields import Count, Flag, Id, Line, Positive, acting_user

DOUBLE_CLICK = 10_000  # ms

RepeatMode = Literal["OFF", "TRACK", "QUEUE"]


class MusicCommand(
    Command,
    queue="bot:music",
    subject="music",
    actor="requested_by",
    window=DOUBLE_CLICK,
    permissions=("CONNECT", "SPEAK"),
):
    """Acts on the player of one guild."""

    guild_id: Id
    requested_by: Id = acting_user()


class PlayMusic(
    MusicCommand,
    type="PLAY_MUSIC",
    opposes=("STOP_MUSIC", "PAUSE_MUSIC"),
    compensation="STOP_MUSIC",
    channel="voice_channel_id",
):
    """Add a track to the player's queue; twice adds it twice."""

    query: Line
    voice_channel_id: Id | None = None
    play_next: Flag = False
    play_now: Flag = False


class SkipMusic(MusicCommand, type="SKIP_MUSIC"):
    """Skip the current track, or several; twice skips twice."""

    skip_count: Annotated[Positive, Le(1_000)] = 1


class PauseMusic(
    MusicCommand,
    type="PAUSE_MUSIC",
    key=("paused",),
    opposes=("PAUSE_MUSIC", "PLAY_MUSIC", "STOP_MUSIC"),
    idempotent=True,
    compensation="PAUSE_MUSIC",
):
    """Pause (``paused`` true) or resume (false).

    The two are one type, so it opposes itself: pause, resume, pause are three operations, pause, pause is one.
    """

    paused: Flag


class StopMusic(
    MusicCommand, type="STOP_MUSIC", key=("guild_id",), opposes=("PLAY_MUSIC", "PAUSE_MUSIC"), idempotent=True
):
    """Stop playing and leave."""


class SetVolume(
    MusicCommand,
    type="SET_VOLUME",
    key=("volume",),
    opposes=("SET_VOLUME",),
    idempotent=True,
    compensation="SET_VOLUME",
):
    """Set the volume in percent; another volume in between makes it new again."""

    volume: Annotated[Count, Le(100)]


class SetRepeat(
    MusicCommand,
    type="SET_REPEAT",
    key=("mode",),
    opposes=("SET_REPEAT",),
    idempotent=True,
    compensation="SET_REPEAT",
):
    """Repeat nothing, the track or the whole queue."""

    mode: RepeatMode
