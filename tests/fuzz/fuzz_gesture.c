/* Labels and trial lists of DVS128 Gesture. */
#include "data/events.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    sp_gesture_row *rows = NULL;
    size_t n_rows = 0, at = 0;
    sp_error err = {0};
    char *trial = NULL;
    fuzz_check(sp_gesture_labels_parse("fuzz.csv", (const char *)bytes, n, &rows, &n_rows, &err), &err);
    sp_free(rows);
    err = (sp_error){0};
    for (;;) {
        sp_status st = sp_gesture_next_trial("fuzz.txt", (const char *)bytes, n, &at, &trial, &err);
        fuzz_check(st, &err);
        if (st != SP_OK || !trial)
            break;
        sp_free(trial);
        trial = NULL;
    }
    return 0;
}
