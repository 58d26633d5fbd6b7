"""Power cuts for Headrace, beanstalkd and Redis, side by side: `./dev powerloss`. Prints a table; exits 1 if
Headrace lost anything.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "crash"))

from headrace_subject import HeadraceSubject  # noqa: E402
from peers import peers  # noqa: E402
from power_disk import FILE_SYSTEMS, cannot_run, own_mounts, power_disk  # noqa: E402
from subject import Outcome, Subject, cut_power, record  # noqa: E402

STATES_OF_ONE_LOAD = 100
COLUMNS = "{:34} {:6} {:>7} {:>10} {:>22} {:>6} {:>9}"
HEAD = COLUMNS.format("", "on", "states", "with loss", "lost of acknowledged", "worst", "no start")

Tell = Callable[[str], None]


def measure(subject: Subject, file_system: str, states: int, seed: int, told: Tell) -> Outcome:
    whole = Outcome()
    with power_disk(file_system) as disk:
        while whole.states < states:
            journal = record(disk, subject)
            count = min(states - whole.states, STATES_OF_ONE_LOAD)
            whole.add(cut_power(disk, subject, journal, count, seed + whole.states))
            disk.make_file_system()
            told(f"{subject.name} on {file_system}: {whole.states} of {states}")
    return whole


def row(subject: Subject, file_system: str, outcome: Outcome) -> str:
    lost = f"{outcome.lost} of {outcome.acknowledged}"
    kinds = outcome.kinds
    return COLUMNS.format(
        subject.name, file_system, outcome.states, kinds["lost"], lost, outcome.worst, kinds["refused"]
    )


def tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev powerloss", description=__doc__)
    parser.add_argument("--states", type=int, default=100, help="of each on each file system (default: 100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["headrace", "peers"], help="default: both")
    parser.add_argument("--fs", nargs="+", choices=FILE_SYSTEMS, default=list(FILE_SYSTEMS), metavar="FS")
    options = parser.parse_args()
    subjects: list[Subject] = [] if options.only == "peers" else [HeadraceSubject()]
    if options.only != "headrace":
        subjects += peers()
    os.environ.setdefault("HEADRACE_QUIET", "1")
    own_mounts()
    failed = False
    print(HEAD)
    for file_system in options.fs:
        if reason := cannot_run(file_system):
            print(f"{'':34} {file_system:6} skipped: {reason}")
            continue
        for subject in subjects:
            outcome = measure(subject, file_system, options.states, options.seed, tell)
            tell("")
            print(row(subject, file_system, outcome), flush=True)
            if isinstance(subject, HeadraceSubject):
                failed |= bool(outcome.bad)
                for cut, fate, what in outcome.bad[:5]:
                    print(f"    crash {cut} {fate}: {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
