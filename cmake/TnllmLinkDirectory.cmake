# <build>/lib/tnllm: all that linking an executable needs, beside the compiler.
#
# tnllmc links with lld inside itself, so a user's machine needs no toolchain; the
# start files, the C++ library and the C library's link-time images come from the
# machine that builds tnllmc. Emitted executables therefore need that machine's
# glibc or a newer one. lib/Target/LinkExecutable.cpp reads link.args: one argument
# a line, `@/` is this directory, `@object` the generated object.
#
# In a sanitized build the runtime's archives are instrumented, so the sanitizers'
# own archives join the directory and emitted executables are sanitized too.

set(_directory ${CMAKE_BINARY_DIR}/lib/tnllm)
file(MAKE_DIRECTORY ${_directory})

# Copies what the C++ compiler would link against by this name.
function(_tnllm_take_link_input)
  foreach(name ${ARGN})
    execute_process(
      COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${name}
      OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT EXISTS ${path})
      message(FATAL_ERROR "cannot find ${name}, which emitted executables link "
                          "against (asked ${CMAKE_CXX_COMPILER})")
    endif()
    file(REAL_PATH ${path} path)
    configure_file(${path} ${CMAKE_BINARY_DIR}/lib/tnllm/${name} COPYONLY)
  endforeach()
endfunction()

_tnllm_take_link_input(
  Scrt1.o crti.o crtbeginS.o crtendS.o crtn.o
  libstdc++.a libgcc.a libgcc_eh.a libclang_rt.builtins-x86_64.a
  libc.so.6 libc_nonshared.a libm.so.6 ld-linux-x86-64.so.2)

set(_arguments
  --hash-style=gnu --build-id=none --eh-frame-hdr -m elf_x86_64 -pie
  --gc-sections -z relro -z now
  -dynamic-linker /lib64/ld-linux-x86-64.so.2
  @/Scrt1.o @/crti.o @/crtbeginS.o)

if(TNLLM_SANITIZE)
  foreach(_part asan_static asan asan_cxx)
    set(_archive libclang_rt.${_part}-x86_64.a)
    _tnllm_take_link_input(${_archive})
    list(APPEND _arguments --whole-archive @/${_archive} --no-whole-archive)
    if(NOT _part STREQUAL asan_static)
      _tnllm_take_link_input(${_archive}.syms)
      list(APPEND _arguments --dynamic-list=@/${_archive}.syms)
    endif()
  endforeach()
  _tnllm_take_link_input(libresolv.so.2)
  set(_sanitizer_libraries @/libresolv.so.2)
else()
  list(APPEND _arguments --strip-debug)
endif()

list(APPEND _arguments @object --start-group)
set(_copies)
foreach(_target tnrt_main tnrt_app tnrt_train tnrt_core tnrt_formats tnllm_sentencepiece)
  list(APPEND _arguments @/lib${_target}.a)
  list(APPEND _copies COMMAND ${CMAKE_COMMAND} -E copy_if_different
       $<TARGET_FILE:${_target}> ${_directory}/lib${_target}.a)
endforeach()
list(APPEND _arguments --end-group
  # clang's builtins beside gcc's: GCC 12 has no conversions to and from bf16.
  @/libstdc++.a @/libm.so.6 @/libclang_rt.builtins-x86_64.a
  --start-group @/libgcc.a @/libgcc_eh.a @/libc.so.6
  @/libc_nonshared.a --as-needed @/ld-linux-x86-64.so.2 --no-as-needed --end-group
  ${_sanitizer_libraries} @/crtendS.o @/crtn.o)
list(JOIN _arguments "\n" _text)
file(GENERATE OUTPUT ${_directory}/link.args CONTENT "${_text}\n")

set(_stamp ${CMAKE_BINARY_DIR}/lib/tnllm.stamp)
add_custom_command(
  OUTPUT ${_stamp}
  ${_copies}
  COMMAND ${CMAKE_COMMAND} -E touch ${_stamp}
  DEPENDS tnrt_main tnrt_app tnrt_train tnrt_core tnrt_formats tnllm_sentencepiece
  COMMENT "Collecting what emitted executables link against"
  VERBATIM)
add_custom_target(tnllm_link_directory ALL DEPENDS ${_stamp})

install(DIRECTORY ${_directory}/ DESTINATION lib/tnllm)
