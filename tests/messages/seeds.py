"""The message schemas of the seed documents, transcribed: type -> (queue, fields; ``?`` is optional); a sample each."""

from __future__ import annotations

from typing import Any

G, U, M, C, X = (
    "81384788765712384",
    "175928847299117063",
    "53908232506183680",
    "41771983423143937",
    "334385199974967042",
)
AT = 1_704_067_200_000

USER = {"id": U, "username": "ana", "discriminator": "0", "avatar": "a_1"}
TRACK = {
    "id": "t1",
    "title": "Song",
    "artist": "Band",
    "duration": 201.5,
    "thumbnail": "https://img.example/t1.png",
    "url": "https://music.example/t1",
    "requestedBy": U,
}
EMBED = {
    "title": "t",
    "description": "d",
    "url": "https://a.example/",
    "color": 255,
    "timestamp": AT,
    "footer": {"text": "f", "iconUrl": "https://a.example/f.png"},
    "image": {"url": "https://a.example/i.png", "width": 1, "height": 2},
    "thumbnail": {"url": "https://a.example/i.png"},
    "author": {"name": "n", "url": "https://a.example/n"},
    "fields": [{"name": "n", "value": "v", "inline": True}],
}

SCHEMAS: dict[str, tuple[str, str]] = {
    # commands
    "SEND_MESSAGE": ("bot:commands", "channelId content? embeds? components? files? reply?"),
    "SEND_DM": ("bot:commands", "userId content? embeds? reason?"),
    "BAN_USER": (
        "bot:moderation",
        "userId reason deleteMessageDays duration? moderatorId caseId? notifyUser createCase",
    ),
    "KICK_USER": ("bot:moderation", "userId reason moderatorId caseId? notifyUser createCase"),
    "TIMEOUT_USER": ("bot:moderation", "userId duration reason moderatorId caseId? notifyUser createCase"),
    "UNBAN_USER": ("bot:moderation", "userId reason moderatorId caseId? notifyUser"),
    "PLAY_MUSIC": ("bot:music", "query requestedBy voiceChannelId? playNext playNow"),
    "SKIP_MUSIC": ("bot:music", "requestedBy skipCount"),
    "PAUSE_MUSIC": ("bot:music", "paused requestedBy"),
    "SET_VOLUME": ("bot:music", "volume requestedBy"),
    "SET_REPEAT": ("bot:music", "mode requestedBy"),
    "UPDATE_CONFIG": ("bot:config", "config? configPath? value? updatedBy section?"),
    "RELOAD_COMMANDS": ("bot:config", "commandNames? global"),
    # events
    "MEMBER_JOINED": ("discord:events", "user member inviteCode?"),
    "MEMBER_LEFT": ("discord:events", "user member reason"),
    "MEMBER_UPDATED": ("discord:events", "userId changes"),
    "MESSAGE_DELETED": ("discord:events", "messageId channelId authorId? content? deletedBy? timestamp"),
    "MESSAGE_EDITED": ("discord:events", "messageId channelId authorId oldContent? newContent editedAt"),
    "MESSAGE_BULK_DELETED": ("discord:events", "messageIds channelId deletedBy? count"),
    "CHANNEL_CREATED": ("discord:events", "channel createdBy?"),
    "ROLE_CREATED": ("discord:events", "role createdBy?"),
    "CASE_CREATED": ("moderation:events", "case"),
    "CASE_UPDATED": ("moderation:events", "caseId changes updatedBy"),
    "MODERATION_ACTION_COMPLETED": (
        "moderation:events",
        "action userId success error? caseId? executedBy timestamp",
    ),
    "AUTOMOD_TRIGGERED": ("moderation:events", "rule userId channelId messageId? action severity content?"),
    "MUSIC_STARTED": ("music:events", "track voiceChannelId queuePosition totalQueueSize"),
    "MUSIC_ENDED": ("music:events", "trackId reason duration nextTrackId?"),
    "MUSIC_PAUSED": ("music:events", "paused requestedBy currentPosition"),
    "TRACK_ADDED": ("music:events", "track position totalQueueSize addedAt"),
    "QUEUE_CLEARED": ("music:events", "clearedBy trackCount"),
    "USER_NOTIFICATION": ("notifications", "targetUserId notification"),
    "BROADCAST_NOTIFICATION": ("notifications", "targetGuildId? targetRoles? notification"),
    "SCHEDULED_TASK": ("scheduled:tasks", "taskType taskData? schedule nextRun?"),
    "CLEANUP_EXPIRED_CASES": ("cleanup:tasks", "guildId? caseTypes expiredBefore"),
    # a chat server
    "CHAT_MESSAGE": ("chat_messages", "userId conversationId message forceAgent?"),
    "PROACTIVE_ACTION": (
        "proactive_actions",
        "actionType agentType message userId conversationId timing delayMs?",
    ),
    "CHAT_REQUEST": ("openai-chat", "messages threadId? assistantId? requestId?"),
}

