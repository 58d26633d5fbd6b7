"""A whole Debian 12 that boots in a container: systemd as its first process, nginx, rsyslog, chrony, polkit
and nftables as its services, and a network whose other end is this process's. Needs root, mmdebstrap and
systemd-nspawn, and mount and network namespaces of its own (tools/dev/boot.sh makes them)."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOT_WITHIN_S = 180.0
PACKAGES = (
    "systemd systemd-sysv dbus udev libpam-systemd nginx-light rsyslog rsyslog-gnutls chrony polkitd pkexec "
    "nftables logrotate python3 python3-venv iproute2 curl ca-certificates openssl procps kmod librocksdb7.8 "
    "libexpat1 libsimdjson14 libtomlplusplus3 libfmt9 libprometheus-cpp-core1.0 libssl3 libjemalloc2"
).split()
OUTSIDE, INSIDE = "10.77.0.1", "10.77.0.2"


def why_not() -> str:
    """What is missing to boot here; empty: nothing."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if os.environ.get("HEADRACE_BOOT_NAMESPACE") != "own":
        return "runs in namespaces of its own: ./dev boot"
    return ""


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def base_image(cache: pathlib.Path, name: str = "debian-12", more: tuple[str, ...] = ()) -> pathlib.Path:
    """The distribution with its packages, made once for each list of packages."""
    cache.mkdir(parents=True, exist_ok=True)
    image = cache / name
    key = cache / f"{name}.packages"
    packages = (*PACKAGES, *more)
    wanted = " ".join(packages)
    if image.exists() and key.exists() and key.read_text() == wanted:
        return image
    shutil.rmtree(image, ignore_errors=True)
    include = f"--include={','.join(packages)}"
    run("mmdebstrap", "--quiet", "--variant=minbase", include, "bookworm", str(image))
    key.write_text(wanted)
    return image


class Machine:
    """One booted system. Its files are a layer over the image, gone at the end."""

    def __init__(self, image: pathlib.Path, work: pathlib.Path) -> None:
        self.root = work / "root"
        self.work = work
        self.leader = 0
        self.clock: subprocess.Popen[bytes] | None = None  # on the other side of its network
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._mount(image)

    def _mount(self, image: pathlib.Path) -> None:
        self.root.mkdir(parents=True)
        layers = self.work / "layers"
        layers.mkdir()
        run("mount", "-t", "tmpfs", "tmpfs", str(layers))
        (layers / "upper").mkdir()
        (layers / "work").mkdir()
        options = f"lowerdir={image},upperdir={layers}/upper,workdir={layers}/work"
        run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Before it boots: a file of the system."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def put(self, source: pathlib.Path, path: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)

    def inside(self, *command: str) -> str:
        """Before it boots: a command in its files."""
        return run("chroot", str(self.root), *command).stdout

    def boot(self) -> None:
        command = [
            "systemd-nspawn", "-q", "-D", str(self.root), "-M", "hrboot", "--register=no", "--keep-unit",
            "--network-veth", "--console=pipe", "--system-call-filter=bpf", "--capability=CAP_BPF", "-b",
        ]
        self._nspawn = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._find_leader()
        self._connect()
        self.run("systemctl", "is-system-running", "--wait", check=False)

    def _find_leader(self) -> None:
        assert self._nspawn is not None
        deadline = time.monotonic() + BOOT_WITHIN_S
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                raise RuntimeError(f"systemd-nspawn ended with {self._nspawn.returncode}")
            children = run("pgrep", "-P", str(self._nspawn.pid), check=False).stdout.split()
            if children and pathlib.Path(f"/proc/{children[0]}/root/run/systemd/private").exists():
                self.leader = int(children[0])
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(0.05)
        raise RuntimeError(f"no systemd within {BOOT_WITHIN_S:g} s")

    def _connect(self) -> None:
        """The other end of its network is here: the Internet, for its purposes."""
        end = "ve-hrboot"
        run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", end)
        run("ip", "link", "set", end, "up")
        self.run("ip", "addr", "add", f"{INSIDE}/24", "dev", "host0")
        self.run("ip", "link", "set", "host0", "up")

    def command(self, *command: str, user: str = "root") -> list[str]:
        """What runs `command` inside, from here."""
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        if user != "root":
            enter += ["runuser", "-u", user, "--"]
        return [*enter, *command]

    def run(
        self, *command: str, check: bool = True, user: str = "root"
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.command(*command, user=user), check=check)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        text = self.run("systemctl", "show", unit, f"--property={','.join(names)}").stdout
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def power_off(self) -> None:
        if self._nspawn is None or self._nspawn.poll() is not None:
            return
        if self.leader:
            self.run("systemctl", "poweroff", check=False)
        try:
            self._nspawn.wait(90)
        except subprocess.TimeoutExpired:
            self._nspawn.send_signal(signal.SIGKILL)
            self._nspawn.wait(20)
        self.leader = 0

    def restart(self) -> None:
        self.power_off()
        self.boot()

    def stop(self) -> None:
        self.power_off()
        run("umount", "-l", str(self.root), check=False)
        run("umount", "-l", str(self.work / "layers"), check=False)


def cache_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("HEADRACE_BOOT_CACHE", ROOT / "build" / "boot"))


@contextlib.contextmanager
def machine(work: pathlib.Path, image: pathlib.Path | None = None) -> Iterator[Machine]:
    made = Machine(image or base_image(cache_folder()), work)
    try:
        yield made
    finally:
        made.stop()


if __name__ == "__main__":  # before there are namespaces: packages come over the network
    base_image(cache_folder())
