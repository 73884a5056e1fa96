# Reference pages from TableGen: <build>/docs/generated, in every build. The target
# tnllm-docs copies them to docs/generated and writes a page for each pass there, with
# what tnllm-opt makes of an example, and one with the options of all programs; test/Docs
# checks that all agree.

set(_docs ${CMAKE_BINARY_DIR}/docs/generated)
set(_pages)

# tnllm_add_page(page source generator arguments...)
function(tnllm_add_page page source)
  file(GLOB definitions CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/dialects/*/*.td
       ${CMAKE_SOURCE_DIR}/include/tnllm/*/*.td)
  add_custom_command(
    OUTPUT ${_docs}/${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${_docs}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} -I ${CMAKE_SOURCE_DIR}/dialects
            -I ${CMAKE_SOURCE_DIR}/include -I ${CMAKE_SOURCE_DIR}/dialects/TN
            -I ${CMAKE_SOURCE_DIR}/dialects/TNK -I ${CMAKE_SOURCE_DIR}/dialects/TNRT
            -I ${MLIR_INCLUDE_DIRS} ${source} -o ${_docs}/${page}
    DEPENDS ${definitions}
    COMMENT "Writing the reference page ${page}"
    VERBATIM)
  set(_pages ${_pages} ${_docs}/${page} PARENT_SCOPE)
endfunction()

foreach(_dialect TN TNK TNRT)
  string(TOLOWER ${_dialect} _name)
  tnllm_add_page(${_dialect}.md ${CMAKE_SOURCE_DIR}/dialects/${_dialect}/${_dialect}Ops.td
                 -gen-dialect-doc -dialect=${_name})
endforeach()
foreach(_group Conversion Reference Transforms)
  tnllm_add_page(${_group}.md ${CMAKE_SOURCE_DIR}/include/tnllm/${_group}/Passes.td
                 -gen-pass-doc)
endforeach()

add_custom_target(tnllm-docs-pages ALL DEPENDS ${_pages})
add_custom_target(tnllm-docs
  COMMAND ${CMAKE_COMMAND} -E copy_directory ${_docs} ${CMAKE_SOURCE_DIR}/docs/generated
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/dev/pass-pages
          --opt $<TARGET_FILE:tnllm-opt> --out ${CMAKE_SOURCE_DIR}/docs/generated/passes
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/dev/option-page
          --bin $<TARGET_FILE_DIR:tnllm-opt> --out ${CMAKE_SOURCE_DIR}/docs/generated/Options.md
  DEPENDS ${_pages} tnllm-opt tnllm-reduce tnllmc tnllm_link_directory
  COMMENT "Updating docs/generated")
