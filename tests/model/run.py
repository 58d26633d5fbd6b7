"""Spin over store.pml: every order of things without a broken promise, and each planted fault found. Exits 77
where spin or a C compiler is not installed. `--deep`: one more crash and group, some minutes and gigabytes.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).with_name("store.pml")
SKIPPED = 77
PARTS = (1, 2)
PLANT = re.compile(r"^#define ([A-Z_]{8,}) (\d+)$", re.M)
COMPILED = ["cc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=8000", "-o", "pan", "pan.c"]


def verify(folder: pathlib.Path, part: int, plant: int, *defines: str) -> str:
    """What Spin's verifier says of one part of the model."""
    folder.mkdir()
    spin = ["spin", "-a", f"-DPART={part}", f"-DPLANT={plant}", *defines, str(MODEL)]
    subprocess.run(spin, cwd=folder, check=True, capture_output=True, timeout=60)
    subprocess.run(COMPILED, cwd=folder, check=True, timeout=300)
    search = ["./pan", "-m100000", "-E"]  # -E: a process may wait for ever, that is no fault
    done = subprocess.run(search, cwd=folder, capture_output=True, text=True, timeout=3600)
    return done.stdout


def states_of(said: str) -> int:
    found = re.search(r"^\s*(\S+) states, stored", said, re.M)
    return int(float(found[1])) if found else 0


def is_whole(said: str) -> bool:
    return "errors: 0" in said and "not completed" not in said and "depth too small" not in said


def main() -> int:
    if shutil.which("spin") is None or shutil.which("cc") is None:
        print("skipped: spin or a C compiler is not installed")
        return SKIPPED
    deep = ["-DDEEP"] if "--deep" in sys.argv[1:] else []
    failed = False
    with tempfile.TemporaryDirectory() as name:
        for part in PARTS:
            said = verify(pathlib.Path(name) / f"whole-{part}", part, 0, *deep)
            print(f"part {part}: {states_of(said):,} states, no promise broken" if is_whole(said) else said)
            failed |= not is_whole(said)
        for plant, number in PLANT.findall(MODEL.read_text()):
            found = False
            for part in PARTS:
                said = verify(pathlib.Path(name) / f"{plant}-{part}", part, int(number))
                found |= "errors: 1" in said
                if found:
                    print(f"{plant}: found in part {part} after {states_of(said):,} states")
                    break
            else:
                print(f"{plant}: NOT FOUND")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
