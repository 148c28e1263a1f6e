"""The answer to a command, as a message."""

from __future__ import annotations

from router.messages.base import Notification
from router.messages.fields import Json, Word


class CommandAnswered(Notification, type="COMMAND_ANSWERED", queue="notifications", subject="reply:{request_id}"):
    """Put into the queue that a command named in ``reply_to``, when its way has ended."""

    request_id: Word  #: the command's id
    command_type: Word
    status: Word
    response: Json = None  #: the response, as over HTTP
