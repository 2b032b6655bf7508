/* AEDAT 2.0 and 3.1: real recordings to the counts and sums that an independent parser found, files made here
 * to their events, and every kind of damage to an error that names file and byte. */
#include "aedat_support.h"

/* ---- real recordings ---- */

/* The address again, from an event in the camera's own coordinates. */
static int64_t address_of(const sp_event *e)
{
    return (int64_t)e->y << 8 | (int64_t)e->x << 1 | e->p;
}

static void check_aedat2(const char *folder, const table *t, size_t special)
{
    char path[1024];
    uint8_t *bytes = NULL;
    size_t n = 0, on = 0;
    sp_events e = {0};
    sp_error err = {0};
    sha256 s;
    snprintf(path, sizeof path, "%s/%s", folder, t->column[0]);
    cr_assert_eq(sp_recording_read(path, &bytes, &n, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_aedat_parse(path, bytes, n, SP_ORIENT_PLAIN, &e, &(sp_packet_counts){0}, &err), SP_OK,
                 "%s", err.text);
    cr_assert_eq(e.n + special, strtoull(t->column[2], NULL, 10), "%s: %zu events", path, e.n);
    cr_assert_eq(e.items[0].t, strtoll(t->column[3], NULL, 10), "%s", path);
    cr_assert_eq(e.items[e.n - 1].t, strtoll(t->column[4], NULL, 10), "%s", path);
    sha256_init(&s);
    for (size_t k = 0; k < e.n; k++) {
        on += e.items[k].p;
        sha256_add64(&s, address_of(&e.items[k]));
        sha256_add64(&s, e.items[k].t);
    }
    cr_assert_eq(on + special, strtoull(t->column[5], NULL, 10), "%s", path);
    if (!special)
        cr_assert_str_eq(sha256_end(&s), t->column[6], "%s", path);
    sp_events_free(&e);
    sp_free(bytes);
}

Test(aedat, reads_real_dvs128_recordings)
{
    table t;
    int n = 0;
    NEEDS_SHARED("aedat2");
    t = table_open(SHARED "/aedat2/EVENTS.tsv");
    while (table_next(&t)) {
        /* DAVIS addresses are refused (next test); bit 15 of 318 addresses of one file marks special events
         */
        if (strncmp(t.column[0], "davis", 5) == 0 || strncmp(t.column[0], "synth", 5) == 0)
            continue;
        check_aedat2(SHARED "/aedat2", &t, strcmp(t.column[0], "rewritten_rotated.aedat") == 0 ? 318 : 0);
        n++;
    }
    cr_assert_eq(n, 8);
    t = table_open(SHARED "/dvs128-objects/EVENTS.tsv");
    for (n = 0; table_next(&t); n++)
        check_aedat2(SHARED "/dvs128-objects", &t, 0);
    cr_assert_eq(n, 6 * 24);
}

Test(aedat, refuses_other_cameras_and_versions)
{
    static const struct {
        const char *path, *expect;
    } files[] = {{SHARED "/aedat2/davis240c_imu_translBoxes.aedat", "DAVIS"},
                 {SHARED "/aedat2/synth_translatingBarX.aedat", "byte 185: address"},
                 {SHARED "/aedat4/sample.aedat4", "AEDAT 4"}};
    NEEDS_SHARED("aedat4");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        uint8_t *bytes = NULL;
        size_t n = 0;
        sp_events e = {0};
        sp_error err = {0};
        cr_assert_eq(sp_recording_read(files[i].path, &bytes, &n, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_aedat_parse(files[i].path, bytes, n, SP_ORIENT_DEFAULT, &e, &(sp_packet_counts){0},
                                    &err),
                     SP_E_DATA);
        cr_assert_not_null(strstr(err.text, files[i].expect), "%s", err.text);
        cr_assert_not_null(strstr(err.text, files[i].path), "%s", err.text);
        sp_events_free(&e);
        sp_free(bytes);
    }
}

/* Row k of the labels beside a recording. */
static sp_gesture_row label_row(const char *recording, size_t k)
{
    char path[1024];
    uint8_t *text = NULL;
    size_t n = 0, n_rows = 0;
    sp_gesture_row *rows, row;
    sp_error err = {0};
    snprintf(path, sizeof path, SHARED "/aedat31/%.*s_labels.csv", (int)(strlen(recording) - 6), recording);
    cr_assert_eq(sp_recording_read(path, &text, &n, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_gesture_labels_parse(path, (char *)text, n, &rows, &n_rows, &err), SP_OK, "%s", err.text);
    cr_assert_lt(k, n_rows);
    row = rows[k];
    sp_free(rows);
    sp_free(text);
    return row;
}

/* A row of a whole file has 8 columns, one of a labelled part 6. */
static void check_aedat31(const table *t)
{
    char path[1024];
    uint8_t *bytes = NULL;
    size_t n = 0, on = 0;
    sp_packet_counts packets = {0};
    bool whole = t->n == 9;
    sp_gesture_row row = {0};
    sp_events e = {0};
    sp_error err = {0};
    snprintf(path, sizeof path, SHARED "/aedat31/%s", t->column[0]);
    cr_assert_eq(sp_recording_read(path, &bytes, &n, &err), SP_OK, "%s", err.text);
    if (!whole) {
        row = label_row(t->column[0], strtoull(t->column[1], NULL, 10));
        cr_assert_eq(row.label + 1, atoi(t->column[2]));
    }
    cr_assert_eq(sp_aedat31_parse(path, bytes, n, whole ? NULL : &row.range, &e, &packets, &err), SP_OK, "%s",
                 err.text);
    for (size_t k = 0; k < e.n; k++)
        on += e.items[k].p;
    cr_assert_eq(e.n, strtoull(t->column[3], NULL, 10), "%s: %zu", path, e.n);
    cr_assert_eq(on, strtoull(t->column[whole ? 5 : 4], NULL, 10), "%s", path);
    cr_assert_str_eq(hash_of_events(&e), t->column[whole ? 8 : 5], "%s", path);
    if (whole) {
        cr_assert_eq(packets.all, strtoull(t->column[1], NULL, 10), "%s", path);
        cr_assert_eq(packets.polarity, strtoull(t->column[2], NULL, 10), "%s", path);
        cr_assert_eq(e.items[0].t, strtoll(t->column[6], NULL, 10), "%s", path);
    }
    sp_events_free(&e);
    sp_free(bytes);
}

Test(aedat, reads_aedat31_with_overflow_and_special_packets)
{
    table t;
    int n = 0;
    NEEDS_SHARED("aedat31");
    t = table_open(SHARED "/aedat31/EVENTS.tsv");
    for (; table_next(&t); n++)
        check_aedat31(&t);
    cr_assert_eq(n, 6 + 21);
}

/* ---- files made here ---- */

Test(aedat, orientations)
{
    static const sp_orientation kinds[] = {SP_ORIENT_DEFAULT, SP_ORIENT_SLTT, SP_ORIENT_SPIKINGJELLY,
                                           SP_ORIENT_PLAIN};
    static const sp_event expect[][2] = {{{10, 124, 100, 0}, {11, 127, 0, 1}},
                                         {{10, 124, 100, 0}, {11, 127, 0, 1}},
                                         {{10, 27, 124, 0}, {11, 127, 127, 1}},
                                         {{10, 3, 100, 1}, {11, 0, 0, 0}}};
    made m = {.n = 0};
    made_text(&m, header2);
    made_aedat2(&m, 3, 100, 1, 10);
    made_aedat2(&m, 0, 0, 0, 11);
    for (int i = 0; i < 4; i++) {
        sp_events e = {0};
        sp_error err = {0};
        cr_assert_eq(sp_aedat_parse("made", m.b, m.n, kinds[i], &e, &(sp_packet_counts){0}, &err), SP_OK,
                     "%s", err.text);
        cr_assert_eq(e.n, 2);
        for (int k = 0; k < 2; k++) {
            const sp_event *g = &e.items[k], *w = &expect[i][k];
            cr_assert(g->t == w->t && g->x == w->x && g->y == w->y && g->p == w->p, "%d %d: %d %d %d", i, k,
                      g->x, g->y, g->p);
        }
        sp_events_free(&e);
    }
}

Test(aedat, header_ends_where_it_ends_and_the_clock_wraps)
{
    for (int end_line = 0; end_line < 2; end_line++) {
        made m = {.n = 0};
        sp_events e = {0};
        sp_error err = {0};
        made_text(&m, header2);
        if (end_line)
            made_text(&m, "#End Of ASCII Header\r\n");
        made_aedat2(&m, 1, 2, 0, 0xfffffff0u);
        made_aedat2(&m, 1, 2, 0, 0x00000010u);
        made_aedat2(&m, 1, 2, 0, 0x0000000fu); /* a little disorder is no wrap */
        cr_assert_eq(sp_aedat2_parse("made", m.b, m.n, SP_ORIENT_PLAIN, &e, &err), SP_OK, "%s", err.text);
        cr_assert_eq(e.n, 3);
        cr_assert_eq(e.items[0].t, 0xfffffff0ll);
        cr_assert_eq(e.items[1].t, 0x100000010ll);
        cr_assert_eq(e.items[2].t, 0x10000000fll);
        sp_events_free(&e);
    }
}

static sp_status parse2(const made *m, sp_events *e, sp_error *err)
{
    *e = (sp_events){0};
    *err = (sp_error){0};
    return sp_aedat2_parse("made", m->b, m->n, SP_ORIENT_PLAIN, e, err);
}

/* Events a few microseconds late belong to the time in front of the wrap, also when they come first. */
Test(aedat, late_events_do_not_wrap_the_clock)
{
    static const uint32_t times[] = {0xffffff00u, 0xfffffff0u, 0x10, 0xfffffffbu, 0x20, 0xfffffffcu, 0x30};
    static const int64_t expect[] = {0xffffff00,  0xfffffff0, 0x100000010, 0xfffffffb,
                                     0x100000020, 0xfffffffc, 0x100000030};
    made m = {.n = 0}, first = {.n = 0};
    sp_events e;
    sp_error err;
    made_text(&m, header2);
    for (size_t k = 0; k < 7; k++)
        made_aedat2(&m, 1, 2, 0, times[k]);
    cr_assert_eq(parse2(&m, &e, &err), SP_OK, "%s", err.text);
    for (size_t k = 0; k < 7; k++)
        cr_assert_eq(e.items[k].t, expect[k], "event %zu at %lld", k, (long long)e.items[k].t);
    sp_events_free(&e);
    made_text(&first, header2);
    made_aedat2(&first, 1, 2, 0, 3);
    made_aedat2(&first, 1, 2, 0, 0xfffffffeu);
    made_aedat2(&first, 1, 2, 0, 4);
    cr_assert_eq(parse2(&first, &e, &err), SP_OK, "%s", err.text);
    cr_assert(e.items[0].t == 3 && e.items[1].t == -2 && e.items[2].t == 4);
    sp_events_free(&e);
}

Test(aedat, special_events_are_no_pixels)
{
    made m = {.n = 0};
    sp_events e;
    sp_error err;
    made_text(&m, header2);
    made_aedat2(&m, 0, 128, 0, 5); /* bit 15 */
    cr_assert_eq(parse2(&m, &e, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "special events only"), "%s", err.text);
    sp_events_free(&e);
    made_aedat2(&m, 3, 4, 1, 6);
    made_aedat2(&m, 1, 255, 1, 7);
    cr_assert_eq(parse2(&m, &e, &err), SP_OK, "%s", err.text);
    cr_assert(e.n == 1 && e.items[0].x == 3 && e.items[0].y == 4 && e.items[0].t == 6);
    sp_events_free(&e);
}

Test(aedat, skips_packets_and_joins_the_clock)
{
    made m = {.n = 0};
    sp_packet_counts packets = {0};
    sp_events e = {0};
    sp_error err = {0};
    sp_time_range range = {0x7fffffff, 0x80000005ll};
    make31(&m);
    cr_assert_eq(sp_aedat31_parse("made", m.b, m.n, NULL, &e, &packets, &err), SP_OK, "%s", err.text);
    cr_assert(e.n == 3 && packets.all == 4 && packets.polarity == 2);
    cr_assert(e.items[0].t == 0x7ffffff0 && e.items[0].x == 5 && e.items[0].y == 6 && e.items[0].p == 1);
    cr_assert(e.items[1].t == 0x7fffffff && e.items[1].x == 127 && e.items[1].p == 0);
    cr_assert(e.items[2].t == 0x80000005ll && e.items[2].y == 127);
    e.n = 0;
    cr_assert_eq(sp_aedat31_parse("made", m.b, m.n, &range, &e, &packets, &err), SP_OK);
    cr_assert_eq(e.n, 1, "the start is in, the end is out");
    cr_assert_eq(e.items[0].t, 0x7fffffff);
    sp_events_free(&e);
}

/* x tells which events were taken: the packets have valid and invalid ones, invalid ones alone, none. */
Test(aedat, valid_bits_count_where_a_packet_has_some)
{
    made m = {.n = 0};
    sp_packet_counts packets = {0};
    sp_events e = {0};
    sp_error err = {0};
    made_text(&m, header31);
    made_packet(&m, 1, 8, 0, 3, 3);
    for (unsigned x = 0; x < 3; x++)
        made_little(&m, (uint64_t)x << 17 | (x == 1), 4), made_little(&m, x, 4);
    made_packet(&m, 1, 8, 0, 2, 2);
    for (unsigned x = 3; x < 5; x++)
        made_little(&m, (uint64_t)x << 17, 4), made_little(&m, x, 4);
    made_packet(&m, 1, 8, 0, 0, 0);
    cr_assert_eq(sp_aedat31_parse("made", m.b, m.n, NULL, &e, &packets, &err), SP_OK, "%s", err.text);
    cr_assert(e.n == 3 && e.items[0].x == 1 && e.items[1].x == 3 && e.items[2].x == 4);
    cr_assert(packets.polarity == 3 && packets.none_valid == 1);
    sp_events_free(&e);
}

/* ---- damage ---- */

/* Parses a copy that is exactly as long as it says, so that reading past the end is seen. */
static sp_status parse_copy(const uint8_t *bytes, size_t n, sp_error *err)
{
    uint8_t *copy = malloc(n ? n : 1);
    sp_events e = {0};
    sp_status st;
    cr_assert_not_null(copy);
    memcpy(copy, bytes, n);
    memset(err, 0, sizeof *err);
    st = sp_aedat_parse("some/file.aedat", copy, n, SP_ORIENT_DEFAULT, &e, &(sp_packet_counts){0}, err);
    cr_assert((st == SP_OK) == (err->text[0] == '\0'));
    cr_assert(st == SP_OK || strstr(err->text, "some/file.aedat"), "%s", err->text);
    cr_assert(st == SP_OK || strstr(err->text, "byte "), "%s", err->text);
    for (size_t k = 0; k < e.n; k++)
        cr_assert(e.items[k].x < 128 && e.items[k].y < 128 && e.items[k].p < 2);
    sp_events_free(&e);
    free(copy);
    return st;
}

Test(aedat, every_cut_is_noticed)
{
    made m2 = {.n = 0}, m31 = {.n = 0};
    size_t header = strlen(header2), header_31 = strlen(header31);
    sp_error err;
    made_text(&m2, header2);
    for (int k = 0; k < 5; k++)
        made_aedat2(&m2, 9, 9, 1, (uint32_t)k);
    make31(&m31);
    for (size_t n = 0; n < m2.n; n++) {
        /* whole events after the header are a shorter recording, nothing else is */
        bool whole = n > header && (n - header) % 8 == 0;
        cr_assert_eq(parse_copy(m2.b, n, &err), whole ? SP_OK : SP_E_DATA, "%zu: %s", n, err.text);
    }
    for (size_t n = 0; n < m31.n; n++) {
        static const size_t packet_bytes[] = {28 + 16, 28 + 8, 28 + 100};
        size_t edge = header_31;
        bool whole = false;
        for (int k = 0; k < 3; k++)
            whole = whole || n == (edge += packet_bytes[k]);
        cr_assert_eq(parse_copy(m31.b, n, &err), whole ? SP_OK : SP_E_DATA, "%zu: %s", n, err.text);
    }
}

typedef struct damage {
    const char *about;
    size_t at; /* in the file, or behind header31 where `made31` */
    int bytes;
    uint64_t value; /* little-endian */
    const char *expect[2];
} damage;

Test(aedat, damaged_packets)
{
    static const damage damages[] = {
        {"huge capacity", 16, 4, 0x7fffffff, {"truncated or damaged", "2147483647 events"}},
        {"negative capacity", 16, 4, 0xffffffff, {"truncated or damaged", "packet"}},
        {"huge events", 4, 4, 0x7fffffff, {"truncated or damaged", "2147483647 bytes"}},
        {"negative size", 4, 4, 0x80000000, {"truncated or damaged", "packet"}},
        {"negative overflow", 12, 4, 0xffffffff, {"truncated or damaged", "packet"}},
        {"events of 4 bytes", 4, 4, 4, {"polarity events of 4 bytes", "damaged"}},
        {"events of no bytes", 4, 4, 0, {"polarity events of 0 bytes", "damaged"}},
        {"time elsewhere", 8, 4, 0, {"time at 0", "damaged"}},
        {"more events than room", 20, 4, 3, {"3 events in room for 2", "damaged"}},
        {"x outside", 28, 4, 128u << 17 | 1, {"x 128", "outside"}},
        {"y outside", 28, 4, 200u << 2 | 1, {"y 200", "outside"}},
    };
    for (size_t k = 0; k < sizeof damages / sizeof *damages; k++) {
        const damage *d = &damages[k];
        size_t base = strlen(header31);
        made m = {.n = 0};
        char byte[32];
        sp_error err;
        make31(&m);
        for (int i = 0; i < d->bytes; i++)
            m.b[base + d->at + (size_t)i] = (uint8_t)(d->value >> 8 * i);
        cr_assert_eq(parse_copy(m.b, m.n, &err), SP_E_DATA, "%s", d->about);
        snprintf(byte, sizeof byte, "byte %zu:", base + (d->at == 28 ? 28 : 0));
        cr_assert(strstr(err.text, d->expect[0]) && strstr(err.text, d->expect[1]), "%s: %s", d->about,
                  err.text);
        cr_assert_not_null(strstr(err.text, byte), "%s: no \"%s\" in %s", d->about, byte, err.text);
    }
}

Test(aedat, damaged_headers)
{
    static const struct {
        const char *text, *expect;
    } cases[] = {
        {"", "empty (byte 0)"},
        {"#", "byte 0: does not begin"},
        {"JUNKJUNKJUNK", "not an AEDAT file"},
        {"#!AER-DAT1.0\r\n12345678", "version \"1.0\""},
        {"#!AER-DAT3.0\r\n12345678", "version \"3.0\""},
        {"#!AER-DAT4.0\r\n12345678", "AEDAT 4"},
        {"#!AER-DAT2.0\r\n", "without events"},
        {"#!AER-DAT2.0\r\n#End Of ASCII Header\r\n", "without events"},
        {"#!AER-DAT2.0\r\n# AEChip: some.Davis346\r\n12345678", "byte 14: recorded with a DAVIS"},
        {"#!AER-DAT2.0\r\n12345678", "byte 14: address 0x31323334"},
        {"#!AER-DAT2.0\r\n# no end of this line", "byte 35: the file ends inside a line"},
        {"#!AER-DAT3.1\r\nrubbish", "byte 14: the header has no #!END-HEADER"},
        {"#!AER-DAT3.1\r\n#Format: Serial-TS,Compressed\r\n#!END-HEADER\r\n", "byte 14: \"#Format: "
                                                                              "Serial-TS,Compressed\""},
        {"#!AER-DAT3.1\r\n#!END-HEADER\r\n", "byte 28: the file ends after its header"},
        {"#!AER-DAT3.1\r\n# more", "byte 20: the file ends inside its header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_error err;
        cr_assert_eq(parse_copy((const uint8_t *)cases[i].text, strlen(cases[i].text), &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "no \"%s\" in \"%s\"", cases[i].expect,
                           err.text);
    }
}

/* Headers of 17 MB: of many lines, and of one. */
Test(aedat, endless_headers)
{
    enum { LARGE = 17 << 20 };
    uint8_t *bytes = malloc(LARGE);
    cr_assert_not_null(bytes);
    for (int kind = 0; kind < 4; kind++) {
        sp_error err;
        for (size_t k = 0; k < LARGE; k++)
            bytes[k] = kind % 2 ? '#' : k % 64 == 63 ? '\n' : '#';
        bytes[LARGE - 1] = '\n';
        memcpy(bytes, kind / 2 ? "#!AER-DAT3.1\n#" : "#!AER-DAT2.0\n#", 14);
        cr_assert_eq(parse_copy(bytes, LARGE, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "goes on past"), "%s", err.text);
    }
    free(bytes);
}

Test(aedat, random_bytes_and_random_changes)
{
    uint64_t state = 7;
    for (int k = 0; k < 3000; k++) {
        made m = {.n = 0};
        sp_error err;
        if (k % 3 == 0) {
            make31(&m);
        } else {
            made_text(&m, k % 3 == 1 ? header2 : header31);
            for (int i = 0; i < 200; i++)
                made_little(&m, noise(&state) % 4 ? 0 : noise(&state), 1);
        }
        for (int i = 0; k % 3 == 0 && i < 3; i++)
            m.b[noise(&state) % m.n] = (uint8_t)noise(&state);
        parse_copy(m.b, m.n, &err);
    }
}