NAMED = {  # the seeds name these without saying what is in them
    "STOP_MUSIC": "bot:music",
    "SYNC_PERMISSIONS": "bot:config",
    "RELOAD_SETTINGS": "bot:config",
    "EDIT_MESSAGE": "bot:commands",
    "DELETE_MESSAGE": "bot:commands",
    "ADD_REACTION": "bot:commands",
    "AGENT_RESPONSE": "agent_responses",
    "STREAM_CHUNK": "stream_chunks",
    "STATUS_UPDATE": "status_updates",
    "VALIDATION_REQUEST": "validation_requests",
    "GOAL_SEEKING_UPDATE": "goal_seeking_updates",
    "CONVERSATION_EVENT": "conversation_events",
    "AUDIO_PROCESSING": "audio-processing",
    "LARGE_REQUEST": "large-requests",
    "ANALYTICS_EVENT": "analytics",
}

OPPOSITES = {"UNTIMEOUT_USER": "bot:moderation", "REMOVE_REACTION": "bot:commands"}  # ours

DISCORDS = {  # ours too: what moderation does at Discord besides
    "ADD_ROLE": "bot:moderation",
    "REMOVE_ROLE": "bot:moderation",
    "BULK_DELETE_MESSAGES": "bot:commands",
    "BULK_BAN": "bot:moderation",
}

DEFAULTS = {  # required in the seeds, with a default here
    "deleteMessageDays": 0,
    "notifyUser": False,
    "createCase": False,
    "playNext": False,
    "playNow": False,
    "skipCount": 1,
    "global": False,
    "timing": "immediate",
}

OURS = {  # fields beyond the seeds
    "BAN_USER": {"until"},
    "TIMEOUT_USER": {"until"},
    "UPDATE_CONFIG": {"expectedVersion"},
}

MODERATION = {"userId": U, "reason": "spam", "moderatorId": M, "caseId": "case-7", "notifyUser": True}

