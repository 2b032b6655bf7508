/* Runs a fuzz target without libFuzzer: every file of the folders and files named, cut short everywhere, with
 * bytes changed, and random bytes. A short stand-in for scripts/fuzz where there is no clang, and a
 * regression test for what it found. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include "base/rng.h"
#include "fuzz.h"

enum { CUTS = 200, FLIPS = 300, NOISE = 500, MAX_BYTES = 1 << 16 };

static size_t runs;

/* The memory is exactly as large as the input, for AddressSanitizer. */
static void run(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    runs++;
}

static void vary(const uint8_t *bytes, size_t n, sp_rng *r)
{
    static uint8_t changed[MAX_BYTES];
    run(bytes, n);
    for (size_t cut = 0; cut < n; cut += n / CUTS + 1)
        run(bytes, cut);
    for (int i = 0; i < FLIPS && n > 0; i++) {
        memcpy(changed, bytes, n);
        for (uint32_t k = 0; k < 1 + sp_rng_below(r, 6); k++)
            changed[sp_rng_below(r, (uint32_t)n)] =
                sp_rng_below(r, 3) ? (uint8_t)sp_rng_u32(r) : (uint8_t)(0 - sp_rng_below(r, 2));
        run(changed, n);
    }
}

static void run_file(const char *path, sp_rng *r)
{
    static uint8_t bytes[MAX_BYTES];
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(1);
    }
    vary(bytes, fread(bytes, 1, sizeof bytes, f), r);
    fclose(f);
}

static void run_path(const char *path, sp_rng *r)
{
    const struct dirent *e;
    DIR *d = opendir(path);
    if (!d) {
        run_file(path, r);
        return;
    }
    while ((e = readdir(d)) != NULL) {
        char inside[1024];
        if (e->d_name[0] == '.')
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, e->d_name);
        run_file(inside, r);
    }
    closedir(d);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[4096];
    sp_rng r = sp_rng_make(1, 2);
    for (int i = 1; i < argc; i++)
        run_path(argv[i], &r);
    for (int i = 0; i < NOISE; i++) {
        size_t n = sp_rng_below(&r, i % 2 ? 64 : sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)sp_rng_u32(&r);
        run(bytes, n);
    }
    printf("%zu inputs\n", runs);
    return 0;
}
