# Configures the lit suite. `ninja check-tnllm` runs all of it,
# `lit -v <build>/test/<folder>` one folder. All output stays in <build>/test.

configure_file(${CMAKE_CURRENT_SOURCE_DIR}/lit.site.cfg.py.in
               ${CMAKE_CURRENT_BINARY_DIR}/lit.site.cfg.py @ONLY)

set(_lit_programs)
foreach(program bigram-trainer tnllm-lsp-server tnllm-opt tnllm-reduce tnllmc)
  if(TARGET ${program})
    list(APPEND _lit_programs ${program})
  endif()
endforeach()

add_custom_target(check-tnllm
  COMMAND ${Python3_EXECUTABLE} ${LLVM_TOOLS_BINARY_DIR}/lit -sv
          ${CMAKE_CURRENT_BINARY_DIR}
  DEPENDS ${_lit_programs} USES_TERMINAL
  COMMENT "Running the lit suite")

# On a GPU machine: the golden cases on the GPU. Elsewhere it says why it skips them.
# The folder can be carried to a machine without a compiler (docs/Building.md).
if(TARGET tnllmc)
  set(_gpu_suite ${CMAKE_CURRENT_SOURCE_DIR}/Integration/gpu)
  add_custom_target(check-tnllm-gpu
    COMMAND ${Python3_EXECUTABLE} ${_gpu_suite}/build_programs.py
            $<TARGET_FILE:tnllmc> ${CMAKE_BINARY_DIR}/gpu-suite
    COMMAND ${Python3_EXECUTABLE} ${_gpu_suite}/run_suite.py
            ${CMAKE_BINARY_DIR}/gpu-suite
    DEPENDS tnllmc USES_TERMINAL VERBATIM
    COMMENT "Running the golden cases on the GPU")
endif()
