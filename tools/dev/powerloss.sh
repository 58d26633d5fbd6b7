# shellcheck shell=bash disable=SC2034,SC2154
# ./dev powerloss: power cuts on real file systems, more of them than `./dev test` makes, and beside others.

help() {
  cat <<'END'
usage: ./dev powerloss [--states N] [--seed N] [--only headrace|peers] [--fs FS...]

Cuts the power of a disk under ext4, XFS and Btrfs, N times each (default 100; about one a second), while
Headrace, beanstalkd and Redis work on it, and prints who lost what it had acknowledged. Needs root, FUSE and
loop devices. Installs beanstalkd and Redis (Debian's); their services are not started.
END
}

main() {
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test peers
  build release || die 'build/release does not build'
  HEADRACE_BIN=$(headrace_program) PYTHONDONTWRITEBYTECODE=1 "$python" tests/powerloss/compare.py "$@"
}
