"""Scheduled tasks."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import MaxLen, MinLen
from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from router.messages.base import Task
from router.messages.fields import Flag, Id, Json, Millis, Positive, Text, Word
from router.messages.layout import Payload
from router.messages.priority import Priority


class TaskSchedule(Payload):
    """When it runs: by a cron expression, or every so many milliseconds, or once."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"properties": {name: {"type": "null"}}} for name in ("cron", "interval")]}
    )

    cron: Annotated[Text, MinLen(9), MaxLen(200)] | None = None
    interval: Positive | None = None
    run_once: Flag | None = None

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if self.cron is not None and self.interval is not None:
            raise PydanticCustomError("schedule", "must have cron or interval, not both")
        return self


class ScheduledTask(
    Task, type="SCHEDULED_TASK", queue="scheduled:tasks", subject="task:{task_type}", priority=Priority.LOW
):
    """Run a task of this type now; its schedule is told to the handler."""

    task_type: Literal["CLEANUP", "BACKUP", "ANALYTICS", "REMINDERS"]
    task_data: Json = None
    schedule: TaskSchedule
    next_run: Millis | None = None


class CleanupExpiredCases(
    Task,
    type="CLEANUP_EXPIRED_CASES",
    queue="cleanup:tasks",
    subject="cases",
    priority=Priority.LOW,
    key=("case_types", "expired_before"),
    idempotent=True,
    payload_guild=True,
):
    """Remove moderation cases that ran out before a moment, of one guild or (no ``guild_id``) of all."""

    guild_id: Id | None = None
    case_types: Annotated[tuple[Word, ...], MaxLen(50)]
    expired_before: Millis
