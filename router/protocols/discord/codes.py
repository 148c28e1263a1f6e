"""What Discord's error codes mean for a command: one table.

A code that is not in it, with a 4xx, is final. The codes are Discord's ("Opcodes and Status Codes"); which of them can
pass by themselves is told by their texts there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Meaning(StrEnum):
    """What a refused request came to."""

    FINAL = "final"  #: trying again cannot help
    LATER = "later"  #: the same again after a while may do


class Scope(StrEnum):
    """Of what a refusal will hold for a while too, so that it need not be asked for again."""

    NONE = ""
    PLACE = "place"  #: everything of this type in the guild or channel
    TARGET = "target"  #: this type for this user, message or role there


class Code(NamedTuple):
    """One row."""

    name: str  #: stable: the fault's code, after ``discord_``
    meaning: Meaning = Meaning.FINAL
    scope: Scope = Scope.NONE
    wait: int = 0  #: ms, with LATER, when Discord does not say


_LATER = Meaning.LATER
_MINUTE = 60_000

CODES: Mapping[int, Code] = {
    # ---- not there
    10_003: Code("unknown_channel", scope=Scope.PLACE),
    10_004: Code("unknown_guild", scope=Scope.PLACE),
    10_007: Code("unknown_member"),
    10_008: Code("unknown_message"),
    10_011: Code("unknown_role"),
    10_013: Code("unknown_user"),
    10_014: Code("unknown_emoji"),
    10_026: Code("unknown_ban"),
    10_062: Code("unknown_interaction"),
    10_065: Code("unknown_voice_state"),
    # ---- not like this
    20_009: Code("explicit_content"),
    30_005: Code("too_many_roles"),
    30_010: Code("too_many_reactions"),
    30_015: Code("too_many_attachments"),
    30_035: Code("too_many_non_member_bans"),
    40_005: Code("too_large"),
    40_007: Code("user_is_banned"),
    40_032: Code("not_in_voice"),
    40_060: Code("already_acknowledged"),
    50_005: Code("others_message"),
    50_006: Code("empty_message"),
    50_016: Code("bad_note"),
    50_034: Code("too_old_for_bulk_delete"),
    50_035: Code("invalid_form"),
    50_109: Code("invalid_json"),
    90_001: Code("reaction_blocked"),
    200_000: Code("blocked_by_automod"),
    200_001: Code("title_blocked_by_automod"),
    240_000: Code("blocked_by_link_filter"),
    500_000: Code("nobody_could_be_banned"),
    # ---- not allowed
    50_001: Code("missing_access", scope=Scope.PLACE),
    50_007: Code("direct_messages_closed", scope=Scope.TARGET),
    50_009: Code("verification_too_high"),
    50_013: Code("missing_permissions", scope=Scope.TARGET),
    50_021: Code("system_message"),
    50_024: Code("wrong_channel_type"),
    50_278: Code("no_mutual_guild", scope=Scope.TARGET),
    60_003: Code("two_factor_required", scope=Scope.PLACE),
    # ---- not now
    20_016: Code("slow_mode", _LATER, wait=5_000),
    20_028: Code("channel_write_limit", _LATER, wait=5_000),
    20_029: Code("server_write_limit", _LATER, wait=5_000),
    30_034: Code("daily_command_creates", _LATER, wait=30 * _MINUTE),
    30_040: Code("prune_limit", _LATER, wait=_MINUTE),
    30_046: Code("old_message_edits", _LATER, wait=_MINUTE),
    40_003: Code("opening_direct_messages_too_fast", _LATER, wait=_MINUTE),
    40_004: Code("sending_disabled", _LATER, wait=_MINUTE),
    40_006: Code("feature_disabled", _LATER, wait=_MINUTE),
    40_062: Code("service_limited", _LATER, wait=10_000),
    110_000: Code("application_not_ready", _LATER, wait=10_000),
    130_000: Code("overloaded", _LATER, wait=10_000),
}


def code_of(number: int, status: int) -> Code:
    """The row of a code; one that is not listed is final and named after itself, or after the status."""
    return CODES.get(number) or Code(str(number) if number else f"http_{status}")
