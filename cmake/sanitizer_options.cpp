// Defaults of sanitized compiler programs. LLVM's libraries are not instrumented,
// while its headers are where they are inlined here: memory that a header poisons
// and the library reuses, and containers that cross the border, would be reported
// without being wrong. Leaks are looked for: what LLVM keeps until exit stays
// reachable, so that no suppression is needed.

extern "C" const char *__asan_default_options();

const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0";
}
