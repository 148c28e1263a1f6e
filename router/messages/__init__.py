"""The catalog: every message type as a class.

``catalog`` finds a class by its type; ``Command``, ``Query``, ``Event``, ``Notification`` and ``Task`` are what own
types extend.
"""

from router.messages.base import Command, Event, Message, Notification, Query, Task
from router.messages.chat import (
    AgentResponse,
    ChatMessage,
    ConversationEvent,
    GoalSeekingUpdate,
    ProactiveAction,
    StatusUpdate,
    StreamChunk,
    ValidationRequest,
)
from router.messages.communication import (
    AddReaction,
    BulkDeleteMessages,
    DeleteMessage,
    EditMessage,
    RemoveReaction,
    SendDM,
    SendMessage,
)
from router.messages.configuration import ReloadCommands, ReloadSettings, SyncPermissions, UpdateConfig
from router.messages.discord_events import (
    ChannelCreated,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    MessageBulkDeleted,
    MessageDeleted,
    MessageEdited,
    RoleCreated,
)
from router.messages.fields import Id
from router.messages.jobs import AnalyticsEvent, AudioProcessing, ChatRequest, LargeRequest
from router.messages.layout import Payload
from router.messages.members import AddRole, RemoveRole
from router.messages.moderation import BanUser, BulkBan, KickUser, TimeoutUser, UnbanUser, UntimeoutUser
from router.messages.moderation_events import AutomodTriggered, CaseCreated, CaseUpdated, ModerationActionCompleted
from router.messages.music import PauseMusic, PlayMusic, SetRepeat, SetVolume, SkipMusic, StopMusic
from router.messages.music_events import MusicEnded, MusicPaused, MusicStarted, QueueCleared, TrackAdded
from router.messages.notifications import BroadcastNotification, UserNotification
from router.messages.priority import Priority
from router.messages.redaction import redacted
from router.messages.registry import Catalog, catalog
from router.messages.replies import CommandAnswered
from router.messages.scheduled import CleanupExpiredCases, ScheduledTask

__all__ = [
    "AddReaction",
    "AddRole",
    "AgentResponse",
    "AnalyticsEvent",
    "AudioProcessing",
    "AutomodTriggered",
    "BanUser",
    "BroadcastNotification",
    "BulkBan",
    "BulkDeleteMessages",
    "CaseCreated",
    "CaseUpdated",
    "Catalog",
    "ChannelCreated",
    "ChatMessage",
    "ChatRequest",
    "CleanupExpiredCases",
    "Command",
    "CommandAnswered",
    "ConversationEvent",
    "DeleteMessage",
    "EditMessage",
    "Event",
    "GoalSeekingUpdate",
    "Id",
    "KickUser",
    "LargeRequest",
    "MemberJoined",
    "MemberLeft",
    "MemberUpdated",
    "Message",
    "MessageBulkDeleted",
    "MessageDeleted",
    "MessageEdited",
    "ModerationActionCompleted",
    "MusicEnded",
    "MusicPaused",
    "MusicStarted",
    "Notification",
    "PauseMusic",
    "Payload",
    "PlayMusic",
    "Priority",
    "ProactiveAction",
    "Query",
    "QueueCleared",
    "ReloadCommands",
    "ReloadSettings",
    "RemoveReaction",
    "RemoveRole",
    "RoleCreated",
    "ScheduledTask",
    "SendDM",
    "SendMessage",
    "SetRepeat",
    "SetVolume",
    "SkipMusic",
    "StatusUpdate",
    "StopMusic",
    "StreamChunk",
    "SyncPermissions",
    "Task",
    "TimeoutUser",
    "TrackAdded",
    "UnbanUser",
    "UntimeoutUser",
    "UpdateConfig",
    "UserNotification",
    "ValidationRequest",
    "catalog",
    "redacted",
]
