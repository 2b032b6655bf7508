/* Counted allocation with fault injection. Blocks are plain malloc blocks, so sp_free is free; counting and
 * failing happen in one place, grant(). */
#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ITEMS = 8 }; // of a growing array; a power of two

static atomic_uint_fast64_t count;
static atomic_int_fast64_t countdown; // > 0: allocations left until the one that fails

static bool grant(void)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) <= 0)
        return true;
    // Two threads may both come here at 1: exactly one of them takes it from 1 to 0 and fails.
    return atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed) != 1;
}

void *sp_alloc(size_t bytes)
{
    return grant() ? calloc(1, bytes ? bytes : 1) : NULL;
}

void *sp_alloc_array(size_t n, size_t item_bytes)
{
    if (item_bytes && n > SIZE_MAX / item_bytes)
        return NULL;
    return sp_alloc(n * item_bytes);
}

void *sp_realloc(void *p, size_t bytes)
{
    return grant() ? realloc(p, bytes ? bytes : 1) : NULL;
}

void *sp_array_push(void *array, size_t n, size_t item_bytes)
{
    char *items;
    memcpy(&items, array, sizeof items); /* whatever type of pointer it is */
    size_t room = n == 0 ? FIRST_ITEMS : n >= FIRST_ITEMS && (n & (n - 1)) == 0 ? 2 * n : 0;
    if (room) {
        items = room <= SIZE_MAX / item_bytes ? sp_realloc(items, room * item_bytes) : NULL;
        if (!items)
            return NULL;
        memcpy(array, &items, sizeof items);
    }
    return memset(items + n * item_bytes, 0, item_bytes);
}

void *sp_alloc_aligned(size_t bytes, size_t align)
{
    if (align < sizeof(void *))
        align = sizeof(void *);
    void *p = NULL;
    if (!grant() || posix_memalign(&p, align, bytes ? bytes : 1) != 0)
        return NULL;
    memset(p, 0, bytes);
    return p;
}

void *sp_alloc_pages(size_t n, size_t item_bytes)
{
    return item_bytes && n > SIZE_MAX / item_bytes ? NULL : sp_alloc_aligned(n * item_bytes, SP_PAGE_BYTES);
}

void sp_free(void *p)
{
    free(p);
}

char *sp_strdup(const char *s)
{
    return sp_strndup(s, strlen(s));
}

char *sp_strndup(const char *s, size_t n)
{
    const char *end = memchr(s, '\0', n);
    if (end)
        n = (size_t)(end - s);
    char *copy = n < SIZE_MAX ? sp_alloc(n + 1) : NULL;
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *sp_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *s = n < 0 ? NULL : sp_alloc((size_t)n + 1);
    if (!s)
        return NULL;
    va_start(args, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    va_end(args);
    return s;
}

uint64_t sp_mem_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

void sp_mem_fail_at(int64_t k)
{
    atomic_store_explicit(&countdown, k > 0 ? k : 0, memory_order_relaxed);
}
