# One target per folder: its link list is the list of folders that it may include (the layer law).

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(grapevine_flags INTERFACE)
target_include_directories(grapevine_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(grapevine_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(grapevine_flags INTERFACE -Werror -Wthread-safety
    "SHELL:-Xclang -fno-pch-timestamp")
else()
  # The warnings switched off are wrong in g++ 12 on std::string's operations. The compiler collects its
  # garbage less often than it would: a twelfth of its time for a twentieth of its memory.
  target_compile_options(grapevine_flags INTERFACE -fpch-preprocess
    "SHELL:--param ggc-min-expand=10000" "SHELL:--param ggc-min-heapsize=2000000"
    -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(GRAPEVINE_SANITIZE)
  target_compile_options(grapevine_flags INTERFACE
    -fsanitize=${GRAPEVINE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(grapevine_flags INTERFACE -fsanitize=${GRAPEVINE_SANITIZE})
endif()

# What most sources include and what takes longest to read is read once by g++. Clang, whose build is the
# strict one, compiles each source of the product with its own includes alone, so that a missing one shows.
# The few that are compiled with flags of their own, for which it does not count, fall back on the text.
set(CMAKE_PCH_WARN_INVALID OFF)
set(GRAPEVINE_PRELUDE <absl/status/statusor.h> <fmt/format.h> <nlohmann/json.hpp>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  file(WRITE ${PROJECT_BINARY_DIR}/prelude.cc "")
  add_library(grapevine_prelude OBJECT ${PROJECT_BINARY_DIR}/prelude.cc)
  target_link_libraries(grapevine_flags INTERFACE fmt::fmt)
  target_link_libraries(grapevine_prelude PRIVATE grapevine_flags)
  target_precompile_headers(grapevine_prelude PRIVATE ${GRAPEVINE_PRELUDE})
endif()

# grapevine_library(operator_graph SOURCES a.cc b.cc DEPS operator_base PRIVATE_DEPS dnnl::dnnl)
# A folder of headers alone leaves SOURCES out.
function(grapevine_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS")
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC grapevine_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    if(TARGET grapevine_prelude)
      target_precompile_headers(${name} REUSE_FROM grapevine_prelude)
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE grapevine_flags ${ARG_DEPS})
  endif()
endfunction()

function(grapevine_test_program name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} tests_main)
  if(NOT "gRPC::grpc++" IN_LIST ARG_DEPS)  # it brings -pthread, for which the header does not count
    target_precompile_headers(${name} REUSE_FROM tests_main)
  endif()
endfunction()

# grapevine_test(operator_graph_test SOURCES graph_test.cc DEPS operator_graph LABELS slow)
# One binary per folder of tests; ctest runs each case as a test of its own, in parallel.
# Its sources are compiled for quick building, while what they test is optimised, and with tests_main's
# precompiled header.
function(grapevine_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  grapevine_test_program(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# The same for tests that share a Kubernetes control plane: starting one takes seconds, so the whole program is
# one test of ctest's, skipped where there is none to start.
function(grapevine_cluster_test name)
  if(NOT TARGET tests_cluster)  # left out under ThreadSanitizer
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS")
  grapevine_test_program(${name} SOURCES ${ARG_SOURCES} DEPS tests_cluster ${ARG_DEPS})
  add_test(NAME ${name} COMMAND ${name})
  # One at a time, and begun first: together they take about as long as all others.
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS cluster RESOURCE_LOCK control_plane COST 1000
    SKIP_REGULAR_EXPRESSION "no Kubernetes programs: ./dev tools")
endfunction()
