"""A Debian 12 on a machine of its own: the distribution's cloud kernel under qemu, in software. What
`headrace host apply` made in a container (tests/boot) gets a kernel, a hardware clock that may be wrong, and
power that can be cut.

Two disks. The system's is a file: a cut loses what the kernel had not written to it yet. qemu hands every
write on to this machine at once, whatever its cache is set to, so killing it alone loses nothing that reached
its disk. The data's (/var/lib/headrace) is therefore served by powerloss_disk (tests/powerloss), whose cache
is volatile: a cut keeps all that was flushed, and of the rest any subset, torn between sectors."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import boot_machine
from boot_machine import INSIDE, OUTSIDE, ROOT, run

KERNEL = ("linux-image-cloud-amd64",)
MEMORY_MIB, SYSTEM_MIB, DATA_MIB = 1024, 3072, 1024
BOOT_WITHIN_S = 600.0
COMMAND_WITHIN_S = 600.0
DATA = "/var/lib/headrace"
# It keeps the line open: what comes while nobody has it open is thrown away.
AGENT = r"""#!/bin/bash
exec 3<> /dev/ttyS1
stty raw -echo <&3
echo ready >&3
while read -r line <&3; do
  out=$(base64 -d <<< "$line" | bash 2>&1 3<&-)
  printf '%s %s\n' $? "$(base64 -w0 <<< "$out")" >&3
