/* libFuzzer target: host/data/aedat4.c. */
#include "data/events.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    sp_events e = {0};
    sp_sensor sensor;
    sp_error err = {0};
    fuzz_check(sp_aedat4_parse("fuzz.aedat4", bytes, n, &e, &sensor, &err), &err);
    sp_events_free(&e);
    return 0;
}
