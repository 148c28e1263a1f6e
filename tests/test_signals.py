"""What counts as a second signal."""

from __future__ import annotations

import signal

from router.signals import ECHO, Echoes


def test_a_repeat_is_an_echo_for_a_moment_after_the_one_that_counted_and_another_signal_never() -> None:
    now = 100.0
    echoes = Echoes(lambda: now)
    assert not echoes.is_echo(signal.SIGTERM)
    assert echoes.is_echo(signal.SIGTERM)
    assert not echoes.is_echo(signal.SIGINT)
    now += ECHO * 0.75
    assert echoes.is_echo(signal.SIGTERM)
    now += ECHO * 0.25
    assert not echoes.is_echo(signal.SIGTERM), "counted from the first, not from the latest echo"
    assert echoes.is_echo(signal.SIGTERM)
