"""``python -m benchmarks``: measure, print the table, write RESULTS.md and the picture."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from benchmarks import plot, report
from benchmarks.machine import describe, load
from benchmarks.results import Result
from benchmarks.rows import ROWS
from benchmarks.scale import FULL, QUICK

HERE = Path(__file__).parent
PLOT = HERE / "results.png"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    command = shlex.join(["python", "-m", "benchmarks", *(arguments or sys.argv[1:])])
    machine = describe()
    results = [_run(name, options.quick) for name in ROWS if name in (options.only or ROWS)]
    machine["load"] += f"; {load()} after it"
    if options.json:
        print(report.as_json(machine, command, results))
    else:
        for what, value in machine.items():
            print(f"{what}: {value}")
        report.show(results)
    if options.write or not (options.only or options.quick):
        plot.draw(results, PLOT)
        text = report.as_markdown(machine, command, results, PLOT)
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
        print(f"written: {HERE / 'RESULTS.md'}, {PLOT}", file=sys.stderr)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="ROW", action="append", choices=[*ROWS],
                        help=f"only this row; again for more: {', '.join(ROWS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead")
    parser.add_argument("--write", action="store_true",
                        help="write RESULTS.md and the picture even so")  # fmt: skip
    return parser.parse_args(arguments)


def _run(name: str, quick: bool) -> Result:
    print(f"measuring {name} …", end="", file=sys.stderr, flush=True)
    start = perf_counter()
    result = ROWS[name].run(QUICK if quick else FULL)
    state = f" NOT AVAILABLE: {result.missing}" if result.missing else ""
    print(f" {perf_counter() - start:.1f} s{state}", file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
