"""Commands on a member's roles. The lane is the user, as in moderation: a role comes before or after the ban behind it.

Which role it is does not decide what opposes what, only who is meant; so under another conflict policy than ``queue``
two different roles of one member would get into each other's way.
"""

from __future__ import annotations

from pydantic import Field

from router.messages.base import Command
from router.messages.fields import Id, Reason
from router.messages.moderation import TARGET


class RoleCommand(
    Command,
    queue="bot:moderation",
    subject="user:{user_id}",
    idempotent=True,
    permissions=("MANAGE_ROLES",),
    role="role_id",
):
    """Acts on one role of one member."""

    guild_id: Id
    user_id: Id = Field(validation_alias=TARGET, serialization_alias="userId", description="the member")
    role_id: Id
    reason: Reason | None = None


class AddRole(
    RoleCommand,
    type="ADD_ROLE",
    key=("user_id", "role_id"),
    opposes=("REMOVE_ROLE",),
    compensation="REMOVE_ROLE",
):
    """Give a member a role."""


class RemoveRole(
    RoleCommand,
    type="REMOVE_ROLE",
    key=("user_id", "role_id"),
    opposes=("ADD_ROLE",),
    compensation="ADD_ROLE",
):
    """Take a role from a member."""
