/* What the fuzz targets share. A target is one parser: it must take any bytes without a crash, a hang or a
 * leak, and an error must have a text. replay.c runs a target without libFuzzer. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "spikeport/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static inline void fuzz_check(sp_status st, const sp_error *err)
{
    if (st != SP_OK && (err->status != st || !err->text[0])) {
        fprintf(stderr, "status %d, but the error record says %d \"%s\"\n", st, err->status, err->text);
        abort();
    }
}

static char fuzz_folder_path[64];

static inline void fuzz_remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fuzz_folder_path);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", fuzz_folder_path);
}

/* A folder of this process, gone at exit; for parsers that read files. */
static inline const char *fuzz_folder(void)
{
    if (!fuzz_folder_path[0]) {
        snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/sp-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
        if (!mkdtemp(fuzz_folder_path))
            abort();
        atexit(fuzz_remove_folder);
    }
    return fuzz_folder_path;
}

static inline void fuzz_write(const char *name, const uint8_t *bytes, size_t n)
{
    char path[128];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        abort();
}

#endif
