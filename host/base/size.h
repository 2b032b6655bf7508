/* Checked arithmetic of sizes: every product of shapes, elements and bytes that a file, a recipe or a command
 * line can make large goes through here, or is bounded by one that did (docs/SECURITY.md has the table). */
#ifndef SP_BASE_SIZE_H
#define SP_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The product of n factors. False where a factor is negative, or where the factors other than 0 have a
 * product above INT64_MAX: whether a shape is accepted does not depend on the order of its dimensions. */
static inline bool sp_size_product(const int64_t *factors, size_t n, int64_t *out)
{
    int64_t product = 1;
    bool empty = false;
    for (size_t i = 0; i < n; i++) {
        empty = empty || factors[i] == 0;
        if (factors[i] < 0 || (factors[i] > 0 && __builtin_mul_overflow(product, factors[i], &product)))
            return false;
    }
    *out = empty ? 0 : product;
    return true;
}

/* SP_SIZE_MUL(&bytes, batch, height, width, 4): the product of any number of factors. */
#define SP_SIZE_MUL(out, ...)                                                                                \
    sp_size_product((const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (out))

/* *sum += more; false where it does not fit or where `more` is negative. */
static inline bool sp_size_add(int64_t *sum, int64_t more)
{
    return more >= 0 && !__builtin_add_overflow(*sum, more, sum);
}

#endif
