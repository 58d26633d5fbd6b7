# shellcheck shell=bash disable=SC2034,SC2154
# ./dev bench: builds the release program and measures it with bench/run.

help() {
  cat <<'END'
usage: ./dev bench [ARGUMENT...]

Builds Headrace for release and measures it on this machine beside its yardsticks. The arguments are those
of bench/run; `./dev bench -- --help` shows them. Close other programs first: spread is part of the result.
END
}

main() {
  [ "${1:-}" != -- ] || shift
  [ -x bench/run ] || die 'there is no bench/run: nothing to measure with'
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test bench
  build release || die 'build/release does not build'
  HEADRACE_BIN=$(headrace_program) || die 'the build made no headrace program'
  export HEADRACE_BIN
  bench/run "$@" || die "bench/run ended with exit code $?"
}
