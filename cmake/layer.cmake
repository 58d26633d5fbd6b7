# hr_layer(NAME LEVEL n [USES layer...] [LIBS target...] [TEST_USES layer...])
#
# Declares the layer src/NAME: a static library hr_NAME of its *.cc files, which may include the headers of
# NAME itself and of the layers in USES, and of no other layer. Three things enforce that:
#   - a layer's headers are reached as "NAME/file.h" through an include folder that holds that one layer
#     and is given only to targets that name it in USES (it is never passed on);
#   - USES may name lower levels only, checked here when CMake runs;
#   - link_NAME links the whole archive against exactly the declared layers; headers_NAME compiles every
#     header of the layer alone that no .cc of the same name includes first.
# Unit tests (*_test.cc) stand beside the code and become test_NAME, which may also use TEST_USES.

function(hr_layer name)
  cmake_parse_arguments(arg "" "LEVEL" "USES;LIBS;TEST_USES" ${ARGN})
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  set(root ${PROJECT_BINARY_DIR}/layers/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${dir} ${root}/${name} SYMBOLIC)

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)
    set(sources ${PROJECT_BINARY_DIR}/headers/empty.cc)
    file(CONFIGURE OUTPUT ${sources} CONTENT "")
  endif()
  add_library(hr_${name} STATIC ${sources})
  set_target_properties(hr_${name} PROPERTIES HR_LEVEL ${arg_LEVEL} HR_INCLUDE ${root} HR_USES "${arg_USES}")
  hr_use(hr_${name} ${name} ${arg_USES})
  foreach(used IN LISTS arg_USES)
    get_target_property(level hr_${used} HR_LEVEL)
    if(NOT level LESS arg_LEVEL)
      message(FATAL_ERROR "layer ${name} (level ${arg_LEVEL}) may not use ${used} (level ${level}): "
        "a layer uses lower levels only")
    endif()
    target_link_libraries(hr_${name} PUBLIC hr_${used})
  endforeach()
  target_link_libraries(hr_${name} PUBLIC ${arg_LIBS})

  # Every header alone: by the .cc of its name where that includes it first, else by a file made for it.
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${dir} ${dir}/*.h)
  set(stubs)
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "\\.h$" ".cc" own ${dir}/${header})
    set(first "")
    if(EXISTS ${own})
      file(STRINGS ${own} first REGEX "^#include" LIMIT_COUNT 1)
    endif()
    if(first STREQUAL "#include \"${name}/${header}\"")
      continue()
    endif()
    string(REPLACE "/" "_" flat ${header})
    set(stub ${PROJECT_BINARY_DIR}/headers/${name}/${flat}.cc)
    file(CONFIGURE OUTPUT ${stub} CONTENT "#include \"${name}/${header}\"\n")
    list(APPEND stubs ${stub})
  endforeach()
  if(stubs AND HEADRACE_TESTS)
    add_library(headers_${name} OBJECT ${stubs})
    hr_use(headers_${name} ${name} ${arg_USES})
    target_link_libraries(headers_${name} PRIVATE ${arg_LIBS})
    target_compile_options(headers_${name} PRIVATE -O0 -g0)  # nobody runs them
  endif()

  # The whole archive against the declared layers only.
  if(HEADRACE_TESTS)
    set(main ${PROJECT_BINARY_DIR}/headers/link_main.cc)
    file(CONFIGURE OUTPUT ${main} CONTENT "int main() { return 0; }\n")
    add_executable(link_${name} ${main})
    target_link_libraries(link_${name} PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,hr_${name}>")
    add_test(NAME layer.${name} COMMAND link_${name})
  endif()

  if(tests AND HEADRACE_TESTS)
    add_executable(test_${name} ${tests})
    hr_use(test_${name} ${name} ${arg_USES} ${arg_TEST_USES})
    list(TRANSFORM arg_TEST_USES PREPEND hr_ OUTPUT_VARIABLE test_layers)
    target_link_libraries(test_${name} PRIVATE hr_${name} ${test_layers} GTest::gmock GTest::gtest_main
      rapidcheck rapidcheck_gtest)
    target_compile_options(test_${name} PRIVATE -O0)  # the tests' own code: half the time to compile
    set_property(GLOBAL APPEND PROPERTY HR_TEST_TARGETS test_${name})
    add_test(NAME unit.${name} COMMAND test_${name})
    set_tests_properties(unit.${name} PROPERTIES
      ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp")
  endif()
endfunction()

# hr_use(TARGET layer...): lets TARGET include these layers' headers.
function(hr_use target)
  foreach(used IN LISTS ARGN)
    get_target_property(include hr_${used} HR_INCLUDE)
    target_include_directories(${target} PRIVATE ${include})
  endforeach()
endfunction()
