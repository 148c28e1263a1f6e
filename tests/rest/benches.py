"""``rest`` on real sockets: a clock the test turns, breakers it can look at."""

from __future__ import annotations

from typing import Any

from actors.policy.breaker import BreakerSettings
from actors.policy.breaker_box import BreakerBox
from actors.runtime.testing import ManualClock
from router.protocols.rest.protocol import RestProtocol
from router.protocols.rest.target import Target
from router.protocols.rest.upstream import Upstream


class RestBench:
    """The protocol with upstreams at these addresses, named a, b, c ..."""

    def __init__(self, *urls: str, clock: ManualClock | None = None, **options: Any) -> None:
        self.clock = clock or ManualClock()
        self.breakers = BreakerBox(BreakerSettings(failure_threshold=2))
        own = {key: options.pop(key) for key in list(options) if key not in ("wait_ms", "balance")}
        targets: list[Target] = [
            Upstream(name, url, clock=self.clock, **own) for name, url in zip("abcdef", urls, strict=False)
        ]
        self.protocol = RestProtocol(targets, clock=self.clock, breakers=self.breakers.get, **options)
        self.protocol.open()

    def __enter__(self) -> RestBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def close(self) -> None:
        self.protocol.close(0)
