# shellcheck shell=bash disable=SC2034,SC2154
# ./dev bench: builds the release program and measures it with bench/run.

help() {
  cat <<'END'
usage: ./dev bench [PART...] [--seconds N] [--repeat N] [--flush-ms MS,...] [--folder FOLDER] [--json FILE]

Builds Headrace for release and measures it on this machine (docs/bench.md). Parts, all of them without one:
store and tasks, beside their yardsticks; sqs and s3, beside npm's fauxqs and s3rver; workers, beside Celery,
RQ and BullMQ, whose packages it installs (Redis and RabbitMQ too; their services are not started). Each
measurement takes 3 seconds and is made 3 times, or as often as said. With --flush-ms every flush of every
contender takes so many milliseconds more, as on a slower disk; one pass for each (0,0.5,2). Data goes to a
new folder in /var/tmp, or to FOLDER; FILE gets all of it as JSON. Close other programs first: spread is part
of the result.
END
}

rivals=  # the group of packages of the workers' rivals, when they take part

main() {
  check_arguments "$@"
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test bench $rivals
  build release || die 'build/release does not build'
  HEADRACE_BIN=$(headrace_program) || die 'the build made no headrace program'
  export HEADRACE_BIN
  bench/run "$@" || die "bench/run ended with exit code $?"
}

# Before anything is installed or built: bench/run itself needs what is installed first.
check_arguments() {
  local parts=
  while (($#)); do
    case $1 in
      store | tasks | sqs | s3) parts+=1; shift ;;
      workers) parts+=1; rivals=rivals; shift ;;
      --seconds | --repeat)
        [[ ${2:-} =~ ^[0-9]*\.?[0-9]+$ ]] || usage_error "$1 needs a number"
        shift 2
        ;;
      --flush-ms)
        [[ ${2:-} =~ ^[0-9.]+(,[0-9.]+)*$ ]] || usage_error "$1 needs numbers with commas between them"
        shift 2
        ;;
      --folder | --json) [ -n "${2:-}" ] || usage_error "$1 needs a path"; shift 2 ;;
      *) usage_error "bench does not know '$1'" ;;
    esac
  done
  [ -n "$parts" ] || rivals=rivals
}
