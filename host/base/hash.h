/* FNV-1a, 64 bits: short keys of what is kept in memory or on disk. Not for checking what may have been
 * tampered with. */
#ifndef SP_BASE_HASH_H
#define SP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SP_HASH_START UINT64_C(0xcbf29ce484222325)

/* n bytes on top of h; start with SP_HASH_START. */
uint64_t sp_hash(uint64_t h, const void *bytes, size_t n);

/* A text with its end, so that "a", "b" is not "ab", "". NULL is "". */
uint64_t sp_hash_text(uint64_t h, const char *text);

#endif
