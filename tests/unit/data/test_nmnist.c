/* N-MNIST: real recordings to the counts and sums of an independent parser, made ones to their events,
 * damage. */
#include "event_support.h"

static sp_status parse(const char *path, sp_events *e, sp_error *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    sp_status st;
    cr_assert_eq(sp_recording_read(path, &bytes, &n, err), SP_OK, "%s", err->text);
    st = sp_nmnist_parse(path, bytes, n, e, err);
    sp_free(bytes);
    return st;
}

Test(nmnist, reads_real_recordings)
{
    table t;
    int n = 0;
    NEEDS_SHARED("nmnist");
    t = table_open(SHARED "/nmnist/EVENTS.tsv");
    for (; table_next(&t); n++) {
        char path[1024];
        size_t on = 0;
        sp_events e = {0};
        sp_error err = {0};
        snprintf(path, sizeof path, SHARED "/nmnist/%s", t.column[0]);
        cr_assert_eq(parse(path, &e, &err), SP_OK, "%s", err.text);
        for (size_t k = 0; k < e.n; k++)
            on += e.items[k].p;
        cr_assert_eq(e.n, strtoull(t.column[1], NULL, 10), "%s", path);
        cr_assert_eq(on, strtoull(t.column[2], NULL, 10), "%s", path);
        cr_assert(e.items[0].t == atoll(t.column[3]) && e.items[e.n - 1].t == atoll(t.column[4]), "%s", path);
        cr_assert_str_eq(hash_of_events(&e), t.column[5], "%s", path);
        sp_events_free(&e);
    }
    cr_assert_eq(n, 681);
}

Test(nmnist, real_folder_as_a_set)
{
    sp_dataset_options o = {.name = "n-mnist", .path = SHARED "/nmnist", .frames = 5};
    NEEDS_SHARED("nmnist");
    for (o.train = 0; o.train < 2; o.train++) {
        static float frames[5 * 34 * 34 * 2];
        sp_dataset *ds = NULL;
        sp_error err = {0};
        double sum = 0.0;
        int32_t label;
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->info.count, o.train ? 620 : 60);
        cr_assert(ds->info.classes == 10 && ds->info.frames == 5 && ds->info.channels == 2 &&
                  ds->info.height == 34 && ds->info.width == 34);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, frames, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, 0);
        for (size_t k = 0; k < 5 * 34 * 34 * 2; k++)
            sum += (double)frames[k];
        if (!o.train)
            cr_assert_eq(sum, 5293.0, "Test/0/00004.bin: %g", sum);
        for (size_t i = 0; i < ds->info.count; i += 7)
            cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, frames, &label, &err), SP_OK, "%s",
                         err.text);
        sp_dataset_close(&ds);
    }
}

Test(nmnist, bits_and_overflow_records)
{
    made m = {.n = 0};
    sp_events e = {0};
    sp_error err = {0};
    made_nmnist(&m, 33, 0, 1, 0x7fffff);
    made_nmnist(&m, 0, 33, 0, 5);
    made_nmnist(&m, 255, 240, 1, 0);
    made_nmnist(&m, 1, 2, 1, 6);
    cr_assert_eq(sp_nmnist_parse("n", m.b, m.n, &e, &err), SP_OK, "%s", err.text);
    cr_assert_eq(e.n, 3);
    cr_assert(e.items[0].x == 33 && e.items[0].y == 0 && e.items[0].p == 1 && e.items[0].t == 0x7fffff);
    cr_assert(e.items[1].x == 0 && e.items[1].y == 33 && e.items[1].p == 0 && e.items[1].t == 5);
    cr_assert(e.items[2].t == 6 + 8192);
    sp_events_free(&e);
}

