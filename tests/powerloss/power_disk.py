"""A real file system on a disk whose power can be cut: the program powerloss_disk (fuse_disk.cc) serves the
disk, a loop device makes it a block device, mkfs and mount do the rest. Everything mounted here lives in a
mount namespace of this process and goes with it, however it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
DISK_MIB = 512  # xfs wants 300
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
# As a host in production has them; nothing here makes them safer or faster.
MOUNT_OPTIONS = {
    "ext4": "relatime,errors=remount-ro",
    "xfs": "relatime",
    "btrfs": "relatime",
}
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def program() -> pathlib.Path:
    """Beside the headrace that is tested."""
    from store_client import binary

    return binary().parent / "tests" / "powerloss" / "powerloss_disk"


def cannot_run(file_system: str) -> str:
    """Why power cannot be cut here; empty where it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not pathlib.Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if not pathlib.Path("/dev/loop-control").exists():
        return "there are no loop devices"
    if not program().exists():
        return "powerloss_disk is not built: no libfuse 3"
    for tool in (f"mkfs.{file_system}", "losetup", "mount", "umount"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return ""


def own_mounts() -> None:
    """From here on, mounts of this thread and of what it starts are its own, and end with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace of one's own")


@dataclass
class Journal:
    """What happened to the disk, in order: notes, and how many events there were in all."""

    events: int
    flushes: int
    notes: list[tuple[int, str]]

    def before(self, cut: int) -> list[str]:
        return [text for at, text in self.notes if at < cut]

    def cuts(self, count: int, dice: random.Random) -> Iterator[int]:
        """Half of them right behind an acknowledgement: what was flushed too late shows there."""
        answers = [at + 1 for at, text in self.notes if "!" in text.split(" ", 1)[0]]
        for number in range(count):
            yield dice.choice(answers) if answers and number % 2 else dice.randint(0, self.events)


def run(*command: str | pathlib.Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise OSError(errno.EIO, f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass
class PowerDisk:
    file_system: str
    folder: pathlib.Path
    server: subprocess.Popen[bytes] | None = None
    is_mounted: bool = False
    kept: list[int] = field(default_factory=list)

    @property
    def mounted(self) -> pathlib.Path:
        return self.folder / "fs"

    @property
    def files(self) -> pathlib.Path:
        return self.folder / "disk"

    def start(self) -> None:
        for folder in (self.mounted, self.files):
            folder.mkdir()
        self.server = subprocess.Popen([program(), self.files, str(DISK_MIB)])
        for _ in range(400):
            if (self.files / "control").exists():
                break
            assert self.server.poll() is None, f"powerloss_disk ended with {self.server.returncode}"
            time.sleep(0.01)
        self.kept.append(os.open(self.files / "notes", os.O_WRONLY))
        self.make_file_system()

    def make_file_system(self) -> None:
        force = "-F" if self.file_system == "ext4" else "-f"  # over what is there
        with self.device() as device:
            run(f"mkfs.{self.file_system}", "-q", force, device)

    @contextlib.contextmanager
    def device(self) -> Iterator[str]:
        """A loop device, which goes by itself with its last user."""
        name = run("losetup", "--find", "--show", self.files / "disk")
        try:
            yield name
        finally:
            run("losetup", "--detach", name)

    def mount(self) -> None:
        with self.device() as device:
            options = MOUNT_OPTIONS[self.file_system]
            run("mount", "-t", self.file_system, "-o", options, device, self.mounted)
        self.is_mounted = True  # asking it may fail after an error of the disk

    def unmount(self) -> None:
        if self.is_mounted:
            run("umount", self.mounted)
        self.is_mounted = False

    def stop(self) -> None:
        for descriptor in self.kept:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            self.unmount()
        with contextlib.suppress(OSError):
            run("umount", "--lazy", self.files)
        if self.server is not None:
            self.server.wait(timeout=30)

    def command(self, line: str) -> None:
        (self.files / "control").write_text(line)

    def note(self, text: str) -> None:
        """Its place in the order is between this call and its return."""
        os.write(self.kept[0], text.encode())

    def journal(self) -> Journal:
        head, *lines = (self.files / "journal").read_text().splitlines()
        _, events, _, flushes = head.split()
        notes = [line.split(" ", 1) for line in lines]
        return Journal(int(events), int(flushes), [(int(at), text) for at, text in notes])

    @contextlib.contextmanager
    def after_power_cut(self, cut: int, seed: int) -> Iterator[pathlib.Path]:
        """The file system as it comes up after power went at event `cut`. OSError: it does not."""
        self.command(f"crash {cut} {seed}")
        with self.as_it_is() as folder:
            yield folder

    @contextlib.contextmanager
    def as_it_is(self) -> Iterator[pathlib.Path]:
        self.mount()
        try:
            yield self.mounted
        finally:
            self.unmount()


@contextlib.contextmanager
def power_disk(file_system: str) -> Iterator[PowerDisk]:
    with tempfile.TemporaryDirectory(prefix="hr-cut-") as name:  # short: a unix socket stands in it
        disk = PowerDisk(file_system, pathlib.Path(name))
        try:
            disk.start()
            yield disk
        finally:
            disk.stop()
