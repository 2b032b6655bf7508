/* Recordings of DV (AEDAT 4) and Prophesee cameras (EVT 2.0 and 3.0). The AEDAT 4 files of tests/fuzz/seeds
 * were written with Google's flatbuffers, lz4 and zstandard packages for Python, the RAW files word by word.
 */
#include <zlib.h>
#include "base/mem.h"
#include "data/events.h"
#include "support.h"

#define SEEDS SP_TEST_SOURCE_DIR "/tests/fuzz/seeds"

static sp_status read_file(const char *path, sp_events *out, sp_sensor *sensor, sp_error *err)
{
    memset(err, 0, sizeof *err);
    *out = (sp_events){0};
    return sp_recording_events(path, &(sp_recording_format){0}, out, sensor, err);
}

static void expect_event(const sp_event *e, int64_t t, int x, int y, int p)
{
    cr_assert(e->t == t && e->x == x && e->y == y && e->p == p, "%lld %d %d %d", (long long)e->t, e->x, e->y,
              e->p);
}

/* ---- AEDAT 4 ---- */

Test(recordings, aedat4_plain_and_compressed)
{
    static const char *const names[] = {"plain", "open", "lz4", "zstd"};
    for (int i = 0; i < 4; i++) {
        char path[1024];
        sp_events e;
        sp_sensor sensor = {0};
        sp_error err;
        snprintf(path, sizeof path, SEEDS "/aedat4/%s.aedat4", names[i]);
        sp_status st = read_file(path, &e, &sensor, &err);
        bool built = true;
#ifndef SP_WITH_LZ4
        built = built && i != 2;
#endif
#ifndef SP_WITH_ZSTD
        built = built && i != 3;
#endif
        if (built) {
            cr_assert_eq(st, SP_OK, "%s", err.text);
            cr_assert(e.n == 45 && sensor.height == 10 && sensor.width == 20);
            expect_event(&e.items[0], 1600000000000000, 0, 0, 1);
            expect_event(&e.items[39], 1600000000003900, 19, 9, 1);
            expect_event(&e.items[44], 1600000000010004, 15, 5, 0);
        } else {
            cr_assert_eq(st, SP_E_DATA);
            cr_assert_not_null(strstr(err.text, "built without it"), "%s", err.text);
        }
        sp_events_free(&e);
    }
}

static sp_status parse_aedat4(void *ctx, const uint8_t *bytes, size_t n, sp_error *err)
{
    sp_events e = {0};
    sp_status st = sp_aedat4_parse("x.aedat4", bytes, n, &e, NULL, err);
    (void)ctx;
    cr_assert(st == SP_OK || strstr(err->text, "x.aedat4: "), "%s", err->text);
    sp_events_free(&e);
    return st;
}

Test(recordings, damaged_aedat4)
{
    static const char *const names[] = {SEEDS "/aedat4/plain.aedat4", SEEDS "/aedat4/lz4.aedat4",
                                        SEEDS "/aedat4/zstd.aedat4"};
    for (int i = 0; i < 3; i++) {
        size_t n;
        uint8_t *bytes = read_whole(names[i], &n);
        cr_assert_not_null(bytes);
        damage(parse_aedat4, NULL, bytes, n - 10, 60, 300, 50); /* the table at the end is not read */
        free(bytes);
    }
}

/* Number, ON events and CRC-32 of (t, x, y, p) as a reader in Python finds them. */
Test(recordings, a_real_aedat4_file)
{
#ifdef SP_WITH_LZ4
    const char *path = REAL_DATA "/aedat4/sample.aedat4";
    sp_events e;
    sp_sensor sensor;
    sp_error err;
    uint32_t crc = 0;
    size_t on = 0;
    if (access(path, R_OK) != 0)
        cr_skip_test("no AEDAT 4 file");
    cr_assert_eq(read_file(path, &e, &sensor, &err), SP_OK, "%s", err.text);
    cr_assert(sensor.height == 240 && sensor.width == 320);
    for (size_t k = 0; k < e.n; k++) {
        uint8_t b[14];
        int16_t rest[3] = {(int16_t)e.items[k].x, (int16_t)e.items[k].y, (int16_t)e.items[k].p};
        memcpy(b, &e.items[k].t, 8);
        memcpy(b + 8, rest, 6);
        crc = (uint32_t)crc32(crc, b, sizeof b);
        on += e.items[k].p;
    }
    cr_assert(e.n == 111954 && on == 55023 && crc == 0xbb5d8889u, "%zu %zu %08x", e.n, on, (unsigned)crc);
    sp_events_free(&e);
#else
    cr_skip_test("built without LZ4");
#endif
}

/* ---- Prophesee ---- */

Test(recordings, evt2_by_hand)
{
    sp_events e;
    sp_sensor sensor;
    sp_error err;
    cr_assert_eq(read_file(SEEDS "/prophesee/evt2.raw", &e, &sensor, &err), SP_OK, "%s", err.text);
    cr_assert(e.n == 5 && sensor.height == 480 && sensor.width == 640);
    expect_event(&e.items[0], 5, 1, 2, 1);
    expect_event(&e.items[1], 70, 639, 479, 0);
    expect_event(&e.items[2], 71, 3, 4, 1);
    expect_event(&e.items[3], ((int64_t)1 << 34) - 30, 7, 8, 0);
    expect_event(&e.items[4], ((int64_t)1 << 34) + 90, 9, 10, 1); /* the counter has started again */
    sp_events_free(&e);
}

Test(recordings, evt3_by_hand)
{
    sp_events e;
    sp_sensor sensor;
    sp_error err;
    cr_assert_eq(read_file(SEEDS "/prophesee/evt3.raw", &e, &sensor, &err), SP_OK, "%s", err.text);
    cr_assert(e.n == 8 && sensor.height == 480 && sensor.width == 640, "%zu", e.n);
    expect_event(&e.items[0], 4101, 1, 2, 1);
    expect_event(&e.items[1], 4101, 100, 2, 0); /* a vector of 12, then of 8 */
    expect_event(&e.items[2], 4101, 111, 2, 0);
    expect_event(&e.items[3], 4101, 113, 2, 0);
    expect_event(&e.items[4], 4101, 119, 2, 0);
    expect_event(&e.items[5], 4103, 639, 479, 0);
    expect_event(&e.items[6], ((int64_t)4095 << 12) + 1, 5, 479, 0);
    expect_event(&e.items[7], ((int64_t)4096 << 12) + 2, 6, 479, 1);
    sp_events_free(&e);
}

Test(recordings, a_wrong_raw_file_says_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *expect;
    } cases[] = {{"", "no line"},
                 {"% evt 2.1\n% end\n", "EVT 2.1"},
                 {"% format EVT21;height=4;width=4\n% end\n", "EVT 21"},
                 {"% evt 4\n% end\n", "EVT 4"},
                 {"% evt 2.0\n% end\nabc", "last word has 3 of its 4"},
                 {"% evt 3.0\n% end\nabc", "last word has 1 of its 2"},
                 {"% evt 3.0", "header does not end"},
                 {"% format EVT3;height=2;width=2\n% end\n\x01\x80\x07\x20", "outside of the sensor of 2 x "
                                                                             "2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_events e = {0};
        sp_error err = {0};
        cr_assert_eq(sp_prophesee_parse("x.raw", (const uint8_t *)cases[i].text, strlen(cases[i].text), &e,
                                        NULL, &err),
                     SP_E_DATA, "case %zu", i);
        cr_assert(strstr(err.text, cases[i].expect) && strstr(err.text, "x.raw: "), "case %zu: %s", i,
                  err.text);
        sp_events_free(&e);
    }
}
