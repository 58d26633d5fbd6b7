# shellcheck shell=bash disable=SC2034,SC2154
# ./dev sim: the simulation for longer than `./dev test` runs it.

help() {
  cat <<'END'
usage: ./dev sim [NAME] [--seeds N] [--from N]

Builds the simulations (the programs build/release/tests/simulation/sim_NAME) and runs each, or only NAME,
for N seeds (default 20000) from seed --from (default 1). A failure prints its seed, which fails again.
END
}

main() {
  local name=all seeds=20000 from=1 programs=() program
  while (($#)); do
    case $1 in
      --seeds) seeds=${2:?--seeds needs a number}; shift 2 ;;
      --from) from=${2:?--from needs a number}; shift 2 ;;
      -*) usage_error "there is no option '$1'" ;;
      *) name=$1; shift ;;
    esac
  done
  [[ $seeds$from =~ ^[0-9]+$ ]] || usage_error '--seeds and --from are numbers'
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build
  build release || die 'build/release does not build'
  for program in build/release/tests/simulation/sim_*; do
    if [ -f "$program" ] && [ -x "$program" ] && [[ $name = all || $program = */sim_$name ]]; then
      programs+=("$program")
    fi
  done
  ((${#programs[@]})) || die "there is no simulation '$name' under build/release/tests/simulation"
  for program in "${programs[@]}"; do
    say "${program##*/}: $seeds seeds from $from"
    "$program" --seeds "$seeds" --from "$from" || die "${program##*/} found a failure (exit code $?)"
  done
}
