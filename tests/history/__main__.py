"""``python -m tests.history FOLDER``: check a recorded history and say what it found."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.history.checker import Limits, check, statistics
from tests.history.recorder import read


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.history", description="Check a recorded history.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempts", type=int, default=0, help="highest attempt allowed")
    parser.add_argument("--failover-ms", type=int, default=0, help="longest wait of a guild after a kill")
    given = parser.parse_args()
    events = read(given.folder)
    print("  ".join(f"{name} {count}" for name, count in statistics(events).items()))
    violations = check(events, Limits(attempts=given.attempts, failover_ms=given.failover_ms))
    print("\n".join(map(str, violations)) or "nothing found")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
