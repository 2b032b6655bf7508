/* libFuzzer target: host/data/zip.c and array.c, and events of a .npz file. */
#include "base/mem.h"
#include "data/array.h"
#include "data/events.h"
#include "data/zip.h"
#include "fuzz.h"

static void read_array(const char *path, const char *name)
{
    sp_array *a = NULL;
    sp_error err = {0};
    float values[64];
    sp_status st = sp_array_open(path, name, &a, &err);
    if (st == SP_OK) {
        int64_t n = sp_array_about(a)->items < 64 ? sp_array_about(a)->items : 64;
        st = sp_array_floats(a, 0, (size_t)n, values, &err);
    }
    fuzz_check(st, &err);
    sp_array_close(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[128];
    sp_zip z = {.file = -1};
    sp_events events = {0};
    sp_error err = {0};
    sp_status st;
    fuzz_write("fuzz.npz", bytes, n);
    snprintf(path, sizeof path, "%s/fuzz.npz", fuzz_folder());
    st = sp_zip_open(path, &z, &err);
    fuzz_check(st, &err);
    for (size_t i = 0; st == SP_OK && i < z.n && i < 8; i++) {
        uint8_t *content = NULL;
        uint64_t at;
        sp_error damage = {0};
        if (z.members[i].bytes > 1 << 20)
            continue;
        fuzz_check(sp_zip_read(&z, &z.members[i], &content, &damage), &damage);
        sp_free(content);
        damage = (sp_error){0};
        if (z.members[i].method == 0)
            fuzz_check(sp_zip_locate(&z, &z.members[i], &at, &damage), &damage);
    }
    sp_zip_close(&z);
    read_array(path, "x");
    read_array(path, "y");
    err = (sp_error){0};
    fuzz_check(sp_recording_events(path, &(sp_recording_format){.unit = SP_UNIT_MS}, &events, NULL, &err),
               &err);
    sp_events_free(&events);
    return 0;
}
