// TNRT_VECTOR_CLONES before a function compiles its loops for the vector widths
// that matter and picks one when the program starts: the runtime itself is
// built for the oldest CPU, so that it can say what a newer one would be needed
// for.
#ifndef TNRT_FORMATS_DISPATCH_H
#define TNRT_FORMATS_DISPATCH_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TNRT_NO_CLONES // their run-time libraries start after the choice is
                       // made
#endif
#endif

#if defined(__x86_64__) && defined(__linux__) && defined(__OPTIMIZE__) &&      \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&         \
    !defined(TNRT_NO_CLONES)
#define TNRT_VECTOR_CLONES                                                     \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TNRT_VECTOR_CLONES
#endif

#define TNRT_INLINE inline __attribute__((always_inline))

#endif // TNRT_FORMATS_DISPATCH_H
