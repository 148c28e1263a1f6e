"""What the player did. The lane is the guild's player: ``music``."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from router.messages.base import Event
from router.messages.fields import Amount, Count, Flag, Id, Millis, Text, Url, acting_user
from router.messages.layout import Payload

TrackId = Annotated[Text, MinLen(1), MaxLen(256)]
TrackText = Annotated[Text, MaxLen(512)]


class MusicEvent(Event, queue="music:events", subject="music"):
    """Something the player of one guild did."""


class Track(Payload):
    id: TrackId
    title: TrackText
    artist: TrackText
    duration: Amount
    thumbnail: Url | None = None
    url: Url
    requested_by: Id


class MusicStarted(MusicEvent, type="MUSIC_STARTED"):
    """A track began."""

    track: Track
    voice_channel_id: Id
    queue_position: Count
    total_queue_size: Count


class MusicEnded(MusicEvent, type="MUSIC_ENDED"):
    """A track ended; ``duration`` is how long it played."""

    track_id: TrackId
    reason: Literal["FINISHED", "SKIPPED", "STOPPED", "ERROR"]
    duration: Amount
    next_track_id: TrackId | None = None


class MusicPaused(MusicEvent, type="MUSIC_PAUSED", actor="requested_by"):
    """The player paused or went on."""

    paused: Flag
    requested_by: Id = acting_user()
    current_position: Amount


class TrackAdded(MusicEvent, type="TRACK_ADDED"):
    """A track was put into the player's queue."""

    track: Track
    position: Count
    total_queue_size: Count
    added_at: Millis


class QueueCleared(MusicEvent, type="QUEUE_CLEARED", actor="cleared_by"):
    """The player's queue was emptied."""

    cleared_by: Id = acting_user()
    track_count: Count
