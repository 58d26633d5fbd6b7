# shellcheck shell=bash disable=SC2034,SC2154
# ./dev run: from a checkout to a running stack with the example on it; state in the example's .headrace/

help() {
  cat <<'END'
usage: ./dev run [--once] [--http ADDRESS:PORT] [--https ADDRESS:PORT]

Installs what is missing, builds Headrace, and starts the whole stack with examples/documents on it: nginx
with TLS, the store, two application workers, a pool of background workers. Sends the example's documents
through nginx, waits, prints a table of what came out and the addresses to look at, and stays until Ctrl-C.

  --once       stop when the table is printed; exit code 1 if a result is missing or wrong
  --http ADDRESS:PORT, --https ADDRESS:PORT
               other ports than 127.0.0.1:8080 and 127.0.0.1:8443

Everything it keeps is in examples/documents/.headrace: delete that folder to begin anew.
END
}

example=$root/examples/documents
state=$example/.headrace

main() {
  local once='' addresses=()
  while (($#)); do
    case $1 in
      --once) once=1; shift ;;
      --http | --https)
        [ -n "${2:-}" ] || usage_error "$1 needs an ADDRESS:PORT"
        addresses+=("$1" "$2")
        shift 2
        ;;
      --http=?* | --https=?*) addresses+=("$1"); shift ;;
      *) usage_error "run does not know '$1'" ;;
    esac
  done
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build run
  build release headrace headrace_wheel || die 'build/release does not build'
  mkdir -p "$state"
  chmod 700 "$state"
  make_venv
  start_stack "${addresses[@]}"
  local status=0
  "$state/venv/bin/python" "$example/send.py" --state "$state" || status=$?
  if [ -n "$once" ]; then
    stop_stack
    exit "$status"
  fi
  say ''
  say "The stack stays up; Ctrl-C stops it. Its log: $state/log/headrace.log"
  await_stack
}

# The example's own Python environment, with this build's package in it.
make_venv() {
  if [ ! -x "$state/venv/bin/python" ]; then
    step 'a Python environment for the example' "$python" -m venv --without-pip "$state/venv" ||
      die 'no virtual environment: is python3-venv installed?'
  fi
  step 'headrace python install' "$(headrace_program)" python install "$state/venv" ||
    die 'the package could not be installed'
}

start_stack() {
  local ready=$state/ready
  rm -f "$ready"
  step_number=$((step_number + 1))
  printf '[%d] headrace up\n' "$step_number"
  "$(headrace_program)" up --config "$example/headrace.toml" --state "$state" --ready-file "$ready" "$@" &
  stack=$!
  trap 'signals=$((signals + 1)); kill -TERM "$stack" 2>/dev/null || true' INT TERM
  while [ ! -s "$ready" ] && kill -0 "$stack" 2>/dev/null; do sleep 0.1; done
  if [ ! -s "$ready" ]; then
    await_stack
    ((signals)) || die 'headrace up ended before it was ready'
    exit 130
  fi
}

stop_stack() {
  kill -TERM "$stack" 2>/dev/null || true
  await_stack
}

# A signal ends `wait` early: then once more, for the stack's own end. bash keeps the exit code of one that
# has long ended, and tells it as often as it is asked.
signals=0
await_stack() {
  local status=0 seen=-1
  while ((seen != signals)); do
    seen=$signals status=0
    wait "$stack" || status=$?
  done
  ((status == 0)) || die "headrace up ended with exit code $status"
}
