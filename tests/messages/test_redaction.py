"""What logs and audit may show."""

from __future__ import annotations

import pytest

from router.messages import BanUser, SendDM, UpdateConfig, UserNotification, redacted
from router.messages.redaction import Secrets, has_secrets, redacted_payload
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


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("400: it's my secret is too long", "400: <hidden> is too long"),
        ("""invalid "it's my secret\"""", 'invalid "<hidden>"'),
        ("cut at it's my se", "cut at <hidden>"),
        ({"echo": ["it's my secret", 7]}, {"echo": ["<hidden>", 7]}),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_repeats_a_secret_is_shown_without_it(told: object, shown: object) -> None:
    secrets = Secrets(SendDM(user_id=U, content="it's my secret", reason="told"))
    assert secrets.hide(told) == shown


def test_a_short_secret_is_hidden_as_a_word() -> None:
    secrets = Secrets(UpdateConfig(guild_id=G, updated_by=M, config_path="pin", value=123))
    assert secrets.hide("123 is no pin, 1234 is") == "<hidden> is no pin, 1234 is"
    assert secrets.hide({"pin": 123, "other": 1234}) == {"pin": "<hidden>", "other": 1234}


def test_a_message_without_secrets_hides_nothing() -> None:
    ban = BanUser(guild_id=G, user_id=U, moderator_id=M, reason="spam")
    assert not has_secrets(BanUser)
    assert Secrets(ban).hide("spam") == "spam"
