#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include "base/mem.h"

Test(mem, blocks_are_zeroed_and_counted)
{
    uint64_t before = sp_mem_count();
    unsigned char *a = sp_alloc(1000), *b = sp_alloc_array(10, 100), *c = sp_alloc_aligned(1000, 4096);
    cr_assert(a && b && c);
    for (int i = 0; i < 1000; i++)
        cr_assert(a[i] == 0 && b[i] == 0 && c[i] == 0);
    cr_assert_eq((uintptr_t)c % 4096, 0u);
    cr_assert_eq(sp_mem_count() - before, 3u);
    sp_free(a);
    sp_free(b);
    sp_free(c);
    sp_free(NULL);
}

Test(mem, empty_block_is_valid_and_overflow_is_not)
{
    void *p = sp_alloc(0), *q = sp_alloc_aligned(0, 1);
    cr_assert(p && q);
    sp_free(p);
    sp_free(q);
    cr_assert_null(sp_alloc_array(SIZE_MAX / 2, 3));
    cr_assert_null(sp_alloc_array(SIZE_MAX, SIZE_MAX));
}

Test(mem, strings)
{
    char *a = sp_strdup("spike"), *b = sp_strndup("spikeport", 5), *c = sp_strndup("ab", 99);
    char *d = sp_format("%s-%d", "x", 42);
    cr_assert_str_eq(a, "spike");
    cr_assert_str_eq(b, "spike");
    cr_assert_str_eq(c, "ab");
    cr_assert_str_eq(d, "x-42");
    sp_free(a);
    sp_free(b);
    sp_free(c);
    sp_free(d);
}

Test(mem, the_kth_allocation_fails_once)
{
    sp_mem_fail_at(3);
    void *a = sp_alloc(1), *b = sp_alloc(1), *c = sp_alloc(1), *d = sp_alloc(1);
    cr_assert(a && b && d);
    cr_assert_null(c);
    sp_free(a);
    sp_free(b);
    sp_free(d);
    sp_mem_fail_at(1);
    cr_assert_null(sp_strdup("x"));
    sp_mem_fail_at(1);
    cr_assert_null(sp_format("x"));
    sp_mem_fail_at(1);
    cr_assert_null(sp_alloc_aligned(8, 64));
    char *p = sp_strdup("kept");
    sp_mem_fail_at(1);
    cr_assert_null(sp_realloc(p, 1000));
    cr_assert_str_eq(p, "kept");
    sp_free(p);
    sp_mem_fail_at(1);
    sp_mem_fail_at(0);
    cr_assert_not_null(p = sp_alloc(1));
    sp_free(p);
}

static void *allocate_many(void *failures)
{
    for (int i = 0; i < 10000; i++) {
        void *p = sp_alloc(8);
        if (!p)
            ++*(int *)failures;
        sp_free(p);
    }
    return NULL;
}

Test(mem, counts_and_fails_exactly_once_over_threads)
{
    pthread_t threads[4];
    int failures[4] = {0};
    uint64_t before = sp_mem_count();
    sp_mem_fail_at(20000);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, allocate_many, &failures[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(sp_mem_count() - before, 40000u);
    cr_assert_eq(failures[0] + failures[1] + failures[2] + failures[3], 1);
}

Test(mem, array_grows_zeroed_and_stays_when_memory_runs_out)
{
    int *items = NULL;
    size_t n = 0, taken_out = 200;
    while (n < 700) {
        int *added = sp_array_push(&items, n, sizeof *added);
        cr_assert(added == items + n && *added == 0);
        *added = (int)n++;
        if (n == 500) { /* what was taken out may be put in again */
            n -= taken_out;
            taken_out = 0;
        }
    }
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(items[i], (int)i);
    while (n & (n - 1)) { /* the next one needs room */
        sp_array_push(&items, n, sizeof *items);
        items[n] = (int)n;
        n++;
    }
    sp_mem_fail_at(1);
    cr_assert_null(sp_array_push(&items, n, sizeof *items));
    sp_mem_fail_at(0);
    cr_assert_eq(items[n - 1], (int)n - 1);
    cr_assert_null(sp_array_push(&items, n, SIZE_MAX / n));
    sp_free(items);
}

Test(mem, text_grows)
{
    sp_text t = {0};
    for (int i = 0; i < 1000; i++)
        sp_text_add(&t, "%d,", i % 10);
    cr_assert_eq(t.n, 2000u);
    cr_assert_eq(strlen(t.s), 2000u);
    cr_assert_eq(t.failed, 0);
    cr_assert_eq(strncmp(t.s + 1990, "5,6,7,8,9,", 10), 0);
    sp_text_free(&t);
    cr_assert_null(t.s);
}

Test(mem, text_keeps_what_fitted_when_memory_runs_out)
{
    sp_text t = {0};
    sp_text_add(&t, "first");
    sp_mem_fail_at(1);
    sp_text_add(&t, "%1000d", 1);
    sp_text_add(&t, "later");
    cr_assert_eq(t.failed, 1);
    cr_assert_str_eq(t.s, "first");
    sp_text_free(&t);
}