done
"""
AGENT_UNIT = """
[Unit]
DefaultDependencies=no
After=systemd-udevd.service
IgnoreOnIsolate=yes
[Service]
ExecStart=/srv/agent
Restart=always
[Install]
WantedBy=sysinit.target
"""
NETWORK = f"[Match]\nName=eth0\n[Network]\nAddress={INSIDE}/24\nGateway={OUTSIDE}\nLinkLocalAddressing=no\n"
PATIENT = "x-systemd.device-timeout=10min"  # software is slow to find its devices
TABLE = f"/dev/nvme0n1 / ext4 errors=remount-ro 0 1\nLABEL=data {DATA} ext4 {PATIENT} 0 2\n"
SILENT = ("getty@tty1", "serial-getty@ttyS0", "e2scrub_reap", "apt-daily.timer", "apt-daily-upgrade.timer")


def image() -> pathlib.Path:
    return boot_machine.base_image(boot_machine.cache_folder(), "debian-12-kernel", KERNEL)


def why_not() -> str:
    if shutil.which("qemu-system-x86_64") is None:
        return "needs qemu-system-x86_64"
    if not disk_program().exists():
        return "needs powerloss_disk: built where libfuse 3 is"
    return boot_machine.why_not()


def disk_program() -> pathlib.Path:
    return ROOT / "build" / "release" / "tests" / "powerloss" / "powerloss_disk"


def prepare(made: boot_machine.Machine) -> None:
    """What a system needs beside its files to boot on a machine of its own, and to be spoken to."""
    made.write("/etc/fstab", TABLE)
    made.write("/etc/systemd/network/10-eth0.network", NETWORK)
    made.write("/srv/agent", AGENT, 0o755)
    made.write("/etc/systemd/system/agent.service", AGENT_UNIT)
    made.inside("systemctl", "enable", "systemd-networkd.service", "agent.service")
    made.inside("systemctl", "mask", *SILENT)


class Emulated:
    """The machine, its disks, and who serves them. Files are in `work`; what runs ends with stop()."""

    def __init__(self, work: pathlib.Path) -> None:
        self.work = work
        self.outside = work / "container" / "root"  # the files of a Debian, for whoever plays the Internet
        self.cuts = 0
        self._boots = 0
        self._qemu: subprocess.Popen[bytes] | None = None
        self._disk: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None

    @property
    def data(self) -> pathlib.Path:
        return self.work / "data"

    def console(self) -> str:
        return (self.work / f"console-{self._boots}").read_text(errors="replace")

    def make_disks(self, made: boot_machine.Machine) -> None:
        """From a system's files, with nothing mounted."""
        self.data.mkdir()
        self._disk = subprocess.Popen([disk_program(), self.data, str(DATA_MIB)])
        self._until(lambda: (self.data / "control").exists(), 20.0, "the disk is served")
        kernel = next((made.root / "boot").glob("vmlinuz-*"))
        shutil.copy2(kernel, self.work / "kernel")
        inner = made.root / DATA.lstrip("/")
        run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "data", "-d", str(inner), str(self.data / "disk"))
        shutil.rmtree(inner)
        inner.mkdir(0o755)
        system = self.work / "system"
        with system.open("wb") as file:
            file.truncate(SYSTEM_MIB << 20)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(made.root), str(system))

    def is_on(self) -> bool:
        return self._qemu is not None and self._qemu.poll() is None

    def boot(self, hardware_clock: str) -> None:
        """Until its agent answers; what runs then is for whoever asks."""
        self._boots += 1
        self.disk("record")
        listening = self.work / "agent"
        listening.unlink(missing_ok=True)
        self._qemu = subprocess.Popen(self._command(hardware_clock, listening), stdin=subprocess.DEVNULL)
        self._until(listening.exists, 20.0, "qemu listens")
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(str(listening))
        self._agent.settimeout(BOOT_WITHIN_S)
        assert self._line() == "ready", self.console()[-2000:]

    def _command(self, hardware_clock: str, listening: pathlib.Path) -> list[str]:
        ports = [f"hostfwd=tcp:127.0.0.1:{port}-{INSIDE}:{port}" for port in (80, 443)]
        net = f"user,id=net,ipv6=off,net=10.77.0.0/24,host={OUTSIDE},dhcpstart={INSIDE},{','.join(ports)}"
        kernel = "root=/dev/nvme0n1 rw quiet console=ttyS0 mitigations=off audit=0 net.ifnames=0"
        return [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35", "-smp", "2",
            "-m", str(MEMORY_MIB), "-display", "none", "-monitor", "none", "-no-reboot",
            "-kernel", str(self.work / "kernel"), "-append", kernel, "-rtc", f"base={hardware_clock}",
            "-drive", f"file={self.work}/system,format=raw,if=none,id=system,cache=writeback",
            "-device", "nvme,drive=system,serial=system",
            "-drive", f"file={self.data}/disk,format=raw,if=none,id=data,cache=writeback,file.locking=off",
            "-device", "virtio-blk-pci,drive=data",
            "-netdev", net, "-device", "virtio-net-pci,netdev=net,romfile=",
            "-serial", f"file:{self.work}/console-{self._boots}",
            "-serial", f"unix:{listening},server=on,wait=off",
        ]  # fmt: skip

    def _line(self) -> str:
        assert self._agent is not None
        out = b""
        while not out.endswith(b"\n"):
            try:
                part = self._agent.recv(65536)
            except TimeoutError as error:
                raise RuntimeError(f"no answer from the machine: {self.console()[-2000:]}") from error
            assert part, f"the machine ended: {self.console()[-2000:]}"
            out += part
        return out.decode().strip()

    def run(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A shell script inside, as root; what it prints, on either of its two outputs."""
        assert self._agent is not None
        self._agent.settimeout(COMMAND_WITHIN_S)
        self._agent.sendall(base64.b64encode(script.encode()) + b"\n")
        code, text = (self._line() + " ").split(" ")[:2]
        done = subprocess.CompletedProcess(script, int(code), base64.b64decode(text).decode(errors="replace"))
        assert not check or done.returncode == 0, f"{script}: {done.returncode}: {done.stdout}"
        return done

    def show(self, unit: str, name: str) -> str:
        return self.run(f"systemctl show --value --property={name} {unit}").stdout.strip()

    def disk(self, line: str) -> None:
        (self.data / "control").write_text(line)

    def cut_power(self) -> None:
        """Now, whatever it does. What its data disk had not flushed is gone, or torn, or there."""
        assert self._qemu is not None
        self._qemu.kill()
        self._qemu.wait()
        assert self._agent is not None
        self._agent.close()
        self.cuts += 1
        head = (self.data / "journal").read_text().split("\n", 1)[0]
        self.disk(f"crash {head.split()[1]} {self.cuts}")

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.close()
        if self._qemu is not None and self.is_on():
            self._qemu.kill()
            self._qemu.wait()
        if self._disk is not None:
            run("umount", "--lazy", str(self.data), check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._disk.wait(20)
        for name in ("system", "kernel"):
            (self.work / name).unlink(missing_ok=True)

    def _until(self, done: object, within: float, what: str) -> None:
        assert callable(done)
        deadline = time.monotonic() + within
        while not done():
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
            time.sleep(0.02)


@contextlib.contextmanager
def emulated(work: pathlib.Path) -> Iterator[Emulated]:
    made = Emulated(work)
    try:
        yield made
    finally:
        made.stop()


if __name__ == "__main__":  # before there are namespaces: packages come over the network
    image()
