# SPDX-License-Identifier: Apache-2.0
# Compiler flags of every target of ours, and the switches of the presets.
option(GRIDLET_TESTS "Build unit tests and the replay of fuzz corpora" ON)
option(GRIDLET_FUZZ "Build libFuzzer targets (needs clang)" OFF)
option(GRIDLET_WERROR "Treat warnings as errors" ON)
set(GRIDLET_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

if(NOT CMAKE_RUNTIME_OUTPUT_DIRECTORY)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")   # no NDEBUG: an assert is our bug and must end the process

add_library(gridlet_flags INTERFACE)
target_include_directories(gridlet_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(gridlet_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
  GRIDLET_VERSION="${PROJECT_VERSION}")
target_compile_options(gridlet_flags INTERFACE -std=gnu11 -Ulinux -Uunix
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wswitch-enum
  -Wundef -Wvla -Wimplicit-fallthrough -Wno-format-truncation -Wno-missing-field-initializers
  -fno-common -fno-strict-aliasing -fstack-protector-strong
  -include ${PROJECT_SOURCE_DIR}/base/banned.h)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  target_compile_options(gridlet_flags INTERFACE -Wno-unknown-warning-option -Wno-sign-conversion -Wno-gnu-alignof-expression)
endif()
if(GRIDLET_WERROR)
  target_compile_options(gridlet_flags INTERFACE -Werror)
endif()

# What is linked against glibc: hardening and sanitizers. The static programs take gridlet_flags alone.
add_library(gridlet_hosted INTERFACE)
target_link_libraries(gridlet_hosted INTERFACE gridlet_flags)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(gridlet_hosted INTERFACE -D_FORTIFY_SOURCE=3 -fPIE)
  target_link_options(gridlet_hosted INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
if(GRIDLET_SANITIZE)
  target_compile_options(gridlet_hosted INTERFACE -fsanitize=${GRIDLET_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(gridlet_hosted INTERFACE -fsanitize=${GRIDLET_SANITIZE})
endif()
if(GRIDLET_FUZZ)
  target_compile_options(gridlet_hosted INTERFACE -fsanitize=fuzzer-no-link)
endif()
