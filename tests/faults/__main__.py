"""``python -m tests.faults [--short] [--protocol NAME ...]``: the table; status 1 when a case went wrong."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.faults.matrix import BENCHES, HEAD, Line, row, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the cases that make test plays")
    parser.add_argument("--protocol", action="append", choices=[bench.name for bench in BENCHES])
    options = parser.parse_args()
    wanted = [bench for bench in BENCHES if not options.protocol or bench.name in options.protocol]
    chosen = [bench for bench in wanted if not bench.missing()]
    for bench in wanted:
        if bench.missing():
            print(f"{bench.name} is left out: {bench.missing()}")

    def tell(line: Line) -> None:
        print(row(line), flush=True)

    logging.getLogger().addHandler(logging.NullHandler())  # the table says what happened
    print(HEAD)
    lines = run(chosen, short=options.short, tell=tell)
    wrong = [line for line in lines if line.complaint]
    print(f"{len(lines)} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
