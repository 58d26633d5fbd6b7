# shellcheck shell=bash disable=SC2034,SC2154
# ./dev fuzz: lets each fuzz target look for new inputs, and keeps what it finds.

help() {
  cat <<'END'
usage: ./dev fuzz [NAME...] [--seconds N]

Builds the fuzz targets (build/fuzz/fuzz/fuzz_NAME, clang's libFuzzer with the address and
undefined-behaviour sanitizers) and runs each, or only those named, for N seconds (default 60), starting from
fuzz/corpus/NAME. New inputs go to build/fuzz/found/NAME, what breaks a target to build/fuzz/crash/NAME.
END
}

main() {
  local names=() seconds=60 target name broken=()
  while (($#)); do
    case $1 in
      --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
      -*) usage_error "there is no option '$1'" ;;
      *) names+=("$1"); shift ;;
    esac
  done
  [[ $seconds =~ ^[0-9]+$ ]] || usage_error '--seconds is a number'
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build
  build fuzz || die 'build/fuzz does not build'
  if ((!${#names[@]})); then
    mapfile -t names < <(find build/fuzz/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable -printf '%f\n' |
      sed 's/^fuzz_//' | sort)
  fi
  ((${#names[@]})) || die 'there is no fuzz target'
  for name in "${names[@]}"; do
    target=build/fuzz/fuzz/fuzz_$name
    [ -x "$target" ] || die "there is no fuzz target '$name'"
    step "fuzz $name for $seconds s" fuzz_one "$target" "$name" "$seconds" || broken+=("$name")
  done
  ((!${#broken[@]})) || die "broken by an input: ${broken[*]} (kept under build/fuzz/crash)"
}

# fuzz_one TARGET NAME SECONDS
fuzz_one() {
  local found=build/fuzz/found/$2 crash=build/fuzz/crash/$2
  mkdir -p "$found" "$crash" || return 1
  local folders=("$found")
  [ ! -d "fuzz/corpus/$2" ] || folders+=("fuzz/corpus/$2")
  timeout --kill-after=20 $(($3 + 120)) "$1" -max_total_time="$3" -timeout=20 -rss_limit_mb=4096 \
    -artifact_prefix="$crash/" -print_final_stats=1 "${folders[@]}"
}
