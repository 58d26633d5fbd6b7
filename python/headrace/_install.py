"""Puts a wheel of headrace into the interpreter that runs this file, without pip and without a network. The
program runs it as source text: exec of this file out of the wheel, whose path is in `WHEEL`."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class Refusal(Exception):
    """One sentence: what is wrong, and the mend."""


def check_interpreter() -> None:
    name = f"{sys.executable} is {sys.implementation.name} {sys.version.split()[0]}"
    if sys.implementation.name != "cpython":
        raise Refusal(f"{name}; headrace needs CPython 3.11 or newer")
    if "t" in getattr(sys, "abiflags", ""):
        raise Refusal(f"{name}, a free-threaded build; headrace needs a build of CPython with the GIL")


def check_place(folder: pathlib.Path) -> None:
    """A distribution's own Python is its packages' business (PEP 668)."""
    in_venv = sys.prefix != sys.base_prefix
    marker = pathlib.Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if not in_venv and marker.exists():
        raise Refusal(
            f"{sys.executable} belongs to the distribution, whose packages alone may add to it; "
            f"make an environment of your own: {sys.executable} -m venv venv && headrace python install venv"
        )
    if not os.access(folder, os.W_OK):
        raise Refusal(f"you may not write into {folder}; install as its owner, or into a venv of your own")


def verified(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The wheel's files by name, each compared with the wheel's own record."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    files = {name: archive.read(name) for name in names}
    for line in files[record].decode().splitlines():
        name, digest, _ = line.rsplit(",", 2)
        if name == record:
            continue
        actual = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        if digest != f"sha256={actual}":
            raise Refusal(f"{archive.filename} is damaged at {name}: install Headrace again")
    return files


def with_installer(files: dict[str, bytes]) -> dict[str, bytes]:
    """What pip needs to show and to uninstall it."""
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    folder = record.rpartition("/")[0]
    more = {f"{folder}/INSTALLER": b"headrace\n", f"{folder}/REQUESTED": b""}
    lines = files[record].decode() + "".join(f"{name},,\n" for name in more)
    return files | more | {record: lines.encode()}


def move(moves: list[tuple[pathlib.Path, pathlib.Path]]) -> None:
    """All of them, in order, or none."""
    done: list[tuple[pathlib.Path, pathlib.Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def replace(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    """Written beside first; then the former version goes and the new one takes its place."""
    draft = pathlib.Path(tempfile.mkdtemp(prefix=".headrace-", dir=folder))
    try:
        for name, data in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if name.endswith(".so") else 0o644)
        former = [
            (path, draft / f"former-{path.name}")
            for path in [folder / "headrace", *folder.glob("headrace-*.dist-info")]
            if path.exists()
        ]
        fresh = [
            (draft / name, folder / name) for name in sorted({name.partition("/")[0] for name in files})
        ]
        move(former + fresh)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def imported_version() -> str:
    """As a process of its own finds it."""
    script = "import headrace; print(headrace.__version__)"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise Refusal(f"installed, but {sys.executable} cannot import it: {reason}")
    return done.stdout.strip()


def install(wheel: str) -> str:
    check_interpreter()
    folder = pathlib.Path(sysconfig.get_path("platlib"))
    check_place(folder)
    with zipfile.ZipFile(wheel) as archive:
        files = verified(archive)
    replace(folder, with_installer(files))
    return (
        f"headrace {imported_version()} is installed for {sys.executable} (Python {sys.version.split()[0]})"
    )


def main(wheel: str) -> int:
    try:
        print(install(wheel))
        return EXIT_OK
    except Refusal as refusal:
        print(f"headrace: {refusal}", file=sys.stderr)
        return EXIT_USAGE
    except (OSError, zipfile.BadZipFile) as error:
        print(f"headrace: cannot install {wheel}: {error}", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(globals().get("WHEEL") or sys.argv[1]))
