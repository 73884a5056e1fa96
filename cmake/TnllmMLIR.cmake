# Finds MLIR and defines how compiler libraries and tools are made.
#
# One tree serves two ways of linking: the shared libraries while developing (small
# programs, links in a second), every archive static for programs that run where
# no LLVM is installed (TNLLM_STATIC).

find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
message(STATUS "Using MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")

list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

if(TNLLM_STATIC)
  include(TnllmStaticLLVM)
endif()

add_library(tnllm_mlir_options INTERFACE)
target_link_libraries(tnllm_mlir_options INTERFACE tnllm_compile_options)
target_include_directories(tnllm_mlir_options SYSTEM INTERFACE
  ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_include_directories(tnllm_mlir_options INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include
  ${CMAKE_SOURCE_DIR}/dialects ${CMAKE_BINARY_DIR}/dialects
  ${CMAKE_SOURCE_DIR}/runtime/include)
# Debian's LLVM has RTTI on and exceptions off.
target_compile_options(tnllm_mlir_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
target_compile_definitions(tnllm_mlir_options INTERFACE
  TNLLM_VERSION="${PROJECT_VERSION}")

# One precompiled header for every compiler library: 12 s once, then two to six
# times less for each file.
add_library(tnllm_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(tnllm_pch PRIVATE tnllm_mlir_options)
target_compile_options(tnllm_pch PRIVATE -Xclang -fno-pch-timestamp)
target_precompile_headers(tnllm_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# tnllm_link_mlir(target MLIR_LIBS...): the shared libraries while developing,
# exactly the named archives in a static build.
function(tnllm_link_mlir target)
  if(TNLLM_STATIC)
    target_link_libraries(${target} PUBLIC ${ARGN})
  else()
    target_link_libraries(${target} PUBLIC MLIR LLVM)
  endif()
endfunction()

# tnllm_add_library(NAME sources... [DEPENDS tablegen targets]
#                   [LINK tnllm targets] [MLIR mlir libraries])
function(tnllm_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK;MLIR" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC tnllm_mlir_options ${ARG_LINK})
  target_compile_options(${name} PRIVATE -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} REUSE_FROM tnllm_pch)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  tnllm_link_mlir(${name} ${ARG_MLIR})
endfunction()

# tnllm_add_tool(NAME sources... [LINK tnllm targets] [MLIR mlir libraries])
function(tnllm_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK;MLIR" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  if(TNLLM_STATIC)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/static_targets.cpp)
  endif()
  if(TNLLM_SANITIZE)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/sanitizer_options.cpp)
  endif()
  target_link_libraries(${name} PRIVATE tnllm_mlir_options ${ARG_LINK})
  # The precompiled header is made for -fPIC; CMake would say -fPIE here.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} REUSE_FROM tnllm_pch)
  tnllm_link_mlir(${name} ${ARG_MLIR})
endfunction()

# tnllm_add_unittest(NAME sources... [LINK tnllm targets]): a GoogleTest program of
# compiler libraries, registered with CTest.
function(tnllm_add_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main)
  if(TNLLM_SANITIZE)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/sanitizer_options.cpp)
  endif()
  add_test(NAME ${name} COMMAND ${name})
endfunction()
