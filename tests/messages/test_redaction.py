"""What logs and audit may show."""

from __future__ import annotations

from router.messages import BanUser, SendDM, UpdateConfig, UserNotification, redacted
from router.messages.redaction import redacted_payload
from tests.messages.seeds import SAMPLES, G, M, U


def test_sensitive_values_are_replaced_by_their_shape() -> None:
    message = SendDM(user_id=U, content="our secret", reason="told")
    assert redacted(message) == {
        "type": "SEND_DM",
        "data": {"userId": U, "content": "<a string of 10 characters>", "reason": "told"},
    }
    assert "secret" not in str(redacted_payload(message))


def test_what_is_not_there_is_not_invented() -> None:
    config = UpdateConfig(guild_id=G, updated_by=M, config_path="automod.token", value="hunter2")
    assert redacted_payload(config) == {
        "configPath": "automod.token",
        "updatedBy": M,
        "value": "<a string of 7 characters>",
    }
    notice = UserNotification.from_wire({"data": SAMPLES["USER_NOTIFICATION"]})
    assert redacted_payload(notice)["notification"] == "<an object of 8 fields>"


def test_a_message_without_secrets_is_shown_whole() -> None:
    ban = BanUser(guild_id=G, user_id=U, moderator_id=M, reason="spam")
    assert redacted(ban) == ban.to_wire()
