# TNLLM_COMMIT: the commit that is built, 40 digits, or `unknown`.
#
# In a repository git says it, and CMake runs again when another one is checked out. An
# archive has it in cmake/commit.txt, where `git archive` writes it (.gitattributes), so that
# both give the same programs. What is changed and not committed is not seen.

function(_tnllm_find_commit result)
  set(${result} unknown PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_LIST_DIR}/commit.txt)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/commit.txt text LIMIT_COUNT 1)
  if(text MATCHES "^[0-9a-f]+$")
    set(${result} ${text} PARENT_SCOPE)
    return()
  endif()
  find_program(TNLLM_GIT git)
  mark_as_advanced(TNLLM_GIT)
  # Not a repository that this tree lies in by chance.
  if(NOT TNLLM_GIT OR NOT EXISTS ${CMAKE_SOURCE_DIR}/.git)
    return()
  endif()
  execute_process(
    COMMAND ${TNLLM_GIT} rev-parse HEAD --git-path HEAD --git-path logs/HEAD
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE answer ERROR_QUIET RESULT_VARIABLE status
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    return()
  endif()
  string(REPLACE "\n" ";" answer "${answer}")
  list(POP_FRONT answer commit)
  foreach(path ${answer})
    file(REAL_PATH ${path} path BASE_DIRECTORY ${CMAKE_SOURCE_DIR})
    if(EXISTS ${path})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    endif()
  endforeach()
  set(${result} ${commit} PARENT_SCOPE)
endfunction()

_tnllm_find_commit(TNLLM_COMMIT)
