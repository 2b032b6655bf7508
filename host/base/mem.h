/* Host memory: every allocation of the library goes through here, so that a test can count them (none in a
 * training step) and make the k-th one fail. */
#ifndef SP_BASE_MEM_H
#define SP_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *sp_alloc(size_t bytes); /* zeroed; NULL when memory is out. bytes 0 gives a valid pointer */
void *sp_alloc_array(size_t n, size_t item_bytes); /* zeroed, checks overflow */
void *sp_realloc(void *p, size_t bytes);           /* new part is NOT zeroed */
/* One more item for a growing array: its address, zeroed, or NULL when memory is out (the array then stays).
 * `array` is the address of the pointer to the items, of which there are n; the caller counts the new one.
 * Room grows in powers of two, so no capacity is stored; the array must have grown by this function only. */
void *sp_array_push(void *array, size_t n, size_t item_bytes);
void *sp_alloc_aligned(size_t bytes, size_t align); /* zeroed; free with sp_free */
enum { SP_PAGE_BYTES = 4096 }; /* FPGA runtimes copy memory that does not begin on it once more */
void *sp_alloc_pages(size_t n, size_t item_bytes); /* zeroed, on SP_PAGE_BYTES */
void sp_free(void *p);                             /* NULL is fine */
char *sp_strdup(const char *s);
char *sp_strndup(const char *s, size_t n);
char *sp_format(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* malloc'd string or NULL */

uint64_t sp_mem_count(void);    /* allocations so far, all threads */
void sp_mem_fail_at(int64_t k); /* the k-th allocation from now returns NULL (1 = next); 0 turns it off */

/* Growing text, for reports: */
typedef struct sp_text {
    char *s; /* NUL-terminated, never NULL after the first sp_text_add (NULL before) */
    size_t n, cap;
    int failed; /* memory ran out; s holds what fitted */
} sp_text;
void sp_text_add(sp_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sp_text_append(sp_text *t, const void *bytes, size_t n); /* as they are */
void sp_text_free(sp_text *t);

/* Appends a name that may have any bytes (of a file, a class, a driver): control characters, marks that turn
 * the direction of text, and bytes that are not UTF-8 become \\xHH; in such a name, and in one with "\\x" in
 * it, a backslash is \\x5c, so that no two names become one. json: control characters that JSON itself
 * escapes stay. */
void sp_text_escape(sp_text *t, const char *name, bool json);

/* Text that may come from a file, before a person sees it: control characters other than line feed and tab,
 * and marks of direction,
 * become '?', so that no file can steer the terminal. `before` is the byte in front of s, 0 at the start. */
void sp_text_make_printable(char *s, size_t n, char before);

#endif
