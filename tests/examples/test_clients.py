"""The example bot and the example dashboard as processes, with a daemon between them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.http.daemons import serve

ROOT = Path(__file__).parents[2]
PATIENCE = 30


def test_the_dashboard_is_answered_by_the_bot_over_the_daemon() -> None:
    with serve() as served:
        bot = subprocess.Popen(
            [sys.executable, "-m", "examples.bot", served.daemon.url], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert bot.stdout
        try:
            assert "is connected" in bot.stdout.readline()
            dashboard = subprocess.run(
                [sys.executable, "-m", "examples.dashboard", served.daemon.url],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=True,
            )
            assert "BAN_USER: ok {'banned': True, 'user': '175928847299117063'}\n" in dashboard.stdout
            assert "UNBAN_USER: ok {'banned': False}\n" in dashboard.stdout
            bot.send_signal(signal.SIGINT)
            assert bot.wait(PATIENCE) == 0
        finally:
            bot.kill()
            bot.wait()
            bot.stdout.close()
