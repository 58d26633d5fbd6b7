# shellcheck shell=bash disable=SC2034,SC2154
# ./dev package: the Debian package, by CPack.

help() {
  cat <<'END'
usage: ./dev package

Builds Headrace for release and makes its Debian package in build/release/packages: the program, the Python
wheel, documents, a configuration to begin with. `apt-get install ./headrace_*.deb && headrace host apply`
makes a host of a machine. Needs dpkg-dev.
END
}

main() {
  (($# == 0)) || usage_error "package takes no argument: '$1'"
  # shellcheck source=tools/dev/setup.sh
  . tools/dev/setup.sh
  setup build
  build release || die 'build/release does not build'
  make_package || die 'the package was not made'
  say "$(ls build/release/packages/*.deb)"
}

# Once the release is built.
make_package() {
  rm -rf build/release/packages
  step 'cpack' cpack --config build/release/CPackConfig.cmake
}
