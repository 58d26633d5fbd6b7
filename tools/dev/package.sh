# shellcheck shell=bash disable=SC2034,SC2154
# ./dev package: will make the Debian packages; there are no installation rules yet.

help() {
  cat <<'END'
usage: ./dev package

Makes Headrace's Debian packages. There are no packaging rules yet, so today this only says so and fails.
END
}

main() {
  die 'there is nothing to package yet: Headrace has no installation rules. The program is built by ./dev run'
}
