# shellcheck shell=bash disable=SC2034,SC2154
# ./dev boot: will start a whole Debian system with Headrace's units; there are no units yet.

help() {
  cat <<'END'
usage: ./dev boot

Starts a whole Debian system with nginx, rsyslog, chrony, polkit and Headrace as its services. Headrace has no
systemd units yet (docs/seed.md says what is there), so today this only says so and fails.
END
}

main() {
  die 'there is nothing to boot yet: Headrace has no systemd units. ./dev run starts the stack without them'
}
