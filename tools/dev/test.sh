# shellcheck shell=bash disable=SC2034,SC2154
# ./dev test: installs, builds and runs everything that must pass, and closes with one line of counts.
# Each part leaves JUnit files or adds its own counts; a part that could not run is one failure.

help() {
  cat <<'END'
usage: ./dev test [PART...]

Installs what is missing, builds, runs the tests, and ends with the line "N passed, N failed".
Without a PART: all of these, in this order. From a bare Debian 12 on 2 cores: under 50 minutes.

  unit      every layer's own tests and the house rules (tests/tidy), on the release build
  sim       simulated crashes and disk faults, a few hundred seeds; the Spin model of the protocol
  clients   real SQS and S3 clients against a running store: boto3, the AWS CLI, the JavaScript SDK
  python    the Python package: sending, results, buckets, installs; the example's own tests
  crash     kill -9 under load, restart, and compare
  powerloss power cuts and errors of a disk under ext4, XFS and Btrfs; needs root, FUSE and loop devices
  e2e       whole processes: starting, stopping, bad configuration, full disks
  browser   the example's page in headless Chromium
  boot      a whole Debian 12 in a container, made a host (see ./dev boot); skipped where none can boot
  asan      the layers' tests and the fuzzers' corpora under the address and undefined-behaviour sanitizers
  tsan      the tests of what runs on several threads, under the thread sanitizer
  lint      ./dev lint: every linter; clang-tidy on what the last commit changed (all files: ./dev lint --all)

Not part of a whole run:
  fresh     all of this on a new Debian 12 made for it; needs root and mmdebstrap
END
}

all_parts=(unit sim clients python crash powerloss e2e browser boot asan tsan lint)
core_layers='base|codec|os|sim|storage|queue|object|commit|task|supervise|web|worker'
threaded_layers='os|storage|commit|net|web'

total_passed=0
total_failed=0
total_skipped=0
table=
failures=

