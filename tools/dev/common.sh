# shellcheck shell=bash disable=SC2034,SC2154
# What every ./dev command shares: numbered steps that show they are alive, builds, and an end that says why.
# Exit codes: 0 ok, 1 failed, 2 usage.

logs=$root/build/logs
cores=$(nproc)
step_number=0

# Objects compiled in another checkout count too: paths below the checkout are made relative.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }
die() { printf 'dev: %s\n' "$*" >&2; exit 1; }
usage_error() { printf 'dev: %s\n' "$*" >&2; exit 2; }

stop_children() {
  local children
  children=$(jobs -p)
  # shellcheck disable=SC2086
  [ -z "$children" ] || kill $children 2>/dev/null || true
}
trap stop_children EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step NAME COMMAND...: runs the command with its output in a log; a line every 20 s says how far it is.
# A failure shows the log's end. Returns the command's exit code.
step() {
  local name=$1 log pid begin=$SECONDS told=$SECONDS status=0
  shift
  step_number=$((step_number + 1))
  mkdir -p "$logs"
  log=$logs/$(printf '%s' "$name" | tr -c 'a-zA-Z0-9\n' '-').log
  printf '[%d] %s\n' "$step_number" "$name"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - told >= 20)); then
      told=$SECONDS
      printf '      %4d s  %s\n' $((SECONDS - begin)) "$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-110)"
    fi
  done
  wait "$pid" || status=$?
  if ((status == 0)); then
    printf '    done in %d s\n' $((SECONDS - begin))
    return 0
  fi
  printf '    ---- the last lines of %s\n' "$log"
  tail -n 80 "$log" | sed 's/^/    /'
  printf '    ---- %s FAILED after %d s (exit code %d)\n' "$name" $((SECONDS - begin)) "$status"
  return "$status"
}

# configure PRESET: makes build/PRESET ready; `configure_options` adds cmake arguments.
configure_options=()
configure() { step "configure $1" cmake --preset "$1" ${configure_options+"${configure_options[@]}"}; }

# compile PRESET [TARGET...]: everything without a TARGET.
compile() {
  local preset=$1
  shift
  step "build $preset" ninja -C "build/$preset" -j "$cores" -k 5 "$@"
}

# build PRESET [TARGET...]
build() { configure "$1" && compile "$@"; }

# The node that client tests use: Debian 12's is too old for current SDKs; npm's package `node` carries one.
find_node() {
  local candidate
  for candidate in tests/clients/node_modules/node/bin/node tests/clients/node_modules/.bin/node; do
    if [ -x "$candidate" ]; then
      printf '%s\n' "$root/$candidate"
      return
    fi
  done
  command -v node || true
}

# The python that tests use: Debian's, which has boto3 and pytest.
python=/usr/bin/python3

# The program that a release build makes.
headrace_program() {
  local candidate
  for candidate in build/release/headrace build/release/src/headrace build/release/src/headrace/headrace; do
    if [ -f "$candidate" ] && [ -x "$candidate" ]; then
      printf '%s\n' "$root/$candidate"
      return
    fi
  done
  return 1
}
