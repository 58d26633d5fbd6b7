# shellcheck shell=bash disable=SC2034,SC2154
# ./dev lint: formatting, static analysis, and the linters of each language.

help() {
  cat <<'END'
usage: ./dev lint [--all | FILE...]

Checks, and changes nothing: clang-format and clang-tidy (C++), flake8 and mypy (Python), eslint
(JavaScript), shellcheck (shell). clang-tidy takes a few seconds for each file, so without --all it looks at
what differs from the main branch's last commit elsewhere (origin/main, else HEAD~1); the rest is quick
enough to see every file always. `clang-format-19 -i FILE` mends the format.
END
}

lint_passed=0
lint_failed=0
lint_failures=

main() {
  local argument
  for argument in "$@"; do
    case $argument in
      --all) (($# == 1)) || usage_error '--all stands alone' ;;
      -*) usage_error "there is no option '$argument'" ;;
      *) [ -f "$argument" ] || usage_error "there is no file '$argument'" ;;
    esac
  done
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build test lint
  lint "$@"
  if ((lint_failed)); then die "$lint_failed of $((lint_passed + lint_failed)) linters complain"; fi
  say "$lint_passed linters, no complaint"
}

# lint [--all | FILE...]
lint() {
  local cxx python_files scripts modules tidied
  mapfile -t cxx < <(sources '*.cc' '*.h')
  mapfile -t python_files < <(sources '*.py'; programs python)
  mapfile -t modules < <(sources '*.js' '*.mjs')
  mapfile -t scripts < <(sources '*.sh'; programs 'sh|bash')
  ((${#cxx[@]})) || die 'git lists no source file: is this a checkout?'
  linter 'clang-format' "${#cxx[@]}" clang-format-19 --dry-run -Werror "${cxx[@]}"
  linter 'flake8' "${#python_files[@]}" "$python" -m flake8 --max-line-length 110 --extend-ignore E203,W503 \
    "${python_files[@]}"
  linter 'mypy' "${#python_files[@]}" lint_types "${python_files[@]}"
  linter 'eslint' "${#modules[@]}" lint_javascript "${modules[@]}"
  linter 'shellcheck' "${#scripts[@]}" shellcheck --external-sources "${scripts[@]}"
  mapfile -t tidied < <(clang_tidy_files "$@")
  linter 'clang-tidy' "${#tidied[@]}" lint_clang_tidy "${tidied[@]}"
}

# linter NAME FILES COMMAND...: runs it when there are files to look at.
linter() {
  local name=$1 files=$2
  shift 2
  ((files > 0)) || return 0
  if step "lint: $name ($files files)" "$@"; then
    lint_passed=$((lint_passed + 1))
  else
    lint_failed=$((lint_failed + 1))
    lint_failures+="  lint: $name"$'\n'
  fi
}

# Files of the checkout with these names, committed or about to be.
sources() { git ls-files --cached --others --exclude-standard -- "$@" | existing; }

existing() {
  while read -r file; do
    if [ -f "$file" ]; then say "$file"; fi
  done
}

# programs SHEBANG: files without an extension whose first line names this interpreter.
programs() {
  sources '*' | while read -r file; do
    case ${file##*/} in
      *.*) ;;
      *) if head -n 1 "$file" | grep -qE "^#!.*\b($1)[0-9.]*\b"; then say "$file"; fi ;;
    esac
  done
}

# A folder at a time: folders repeat module names (conftest).
lint_types() {
  local folder files status=0
  while read -r folder; do
    mapfile -t files < <(printf '%s\n' "$@" | grep -E "^$folder/[^/]+\$")
    MYPYPATH=$folder "$python" -m mypy --no-error-summary --ignore-missing-imports --check-untyped-defs \
      --scripts-are-modules --cache-dir build/mypy "${files[@]}" || status=1
  done < <(printf '%s\n' "$@" | sed 's,/[^/]*$,,' | sort -u)
  return $status
}

lint_javascript() {
  local node
  node=$(find_node)
  [ -n "$node" ] || die 'there is no node: ./dev setup test'
  "$node" tools/lint/node_modules/eslint/bin/eslint.js --config tools/lint/eslint.config.mjs "$@"
}

# ---- clang-tidy

# clang_tidy_files [--all | FILE...]: the .cc files to look at; a changed header stands for its .cc.
clang_tidy_files() {
  local base
  if [ "${1:-}" = --all ]; then
    sources 'src/*.cc' | grep -v '_test\.cc$' || true
  elif (($#)); then
    printf '%s\n' "$@"
  else
    base=$(git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet HEAD~1 || true)
    { git diff --name-only --diff-filter=d "${base:-HEAD}" -- src; sources 'src/*'; } | sort | uniq -d |
      sed 's/\.h$/.cc/' | sort -u | existing | grep '\.cc$' | grep -v '_test\.cc$' || true
  fi
}

lint_clang_tidy() {
  cmake --preset release >/dev/null || return 1
  local patterns=() file
  for file in "$@"; do patterns+=("/${file//./\\.}\$"); done
  run-clang-tidy-19 -quiet -p build/release -j "$cores" "${patterns[@]}" 2>&1 |
    grep -v -e '^[0-9]* warnings generated' -e '^Suppressed ' -e '^Use -header-filter' -e '^$'
  return "${PIPESTATUS[0]}"
}
