# shellcheck shell=bash disable=SC2034,SC2154
# ./dev crash: kill -9 under load, more often than `./dev test` does it.

help() {
  cat <<'END'
usage: ./dev crash [--rounds N]

Starts a store, loads it with messages and objects, kills it with SIGKILL and starts it again, N times
(default 1000; about one a second), then looks whether all that was acknowledged is there and nothing that was
deleted is.
END
}

main() {
  local rounds=1000
  while (($#)); do
    case $1 in
      --rounds) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage_error '--rounds wants a number'; rounds=$2; shift 2 ;;
      *) usage_error "there is no option '$1'" ;;
    esac
  done
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test
  build release || die 'build/release does not build'
  HEADRACE_CRASH_ROUNDS=$rounds HEADRACE_BIN=$(headrace_program) PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m pytest -q -s tests/crash/test_store_crash.py
}
