# Makes MLIR's, LLVM's and lld's imported targets static, for TNLLM_STATIC.
#
# Debian builds MLIR against the shared libLLVM: every MLIR archive names `LLVM` (the
# shared library) among what it links. Here that name becomes the archives, and the
# few other shared libraries become their static forms.

llvm_map_components_to_libnames(_llvm_archives
  NVPTX X86 AsmPrinter CodeGen Core Demangle DebugInfoDWARF DTLTO FrontendOpenMP IRReader LTO
  MC Object ObjCARCOpts Option Passes Support SupportLSP Target TargetParser)
add_library(tnllm_static_llvm INTERFACE)
target_link_libraries(tnllm_static_llvm INTERFACE ${_llvm_archives})

function(_tnllm_make_static target)
  get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
  if(NOT libraries)
    return()
  endif()
  set(result)
  foreach(library ${libraries})
    if(library STREQUAL "LLVM")
      list(APPEND result tnllm_static_llvm)
    elseif(library STREQUAL "zstd::libzstd_shared")
      list(APPEND result zstd::libzstd_static)
    elseif(NOT library MATCHES "libz3\\.so|^Polly")
      list(APPEND result ${library})
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${result}")
endfunction()

find_package(LLD REQUIRED CONFIG HINTS ${LLVM_DIR}/../lld)
foreach(_target ${MLIR_EXPORTED_TARGETS} ${LLVM_AVAILABLE_LIBS} ${LLD_EXPORTED_TARGETS})
  if(TARGET ${_target})
    _tnllm_make_static(${_target})
  endif()
endforeach()
if(TARGET ZLIB::ZLIB)
  find_library(TNLLM_ZLIB_ARCHIVE libz.a REQUIRED)
  set_target_properties(ZLIB::ZLIB PROPERTIES
    IMPORTED_LOCATION ${TNLLM_ZLIB_ARCHIVE}
    IMPORTED_LOCATION_RELEASE ${TNLLM_ZLIB_ARCHIVE})
endif()

add_link_options(-static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-s)