main() {
  local part
  for part in "$@"; do
    case " ${all_parts[*]} fresh " in
      *" $part "*) ;;
      *) usage_error "there is no test part '$part'" ;;
    esac
  done
  if [ "$*" = fresh ]; then exec tests/fresh/run; fi
  case " $* " in *" fresh "*) usage_error "the part fresh runs alone" ;; esac
  (($#)) || set -- "${all_parts[@]}"
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  # shellcheck source=tools/dev/lint.sh
  . tools/dev/lint.sh
  setup build run test lint bench
  results=$root/build/results
  rm -rf "$results"
  mkdir -p "$results"
  for part in "$@"; do "part_$part"; done
  summary
}

# ---- counting

# tally PART PASSED FAILED SKIPPED SECONDS
tally() {
  total_passed=$((total_passed + $2))
  total_failed=$((total_failed + $3))
  total_skipped=$((total_skipped + $4))
  table+=$(printf '  %-10s %6d passed %6d failed %6d skipped %6d s' "$@")$'\n'
}

# fail_part PART REASON SECONDS: the part could not run.
fail_part() {
  failures+="  $1: $2"$'\n'
  tally "$1" 0 1 0 "$3"
}

# count_part PART SECONDS STATUS: counts the part's JUnit files; none, or an unseen failure, counts as one.
count_part() {
  local part=$1 seconds=$2 status=$3 files=() lines passed failed skipped
  mapfile -t files < <(find "$results" -name "$part*.xml" | sort)
  if ((${#files[@]} == 0)); then
    fail_part "$part" "ended with exit code $status and no results" "$seconds"
    return
  fi
  if ! lines=$("$python" tools/dev/count.py "${files[@]}"); then
    fail_part "$part" 'its results cannot be read' "$seconds"
    return
  fi
  read -r passed failed skipped <<<"${lines%%$'\n'*}"
  failures+=$(sed "1d; s/^/  $part: /" <<<"$lines")$'\n'
  if ((status != 0 && failed == 0)); then
    failed=1
    failures+="  $part: ended with exit code $status"$'\n'
  fi
  tally "$part" "$passed" "$failed" "$skipped" "$seconds"
}

summary() {
  say ''
  say 'What ran:'
  printf '%s' "$table"
  failures=$(grep -v '^$' <<<"$failures" || true)
  if [ -n "$failures" ]; then
    say 'What failed:'
    say "$failures"
  fi
  ((total_passed + total_failed > 0)) || say 'Nothing ran.'
  local skipped=
  ((total_skipped == 0)) || skipped=", $total_skipped skipped"
  say "$total_passed passed, $total_failed failed$skipped"
  ((total_failed == 0 && total_passed > 0))
}

# ---- C++: ctest in a build folder

# run_ctest PART PRESET CTEST_ARGUMENT...
run_ctest() {
  local part=$1 preset=$2
  shift 2
  step "$part: ctest in build/$preset" ctest --test-dir "build/$preset" -j "$cores" --timeout 900 \
    --output-on-failure --no-tests=error --test-output-size-passed 4000000 --test-output-size-failed 4000000 \
    --output-junit "$results/$part-$preset.xml" "$@"
}

# ctest_part PART PRESET TARGETS ARGUMENT...: builds what matches TARGETS (a regular expression; "" is
# everything) and runs the tests that the arguments choose from ctest's.
ctest_part() {
  local part=$1 preset=$2 targets=$3 begin=$SECONDS status=0
  shift 3
  if ! need_build "$preset" "$targets"; then
    fail_part "$part" "build/$preset does not build" $((SECONDS - begin))
    return
  fi
  run_ctest "$part" "$preset" "$@" || status=$?
  count_part "$part" $((SECONDS - begin)) "$status"
}

# need_build PRESET TARGETS: builds once in a run; says no again where it has failed.
declare -A built=()
need_build() {
  if [ -z "${built["$*"]:-}" ]; then
    built["$*"]=failed
    if configure "$1" && build_matching "$1" "$2"; then built["$*"]=ok; fi
  fi
  [ "${built["$*"]}" = ok ]
}

# build_matching PRESET TARGETS
build_matching() {
  local names=()
  if [ -n "$2" ]; then
    mapfile -t names < <(ninja -C "build/$1" -t targets all |
      sed -n 's/^\([a-z0-9_]*\): phony$/\1/p' | grep -E "^($2)\$")
    ((${#names[@]})) || return 1
  fi
  compile "$1" "${names[@]}"
}

part_unit() { ctest_part unit release '' -E '^sim\.'; }
part_sim() { ctest_part sim release '' -R '^sim\.'; }
part_tsan() { ctest_part tsan tsan "test_($threaded_layers)" -R "^unit\\.($threaded_layers)\$"; }

part_asan() {
  if [ -f fuzz/CMakeLists.txt ]; then configure_options=(-DHEADRACE_FUZZ=ON); fi
  ctest_part asan asan "test_($core_layers)|sim_.*|fuzz_.*" \
    -R "^(unit\\.($core_layers)\$|sim\\.|fuzz\\.)" -E '^sim\.model$'
  configure_options=()
}

# ---- real processes, driven by pytest

part_clients() { pytest_part clients tests/clients tests/conformance; }
part_python() { pytest_part python tests/python examples/documents/tests; }
part_browser() { pytest_part browser tests/browser; }
part_crash() { pytest_part crash tests/crash; }
part_powerloss() { pytest_part powerloss tests/powerloss; }
part_e2e() { pytest_part e2e tests/e2e; }

part_boot() {
  local begin=$SECONDS status=0 missing
  # shellcheck source=tools/dev/boot.sh
  . tools/dev/boot.sh
  missing=$(cannot_boot)
  if [ -n "$missing" ]; then
    say "boot: skipped: $missing"
    tally boot 0 0 1 0
    return 0
  fi
  if ! need_build release ''; then
    fail_part boot 'build/release does not build' $((SECONDS - begin))
    return
  fi
  # shellcheck source=tools/dev/package.sh
  . tools/dev/package.sh
  if ! make_package; then
    fail_part boot 'the package was not made' $((SECONDS - begin))
    return
  fi
  if ! make_image tests/boot; then
    say 'boot: skipped: the container cannot be made: no packages'
    tally boot 0 0 1 $((SECONDS - begin))
    return 0
  fi
  step 'boot: pytest tests/boot' boot_pytest || status=$?
  count_part boot $((SECONDS - begin)) "$status"
}

boot_pytest() { run_boot tests/boot --junitxml="$results/boot.xml"; }

# pytest_part PART FOLDER...
pytest_part() {
  local part=$1 begin=$SECONDS status=0 folder folders=()
  shift
  for folder in "$@"; do
    if [ -n "$(find "$folder" -name 'test_*.py' -print -quit 2>/dev/null)" ]; then folders+=("$folder"); fi
  done
  ((${#folders[@]})) || return 0
  if ! need_build release ''; then
    fail_part "$part" 'build/release does not build' $((SECONDS - begin))
    return
  fi
  step "$part: pytest ${folders[*]}" run_pytest "$part" "${folders[@]}" || status=$?
  count_part "$part" $((SECONDS - begin)) "$status"
}

# Tests find the program and the current Node through these two variables.
run_pytest() {
  local part=$1
  shift
  HEADRACE_BIN=$(headrace_program) HEADRACE_NODE=$(find_node) PYTHONDONTWRITEBYTECODE=1 \
    timeout --kill-after=20 1500 "$python" -m pytest -q -p no:cacheprovider --durations=10 \
    --junitxml="$results/$part.xml" "$@"
}

# ---- linters

part_lint() {
  local begin=$SECONDS
  lint_passed=0 lint_failed=0 lint_failures=
  lint
  failures+=$lint_failures
  tally lint "$lint_passed" "$lint_failed" 0 $((SECONDS - begin))
}
