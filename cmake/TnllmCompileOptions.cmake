# Flags every target of the project shares.

add_library(tnllm_compile_options INTERFACE)
target_compile_options(tnllm_compile_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -fvisibility-inlines-hidden
  -ffunction-sections -fdata-sections)

if(TNLLM_FUZZ)
  # Counters at every edge, for libFuzzer to see what an input reaches.
  set(TNLLM_SANITIZE ON)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

if(TNLLM_SANITIZE_THREADS)
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()

if(TNLLM_SANITIZE)
  # The compiler has no RTTI, so its objects cannot be checked for their vptr.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr
                      -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# ccache halves a rebuild and makes a second build folder nearly free.
find_program(TNLLM_CCACHE ccache)
if(TNLLM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${TNLLM_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${TNLLM_CCACHE})
endif()