Test(nmnist, damage)
{
    made good = {.n = 0};
    uint64_t state = 3;
    sp_events e = {0};
    sp_error err;
    for (unsigned k = 0; k < 6; k++)
        made_nmnist(&good, k, 33 - k, k & 1, 100 * k);
    for (size_t n = 0; n < good.n; n++) {
        uint8_t *copy = malloc(n + 1);
        memset(&err, 0, sizeof err);
        memcpy(copy, good.b, n);
        cr_assert_eq(sp_nmnist_parse("a/b.bin", copy, n, &e, &err), n && n % 5 == 0 ? SP_OK : SP_E_DATA,
                     "%zu", n);
        cr_assert((n && n % 5 == 0) || (strstr(err.text, "a/b.bin") && strstr(err.text, "byte ")), "%s",
                  err.text);
        free(copy);
    }
    for (int k = 0; k < 2; k++) {
        made m = good;
        m.b[10 + k] = 34;
        cr_assert_eq(sp_nmnist_parse("a/b.bin", m.b, m.n, &e, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "byte 10: an event at"), "%s", err.text);
    }
    {
        made m = {.n = 0};
        made_nmnist(&m, 0, 240, 0, 0);
        cr_assert_eq(sp_nmnist_parse("a/b.bin", m.b, m.n, &e, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "no event"), "%s", err.text);
    }
    for (int k = 0; k < 2000; k++) {
        uint8_t *bytes = malloc(25);
        e.n = 0;
        for (int i = 0; i < 25; i++)
            bytes[i] = (uint8_t)(noise(&state) % (k % 2 ? 256 : 40));
        if (sp_nmnist_parse("a/b.bin", bytes, 25, &e, &err) == SP_OK)
            for (size_t i = 0; i < e.n; i++)
                cr_assert(e.items[i].x < 34 && e.items[i].y < 34 && e.items[i].p < 2);
        free(bytes);
    }
    sp_events_free(&e);
}

Test(nmnist, folder_with_a_damaged_file)
{
    sp_dataset_options o = {.name = "n-mnist", .frames = 2};
    made m = {.n = 0};
    static float frames[2 * 34 * 34 * 2];
    int32_t label;
    sp_dataset *ds = NULL;
    sp_error err = {0};
    char folder[600];
    scratch_make();
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "no test split in") && strstr(err.text, "Test.zip"), "%s", err.text);
    made_nmnist(&m, 1, 2, 1, 6);
    for (int digit = 0; digit < 10; digit++) {
        char name[64];
        snprintf(name, sizeof name, "set/Test/%d/0000%d.bin", digit, digit + 1);
        if (digit == 9) {
            cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
            cr_assert_not_null(strstr(err.text, "Test/9"), "%s", err.text);
        }
        scratch_write(name, m.b, m.n - (digit == 4));
    }
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 10);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 3}, frames, &label, &err), SP_OK);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 4}, frames, &label, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "Test/4/00005.bin") && strstr(err.text, "byte 0"), "%s", err.text);
    sp_dataset_close(&ds);
    scratch_remove();
}

Test(nmnist, survives_every_failing_allocation)
{
    sp_dataset_options o = {.name = "n-mnist", .frames = 2, .size = 20, .train = 1, .augment = {.roll = 2}};
    made m = {.n = 0};
    static float frames[2 * 20 * 20 * 2];
    int32_t label;
    char folder[600];
    int64_t k = 0;
    sp_status st;
    scratch_make();
    made_nmnist(&m, 1, 2, 1, 6);
    for (int digit = 0; digit < 10; digit++) {
        char name[64];
        snprintf(name, sizeof name, "set/Train/%d/0000%d.bin", digit, digit + 1);
        scratch_write(name, m.b, m.n);
    }
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    do {
        sp_dataset *ds = NULL;
        sp_error err = {0};
        sp_mem_fail_at(++k);
        st = sp_dataset_open(&o, &ds, &err);
        if (st == SP_OK)
            st = ds->get(ds, (sp_sample_request){.index = 3}, frames, &label, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || err.text[0]);
        sp_dataset_close(&ds);
    } while (k < 300); /* a search for the test part that fails is no error of the training part */
    cr_assert_eq(st, SP_OK);
    scratch_remove();
}
