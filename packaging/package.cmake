# The Debian package, by CPack: the program, the Python wheel, the documents, a configuration to begin with,
# and the polkit action of `headrace host apply`. No script restarts anything: an upgrade leaves running tasks
# alone, and `headrace host apply` is what changes a host. Removing it stops what runs.
set(packaging ${PROJECT_SOURCE_DIR}/packaging)
install(TARGETS headrace DESTINATION bin)
install(FILES ${PROJECT_BINARY_DIR}/headrace-${PROJECT_VERSION}-cp311-abi3-linux_${CMAKE_SYSTEM_PROCESSOR}.whl
  DESTINATION share/headrace)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION share/doc/headrace FILES_MATCHING PATTERN "*.md")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/headrace RENAME copyright)
install(FILES ${packaging}/org.headrace.host.policy DESTINATION share/polkit-1/actions)
install(FILES ${packaging}/headrace.toml DESTINATION /etc/headrace)

# Man pages and completions come from the program's own command line.
set(manual ${PROJECT_BINARY_DIR}/manual)
add_custom_command(OUTPUT ${manual}/stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${manual}
  COMMAND headrace manual ${manual}
  COMMAND sh -c "gzip -9n ${manual}/man/*.1"
  COMMAND ${CMAKE_COMMAND} -E touch ${manual}/stamp
  DEPENDS headrace
  COMMENT "Writing man pages and completions" VERBATIM)
add_custom_target(headrace_manual ALL DEPENDS ${manual}/stamp)
install(DIRECTORY ${manual}/man/ DESTINATION share/man/man1)
install(FILES ${manual}/bash/headrace DESTINATION share/bash-completion/completions)
install(FILES ${manual}/zsh/_headrace DESTINATION share/zsh/vendor-completions)
install(FILES ${manual}/fish/headrace.fish DESTINATION share/fish/vendor_completions.d)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME headrace)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Headrace project <headrace@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "queues, objects and Python workers for one Linux host")
string(CONCAT CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Headrace brings work to Python workers on one Linux host: a queue and an object\n"
  "store that speak SQS and S3, supervised workers, and the host around them (nginx,\n"
  "systemd, rsyslog, chrony, polkit, nftables) made from one file.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION web)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
string(CONCAT CPACK_DEBIAN_PACKAGE_DEPENDS
  "systemd (>= 252), nginx-light | nginx, rsyslog, chrony, logrotate, "
  "polkitd | policykit-1, nftables, iproute2, openssl, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3 (>= 3.11), python3-venv, rsyslog-gnutls")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/debian/conffiles ${packaging}/debian/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
include(CPack)
