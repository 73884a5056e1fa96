# tnllm_sentencepiece: the processor half of sentencepiece (no trainer, no
# tools) with its bundled protobuf-lite, as one static library. The sources come
# from scripts/fetch-sentencepiece; all build folders share them.

set(TNLLM_THIRD_PARTY_DIR ${CMAKE_SOURCE_DIR}/build/third_party CACHE PATH
    "Where fetched third-party sources live")
# Of what scripts/fetch-sentencepiece fetches; seen by all that prints versions.
set(TNLLM_SENTENCEPIECE_VERSION 0.2.0 CACHE INTERNAL "")
set(_sp_root ${TNLLM_THIRD_PARTY_DIR}/sentencepiece-${TNLLM_SENTENCEPIECE_VERSION})
if(NOT EXISTS ${_sp_root}/.complete)
  execute_process(
    COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-sentencepiece
            ${TNLLM_THIRD_PARTY_DIR}
    RESULT_VARIABLE _sp_result)
  if(NOT _sp_result EQUAL 0)
    message(FATAL_ERROR "scripts/fetch-sentencepiece failed: ${_sp_result}")
  endif()
endif()

set(_sp ${_sp_root}/sentencepiece)
set(_pb ${_sp}/third_party/protobuf-lite)
file(RELATIVE_PATH _sp_relative ${CMAKE_BINARY_DIR} ${_sp})
set(_sp_include ${CMAKE_BINARY_DIR}/third_party/sentencepiece)
file(CONFIGURE OUTPUT ${_sp_include}/config.h CONTENT
"#define VERSION \"0.2.0\"
#define PACKAGE \"sentencepiece\"
#define PACKAGE_STRING \"sentencepiece\"
")

add_library(tnllm_sentencepiece STATIC
  ${_pb}/arena.cc
  ${_pb}/arenastring.cc
  ${_pb}/bytestream.cc
  ${_pb}/coded_stream.cc
  ${_pb}/common.cc
  ${_pb}/extension_set.cc
  ${_pb}/generated_enum_util.cc
  ${_pb}/generated_message_table_driven_lite.cc
  ${_pb}/generated_message_util.cc
  ${_pb}/implicit_weak_message.cc
  ${_pb}/int128.cc
  ${_pb}/message_lite.cc
  ${_pb}/parse_context.cc
  ${_pb}/repeated_field.cc
  ${_pb}/status.cc
  ${_pb}/statusor.cc
  ${_pb}/stringpiece.cc
  ${_pb}/stringprintf.cc
  ${_pb}/structurally_valid.cc
  ${_pb}/strutil.cc
  ${_pb}/time.cc
  ${_pb}/wire_format_lite.cc
  ${_pb}/zero_copy_stream.cc
  ${_pb}/zero_copy_stream_impl.cc
  ${_pb}/zero_copy_stream_impl_lite.cc
  ${_sp}/src/builtin_pb/sentencepiece.pb.cc
  ${_sp}/src/builtin_pb/sentencepiece_model.pb.cc
  ${_sp}/src/bpe_model.cc
  ${_sp}/src/char_model.cc
  ${_sp}/src/error.cc
  ${_sp}/src/filesystem.cc
  ${_sp}/src/model_factory.cc
  ${_sp}/src/model_interface.cc
  ${_sp}/src/normalizer.cc
  ${_sp}/src/sentencepiece_processor.cc
  ${_sp}/src/unigram_model.cc
  ${_sp}/src/util.cc
  ${_sp}/src/word_model.cc
  ${_sp}/third_party/absl/flags/flag.cc)

# Only the public header is seen outside: as a system header, because its
# warnings are not ours.
target_include_directories(tnllm_sentencepiece
  SYSTEM INTERFACE ${_sp}/src
  PRIVATE ${_sp_include} ${_sp} ${_sp}/src ${_sp}/src/builtin_pb
          ${_sp}/third_party ${_pb})
target_compile_definitions(tnllm_sentencepiece PRIVATE
  HAVE_PTHREAD=1 _USE_INTERNAL_STRING_VIEW)
target_compile_options(tnllm_sentencepiece PRIVATE
  -w -ffunction-sections -fdata-sections
  # Its error messages hold __FILE__, which must not depend on where it is built,
  # nor on whether ccache made the path relative.
  -ffile-prefix-map=${_sp}=sentencepiece
  -ffile-prefix-map=${_sp_relative}=sentencepiece)
find_package(Threads REQUIRED)
target_link_libraries(tnllm_sentencepiece PUBLIC Threads::Threads)
