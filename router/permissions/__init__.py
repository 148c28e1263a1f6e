"""Who may do what: the port of an authorizer, and one that knows Discord's rules."""

from router.permissions.authorizer import PermissionAuthorizer
from router.permissions.decision import ALLOWED, Allowed, Authorizer, Decision, Denied, Unknown
from router.permissions.directory import Channel, Guild, GuildDirectory, Member, Overwrite, Role
from router.permissions.memory import MemoryDirectory

__all__ = [
    "ALLOWED",
    "Allowed",
    "Authorizer",
    "Channel",
    "Decision",
    "Denied",
    "Guild",
    "GuildDirectory",
    "Member",
    "MemoryDirectory",
    "Overwrite",
    "PermissionAuthorizer",
    "Role",
    "Unknown",
]
