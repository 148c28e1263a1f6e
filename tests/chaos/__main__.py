"""``python -m tests.chaos``: the long form. Routers over one Redis, killed and worse; prints seed, gaps and verdict."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.fleet import Fleet, Line, nurseries
from tests.chaos.storm import FAULTS, WIRED, Storm, Weather, distribution, told, took
from tests.history.recorder import read
from tests.servers.cables import cables
from tests.servers.redis import RedisServer
from tests.servers.wire import Wire


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--routers", type=int, default=3)
    parser.add_argument("--guilds", type=int, default=300)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.03, help="seconds between two calls of a client, at most")
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of a router")
    parser.add_argument("--others", type=int, default=3, help="of each other fault")
    parser.add_argument("--only", nargs="*", choices=[*FAULTS], help="of the other faults, these")
    parser.add_argument(
        "--namespace", action="store_true", help="Redis in a network namespace, cables are unplugged (root)"
    )
    parser.add_argument("--failover-ms", type=int, default=1_000, help="a longer gap after a kill is a violation")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="leave the folder with histories and logs")
    given = parser.parse_args(arguments)
    dice = random.Random(given.seed)
    others = [name for name in FAULTS if not given.namespace or name not in ("slow-wires", "bad-wires")]
    others = others if given.only is None else given.only
    faults = ["kill"] * given.kills + [name for name in others if name != "kill" for _ in range(given.others)]
    dice.shuffle(faults)
    folder = Path(tempfile.mkdtemp(prefix="guild-router-chaos-"))
    print(
        f"seed {given.seed}, {len(faults)} faults, {given.routers} routers, {given.guilds} guilds, {folder}", flush=True
    )
    weather = Weather(given.seed, faults, given.guilds, given.clients, given.pause, given.failover_ms)
    began = time.monotonic()
    with nurseries(folder, given.routers) as forks, ExitStack() as stack:
        server, lines = _network(stack, given, faults, folder)
        outcome = Storm(Fleet(folder, server.url, forks, lines), server, weather).run()
    print(f"took {took(time.monotonic() - began)}", distribution(read(folder)), *told(folder), outcome, sep="\n")
    print("nothing found" if not outcome.violations else f"{len(outcome.violations)} violations in {folder}")
    if not given.keep and not outcome.violations:
        shutil.rmtree(folder)
    return 1 if outcome.violations else 0


def _network(
    stack: ExitStack, given: argparse.Namespace, faults: Sequence[str], folder: Path
) -> tuple[RedisServer, Sequence[Line]]:
    """The store, and how each router reaches it."""
    if given.namespace:
        words, (mine, *cables_) = stack.enter_context(cables(given.routers + 1))
        server = stack.enter_context(RedisServer(folder / "redis", host=mine.host, wrapper=words))
        for cable in cables_:
            cable.port = server.port
        return server, cables_
    server = stack.enter_context(RedisServer(folder / "redis"))
    count = given.routers if WIRED.intersection(faults) else 0
    return server, [stack.enter_context(Wire(server.port, given.seed + number)) for number in range(count)]


if __name__ == "__main__":
    sys.exit(main())
