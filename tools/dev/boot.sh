# shellcheck shell=bash disable=SC2034,SC2154
# ./dev boot: a whole Debian 12 boots, in a container or under qemu, and Headrace makes it a host.

help() {
  cat <<'END'
usage: ./dev boot [--qemu] [ARGUMENT...]

Builds Headrace, makes a Debian 12 (once, under build/boot), boots it with systemd-nspawn, installs
the package in it, runs `headrace host apply`, and tests it from outside and inside: TLS, firewall, logs,
polkit, order, sandbox, diagrams, restarts, rollback, watchdog, another boot. Arguments go to pytest. Needs
root, mmdebstrap and systemd-container.

--qemu: the same host on a machine of its own, the distribution's cloud kernel under qemu in software, for
what a container cannot show: limits of memory and processor, a wrong hardware clock, power cuts under load.
10 to 30 minutes; installs qemu-system-x86; needs 1.5 GiB of memory and 2 GB of disk. Not part of ./dev test.
END
}

main() {
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  local missing folder=tests/boot groups=(build test)
  if [ "${1:-}" = --qemu ]; then
    folder=tests/qemu
    groups+=(qemu)
    shift
  fi
  setup "${groups[@]}"
  missing=$(cannot_boot)
  [ -z "$missing" ] || die "no container can boot here: $missing"
  build release || die 'build/release does not build'
  # shellcheck source=tools/dev/package.sh
  . tools/dev/package.sh
  make_package || die 'the package was not made'
  make_image "$folder" || die 'the Debian cannot be made: no packages'
  run_boot "$folder" "$@" || die 'the boot tests failed'
}

# What is missing to boot a container; nothing when it can.
cannot_boot() {
  local program
  [ "$(id -u)" = 0 ] || { printf 'it needs root\n'; return; }
  for program in mmdebstrap systemd-nspawn unshare; do
    command -v $program >/dev/null || { printf 'it needs %s\n' $program; return; }
  done
  unshare --mount --net --propagation private -- /bin/sh -c \
    'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup' 2>/dev/null ||
    printf 'namespaces and a tree of cgroups cannot be made\n'
}

# make_image FOLDER: the Debian 12 of its tests, once, from this machine's package sources.
make_image() {
  case $1 in
    */qemu) step 'a Debian 12 with a kernel' env PYTHONPATH=tests/boot "$python" tests/qemu/emulator.py ;;
    *) step 'a Debian 12 for the container' "$python" tests/boot/boot_machine.py ;;
  esac
}

# run_boot FOLDER ARGUMENT...: pytest in mount and network namespaces of its own, with one tree of cgroups,
# which the container's systemd wants.
# shellcheck disable=SC2016  # the inner shell expands it
run_boot() {
  PYTHON=$python HEADRACE_BOOT_NAMESPACE=own unshare --mount --net --propagation private -- /bin/bash -c '
    ip link set lo up
    umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec "$PYTHON" -m pytest -q -p no:cacheprovider "$@"' boot "$@"
}
