/* "did you mean": the nearest of a list of names by edit distance, or NULL when none is near. */
#ifndef SP_BASE_SUGGEST_H
#define SP_BASE_SUGGEST_H
#include <stddef.h>
const char *sp_suggest(const char *word, const char *const *names, size_t n);
#endif
