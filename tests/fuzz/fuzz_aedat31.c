/* libFuzzer target: host/data/aedat31.c, and the frames that its events make. */
#include "data/events.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static float frames[4 * SP_DVS128_SIDE * SP_DVS128_SIDE * 2];
    sp_frame_shape shape = {4, SP_DVS128_SIDE, SP_DVS128_SIDE, 2};
    sp_events e = {0};
    sp_packet_counts packets = {0};
    sp_error err = {0};
    sp_time_range range = {1000, 2000};
    sp_status st = sp_aedat31_parse("fuzz", bytes, n, n % 2 ? &range : NULL, &e, &packets, &err);
    if (st == SP_OK) {
        sp_events_to_frames(e.items, e.n, &shape, SP_BY_COUNT, 0, 0, frames);
        sp_events_to_frames(e.items, e.n, &shape, SP_BY_TIME, 0, 0, frames);
    }
    fuzz_check(st, &err);
    sp_events_free(&e);
    return 0;
}
