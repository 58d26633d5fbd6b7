# shellcheck shell=bash disable=SC2034,SC2154
# ./dev boot: a whole Debian 12 boots in a container, and Headrace makes it a host.

help() {
  cat <<'END'
usage: ./dev boot [ARGUMENT...]

Builds Headrace, makes a Debian 12 (once, under build/boot), boots it with systemd-nspawn, installs
the package in it, runs `headrace host apply`, and tests it from outside and inside: TLS, firewall, logs,
polkit, order, sandbox, diagrams, restarts, rollback, watchdog, another boot. Arguments go to pytest. Needs
root, mmdebstrap and systemd-container.
END
}

main() {
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test
  local missing
  missing=$(cannot_boot)
  [ -z "$missing" ] || die "no container can boot here: $missing"
  build release || die 'build/release does not build'
  # shellcheck source=tools/dev/package.sh
  . tools/dev/package.sh
  make_package || die 'the package was not made'
  make_image || die 'the container cannot be made: no packages'
  run_boot "$@" || die 'the boot tests failed'
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

# The container's Debian 12, once, from this machine's package sources.
make_image() { step 'a Debian 12 for the container' "$python" tests/boot/boot_machine.py; }

# run_boot ARGUMENT...: pytest in mount and network namespaces of its own, with one tree of cgroups, which the
# container's systemd wants.
# shellcheck disable=SC2016  # the inner shell expands it
run_boot() {
  PYTHON=$python HEADRACE_BOOT_NAMESPACE=own unshare --mount --net --propagation private -- /bin/bash -c '
    ip link set lo up
    umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec "$PYTHON" -m pytest -q -p no:cacheprovider tests/boot "$@"' boot "$@"
}
