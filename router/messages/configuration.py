"""Configuration commands. Their lane is ``config``."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import MaxLen, MinLen
from pydantic import ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from router.messages.base import Command
from router.messages.fields import Count, Flag, Id, Json, JsonObject, Word, acting_user

RELOAD_WINDOW = 5_000  # ms; what is reloaded may have changed right after


_NULL: dict[str, JsonValue] = {"type": "null"}
_A_PART: dict[str, JsonValue] = {
    "properties": {"config": {"type": "object"}, "configPath": _NULL, "value": _NULL},
    "required": ["config"],
}
_A_VALUE: dict[str, JsonValue] = {
    "properties": {"config": _NULL, "configPath": {"type": "string"}},
    "required": ["configPath"],
}


class ConfigCommand(Command, queue="bot:config", subject="config", permissions=("MANAGE_GUILD",)):
    """Acts on how the bot is set up."""


class UpdateConfig(
    ConfigCommand,
    type="UPDATE_CONFIG",
    actor="updated_by",
    key=("config", "config_path", "value", "section", "expected_version"),
    opposes=("UPDATE_CONFIG",),
    idempotent=True,
    compensation="UPDATE_CONFIG",
    sensitive=("config", "value"),
):
    """Change a guild's configuration: a part of it (``config``), or one value by its path."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_A_PART, _A_VALUE]})

    guild_id: Id
    config: JsonObject | None = None
    config_path: Word | None = Field(default=None, description="such as moderation.automod; goes with value")
    value: Json = None
    section: Word | None = None
    updated_by: Id = acting_user()
    expected_version: Count | None = Field(default=None, description="change only this version of the configuration")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.config is None) == (self.config_path is None):
            raise PydanticCustomError("config", "must have either config, or configPath with value")
        if self.config is not None and self.value is not None:
            raise PydanticCustomError("config", "must not have value without configPath")
        return self


class SyncPermissions(
    ConfigCommand,
    type="SYNC_PERMISSIONS",
    key=("guild_id", "role_ids", "channel_ids", "force"),
    window=RELOAD_WINDOW,
    idempotent=True,
    permissions=("MANAGE_GUILD", "MANAGE_ROLES"),
):
    """Bring the bot's view of a guild's permissions up to date."""

    guild_id: Id
    role_ids: Annotated[tuple[Id, ...], MaxLen(250)] | None = Field(default=None, description="none: all")
    channel_ids: Annotated[tuple[Id, ...], MaxLen(500)] | None = Field(default=None, description="none: all")
    force: Flag = False


class ReloadCommands(
    ConfigCommand,
    type="RELOAD_COMMANDS",
    key=("command_names", "global_"),
    window=RELOAD_WINDOW,
    idempotent=True,
):
    """Load the bot's commands again."""

    command_names: Annotated[tuple[Word, ...], MinLen(1), MaxLen(200)] | None = Field(
        default=None, description="none: all"
    )
    global_: Flag = Field(default=False, validation_alias="global", serialization_alias="global")


class ReloadSettings(ConfigCommand, type="RELOAD_SETTINGS", key=("sections",), window=RELOAD_WINDOW, idempotent=True):
    """Read the settings again, of one guild or of all."""

    sections: Annotated[tuple[Word, ...], MinLen(1), MaxLen(100)] | None = Field(default=None, description="none: all")
