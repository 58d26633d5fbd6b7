# shellcheck shell=bash disable=SC2034,SC2154
# ./dev setup: Debian packages by apt, and the client tests' packages by npm. Quick when nothing is missing.

help() {
  cat <<'END'
usage: ./dev setup [GROUP...]

Installs the Debian packages of packaging/packages.txt (groups: build run test lint bench, which are all
without one, peers, rivals, and qemu) with apt, as root or through sudo, and the npm packages that go with a
group. Services that come with a package are not started. Says what it installs; installs nothing that is
there.
END
}

main() {
  local group
  for group in "$@"; do
    case $group in
      build | run | test | lint | bench | peers | rivals | qemu) ;;
      *) usage_error "there is no package group '$group'" ;;
    esac
  done
  setup "$@"
  say 'Everything is installed.'
}

# setup [GROUP...]
setup() {
  local groups=("$@")
  ((${#groups[@]})) || groups=(build run test lint bench)
  install_debian_packages "${groups[@]}"
  case " ${groups[*]} " in *' test '*) install_npm_packages tests/clients ;; esac
  case " ${groups[*]} " in *' lint '*) install_npm_packages tools/lint ;; esac
  case " ${groups[*]} " in *' rivals '*) install_npm_packages bench/rivals ;; esac
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "installing packages needs root: run this as root, or install sudo"
  fi
}

# wanted GROUP...: one line a package of these groups: NAME[|NAME...] FLAG...
wanted() {
  local group package flags
  while read -r group package flags; do
    case " $* " in *" $group "*) ;; *) continue ;; esac
    case $flags in
      unless:*) flags=${flags#unless:}; if command -v "${flags%% *}" >/dev/null; then continue; fi ;;
    esac
    printf '%s %s\n' "$package" "$flags"
  done < <(grep -v -e '^#' -e '^$' packaging/packages.txt)
}

# Those that are not installed, of the lines on standard input.
missing() {
  local installed package flags name found
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
  while read -r package flags; do
    found=
    for name in ${package//|/ }; do
      if grep -qxF -- "$name" <<<"$installed"; then found=1; fi
    done
    [ -n "$found" ] || printf '%s %s\n' "$package" "$flags"
  done
}

# The name that this distribution has for each line on standard input.
resolve() {
  local package flags name found
  while read -r package flags; do
    found=
    for name in ${package//|/ }; do
      if [ -z "$found" ] && apt-cache show --no-all-versions -- "$name" >/dev/null 2>&1; then found=$name; fi
    done
    if [ -n "$found" ]; then
      printf '%s\n' "$found"
    elif [ "$flags" = optional ]; then
      say "    this distribution has no $package: done without it" >&2
    else
      say "    this distribution has no package $package" >&2
      return 1
    fi
  done
}

# There once apt has been asked for the optional packages: a distribution without them is asked once.
optional_asked=build/logs/optional-packages-asked

install_debian_packages() {
  command -v dpkg-query >/dev/null || die 'no Debian here: ./dev installs packaging/packages.txt with apt'
  local lines names
  lines=$(wanted "$@" | missing)
  [ -n "$lines" ] || return 0
  if ! grep -qv ' optional$' <<<"$lines" && [ -e $optional_asked ]; then return 0; fi
  step 'apt-get update' as_root apt-get update -q || die 'apt-get update failed: is the network there?'
  names=$(resolve <<<"$lines") || die 'packages that Headrace needs are not in this distribution'
  touch $optional_asked
  [ -n "$names" ] || return 0
  say "    installing: $(tr '\n' ' ' <<<"$names")"
  # shellcheck disable=SC2086
  step 'apt-get install' apt_install $names || die 'apt-get install failed'
}

# Without recommended packages, and without starting the services of what is installed.
apt_install() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'as_root rm -f $policy' EXIT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -- "$@"
)

# install_npm_packages FOLDER: exactly what its lock file says, once for each lock file.
install_npm_packages() {
  local folder=$1
  [ -f "$folder/package-lock.json" ] || return 0
  if cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock"; then return 0; fi
  step "npm ci in $folder" npm ci --prefix "$folder" --no-audit --no-fund || die "npm ci failed in $folder"
  cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock"
}