SAMPLES: dict[str, dict[str, Any]] = {
    "SEND_MESSAGE": {
        "channelId": C,
        "content": "Hello, wörld",
        "embeds": [EMBED],
        "components": [{"type": 1, "components": [{"type": 2, "label": "ok", "custom_id": "a"}]}],
        "files": [{"filename": "a.txt", "url": "https://a.example/a.txt", "contentType": "text/plain", "size": 3}],
        "reply": {"messageId": X, "failIfNotExists": False},
    },
    "SEND_DM": {"userId": U, "content": "psst", "embeds": [EMBED], "reason": "because"},
    "BAN_USER": {**MODERATION, "deleteMessageDays": 7, "duration": 24, "createCase": True},
    "KICK_USER": {**MODERATION, "createCase": True},
    "TIMEOUT_USER": {**MODERATION, "duration": 600, "createCase": True},
    "BULK_BAN": {"userIds": [U, X], "reason": "raid", "moderatorId": M, "deleteMessageDays": 1, "caseId": "case-7"},
    "UNBAN_USER": MODERATION,
    "UNTIMEOUT_USER": MODERATION,
    "PLAY_MUSIC": {"query": "a song", "requestedBy": M, "voiceChannelId": C, "playNext": True, "playNow": False},
    "SKIP_MUSIC": {"requestedBy": M, "skipCount": 2},
    "PAUSE_MUSIC": {"paused": True, "requestedBy": M},
    "STOP_MUSIC": {"requestedBy": M},
    "SET_VOLUME": {"volume": 70, "requestedBy": M},
    "SET_REPEAT": {"mode": "QUEUE", "requestedBy": M},
    "UPDATE_CONFIG": {"config": {"automod": {"links": None, "words": ["a"]}}, "updatedBy": M, "section": "automod"},
    "SYNC_PERMISSIONS": {"roleIds": [X], "channelIds": [C], "force": True},
    "RELOAD_COMMANDS": {"commandNames": ["ban"], "global": True},
    "RELOAD_SETTINGS": {"sections": ["automod"]},
    "EDIT_MESSAGE": {"channelId": C, "messageId": X, "content": "", "embeds": [EMBED], "components": []},
    "DELETE_MESSAGE": {"channelId": C, "messageId": X, "reason": "old"},
    "BULK_DELETE_MESSAGES": {"channelId": C, "messageIds": [X, U], "reason": "raid"},
    "ADD_ROLE": {"userId": U, "roleId": X, "reason": "joined the team"},
    "REMOVE_ROLE": {"userId": U, "roleId": X},
    "ADD_REACTION": {"channelId": C, "messageId": X, "emoji": "👍"},
    "REMOVE_REACTION": {"channelId": C, "messageId": X, "emoji": "party:334385199974967042", "userId": U},
    "MEMBER_JOINED": {
        "user": {**USER, "bot": False},
        "member": {"joinedAt": AT, "roles": [X], "nickname": "an", "pending": True},
        "inviteCode": "abc",
    },
    "MEMBER_LEFT": {"user": USER, "member": {"joinedAt": AT, "roles": [], "nickname": "an"}, "reason": "KICKED"},
    "MEMBER_UPDATED": {
        "userId": U,
        "changes": {
            "nickname": {"old": "a", "new": "b"},
            "roles": {"added": [X], "removed": []},
            "timeout": {"new": AT},
        },
    },
    "MESSAGE_DELETED": {
        "messageId": X,
        "channelId": C,
        "authorId": U,
        "content": "c",
        "deletedBy": M,
        "timestamp": AT,
    },
    "MESSAGE_EDITED": {
        "messageId": X,
        "channelId": C,
        "authorId": U,
        "oldContent": "a",
        "newContent": "b",
        "editedAt": AT,
    },
    "MESSAGE_BULK_DELETED": {"messageIds": [X, C], "channelId": C, "deletedBy": M, "count": 2},
    "CHANNEL_CREATED": {
        "channel": {"id": C, "name": "general", "type": 0, "position": 1, "parentId": X},
        "createdBy": M,
    },
    "ROLE_CREATED": {
        "role": {
            "id": X,
            "name": "mod",
            "color": 255,
            "position": 3,
            "permissions": "4503599627370495",
            "mentionable": True,
            "hoist": False,
        },
        "createdBy": M,
    },
    "CASE_CREATED": {
        "case": {
            "id": "c1",
            "caseNumber": 1,
            "type": "BAN",
            "userId": U,
            "moderatorId": M,
            "reason": "spam",
            "duration": 60,
            "status": "ACTIVE",
            "evidence": ["https://a.example/e.png"],
        }
    },
    "CASE_UPDATED": {
        "caseId": "c1",
        "changes": {
            "status": {"old": "ACTIVE", "new": "REVOKED"},
            "reason": {"old": "a", "new": "b"},
            "duration": {"old": 1},
        },
        "updatedBy": M,
    },
    "MODERATION_ACTION_COMPLETED": {
        "action": "UNBAN",
        "userId": U,
        "success": False,
        "error": "no",
        "caseId": "c1",
        "executedBy": M,
        "timestamp": AT,
    },
    "AUTOMOD_TRIGGERED": {
        "rule": "links",
        "userId": U,
        "channelId": C,
        "messageId": X,
        "action": "DELETE",
        "severity": "HIGH",
        "content": "buy",
    },
    "MUSIC_STARTED": {"track": TRACK, "voiceChannelId": C, "queuePosition": 0, "totalQueueSize": 3},
    "MUSIC_ENDED": {"trackId": "t1", "reason": "SKIPPED", "duration": 12, "nextTrackId": "t2"},
    "MUSIC_PAUSED": {"paused": False, "requestedBy": U, "currentPosition": 12.25},
    "TRACK_ADDED": {"track": TRACK, "position": 2, "totalQueueSize": 3, "addedAt": AT},
    "QUEUE_CLEARED": {"clearedBy": M, "trackCount": 3},
    "USER_NOTIFICATION": {
        "targetUserId": U,
        "notification": {
            "id": "n1",
            "type": "WARNING",
            "title": "t",
            "message": "m",
            "actionUrl": "/cases/1",
            "actionText": "look",
            "persistent": True,
            "expiresAt": AT,
        },
    },
    "BROADCAST_NOTIFICATION": {
        "targetGuildId": X,
        "targetRoles": [X],
        "notification": {
            "type": "MAINTENANCE",
            "title": "t",
            "message": "m",
            "priority": "HIGH",
            "channels": ["DASHBOARD", "DISCORD"],
        },
    },
    "SCHEDULED_TASK": {
        "taskType": "BACKUP",
        "taskData": [1, {"a": None}],
        "schedule": {"cron": "0 4 * * *", "runOnce": False},
        "nextRun": AT,
    },
    "CLEANUP_EXPIRED_CASES": {"guildId": G, "caseTypes": ["BAN"], "expiredBefore": AT},
    "CHAT_MESSAGE": {"userId": "user123", "conversationId": "conv456", "message": "Hello!", "forceAgent": "general"},
    "AGENT_RESPONSE": {
        "conversationId": "conv456",
        "userId": "user123",
        "agentType": "general",
        "response": "Hi",
        "messageId": "m1",
        "confidence": 0.5,
        "metadata": {"a": 1},
    },
    "PROACTIVE_ACTION": {
        "actionType": "reminder",
        "agentType": "general",
        "message": "Don't forget!",
        "userId": "user123",
        "conversationId": "conv456",
        "timing": "delayed",
        "delayMs": 5000,
    },
    "STREAM_CHUNK": {
        "conversationId": "conv456",
        "userId": "user123",
        "messageId": "m1",
        "index": 0,
        "content": "He",
        "isFinal": True,
    },
    "STATUS_UPDATE": {
        "status": "busy",
        "conversationId": "conv456",
        "userId": "user123",
        "agentType": "general",
        "detail": {"load": 0.5},
    },
    "VALIDATION_REQUEST": {
        "conversationId": "conv456",
        "userId": "user123",
        "messageId": "m1",
        "agentType": "general",
        "content": "Hi",
        "rules": ["tone"],
    },
    "GOAL_SEEKING_UPDATE": {
        "conversationId": "conv456",
        "userId": "user123",
        "state": "active",
        "goals": ["a"],
        "progress": 1,
    },
    "CONVERSATION_EVENT": {
        "conversationId": "conv456",
        "userId": "user123",
        "eventType": "started",
        "at": AT,
        "data": {},
    },
    "CHAT_REQUEST": {
        "messages": [{"role": "user", "content": "hi", "name": "ana"}],
        "threadId": "thread_123",
        "assistantId": "asst_456",
        "requestId": "req_789",
    },
    "AUDIO_PROCESSING": {
        "audioUrl": "https://a.example/a.ogg",
        "language": "en",
        "threadId": "thread_123",
        "requestId": "req_789",
    },
    "LARGE_REQUEST": {
        "messages": [{"role": "system", "content": "hi"}],
        "threadId": "thread_123",
        "assistantId": "asst_456",
        "requestId": "req_789",
        "options": {"depth": 3},
    },
    "ANALYTICS_EVENT": {"event": "login", "userId": "user123", "properties": {"a": True}, "timestamp": AT},
}
