/* Sets of AEDAT recordings: labels and lists of gestures, folders of classes, and what is refused. */
#include "aedat_support.h"

/* ---- labels and lists ---- */

Test(aedat_sets, gesture_labels)
{
    static const char good[] = "class,startTime_usec,endTime_usec\r\n1,80048239,85092709\r\n\r\n 11 , "
                               "5,6\n3,4000000000000,4000000000001";
    static const struct {
        const char *text, *expect;
    } bad[] = {{"", "byte 0: no row"},
               {"class,startTime_usec,endTime_usec\n", "byte 34: no row"},
               {"class,s,e\n12,1,2\n", ":2: class 12"},
               {"class,s,e\n1,1,2\n0,1,2\n", ":3: class 0"},
               {"class,s,e\n1,5,5\n", ":2: the gesture ends at 5"},
               {"class,s,e\n1,5\n", ":2: \"1,5\": not class"},
               {"class,s,e\n1,5,6,7\n", ":2: \"1,5,6,7\""},
               {"class,s,e\n1,-5,6\n", ":2: \"1,-5,6\""},
               {"class,s,e\n1,99999999999999999999,6\n", ":2:"},
               {"class,s,e\n\x01\x02\xff\n", ":2:"},
               {"\"1\",0,4\n2,4,8\n", ":1: \"\"1\",0,4\""},
               {"-1,0,4\n2,4,8\n", ":1: \"-1,0,4\""},
               {"1,0,4x\n2,4,8\n", ":1: \"1,0,4x\""},
               {"class,s,e\nclass,s,e\n1,5,6\n", ":2: \"class,s,e\""}};
    sp_gesture_row *rows = NULL;
    size_t n = 0;
    sp_error err = {0};
    cr_assert_eq(sp_gesture_labels_parse("l.csv", good, sizeof good - 1, &rows, &n, &err), SP_OK, "%s",
                 err.text);
    cr_assert_eq(n, 3);
    cr_assert(rows[0].label == 0 && rows[0].range.start == 80048239 && rows[0].range.end == 85092709);
    cr_assert(rows[1].label == 10 && rows[1].range.end == 6);
    cr_assert(rows[2].range.start == 4000000000000);
    sp_free(rows);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(sp_gesture_labels_parse("l.csv", bad[i].text, strlen(bad[i].text), &rows, &n, &err),
                     SP_E_DATA);
        cr_assert_null(rows);
        cr_assert(strstr(err.text, bad[i].expect) && strstr(err.text, "l.csv"), "no \"%s\" in \"%s\"",
                  bad[i].expect, err.text);
    }
}

/* A byte order mark, blank lines and a heading take no row away. */
Test(aedat_sets, gesture_labels_keep_their_first_row)
{
    static const char *const texts[] = {"1,0,4\n2,4,8\n",
                                        "\xef\xbb\xbf"
                                        "1,0,4\n2,4,8\n",
                                        "\xef\xbb\xbf\"class\",\"start\",\"end\"\r\n1,0,4\n2,4,8\n",
                                        "\n\nclass,s,e\n1,0,4\n2,4,8\n"};
    static const int lines[] = {1, 1, 2, 4};
    for (size_t i = 0; i < 4; i++) {
        sp_gesture_row *rows = NULL;
        size_t n = 0;
        sp_error err = {0};
        cr_assert_eq(sp_gesture_labels_parse("l.csv", texts[i], strlen(texts[i]), &rows, &n, &err), SP_OK,
                     "%s", err.text);
        cr_assert(n == 2 && rows[0].label == 0 && rows[0].line == lines[i] && rows[1].label == 1, "%zu", i);
        sp_free(rows);
    }
}

static void make_gestures(const char *trials)
{
    static const char *const labels = "class,s,e\n2,2147483632,2147483647\n11,2147483647,2147483654\n3,1,2\n";
    made m = {.n = 0};
    scratch_make();
    make31(&m);
    scratch_write("set/DvsGesture/user01_x.aedat", m.b, m.n);
    scratch_write("set/DvsGesture/user01_x_labels.csv", labels, strlen(labels));
    scratch_write("set/DvsGesture/trials_to_train.txt", trials, strlen(trials));
}

static sp_status open_events(const char *name, const char *path, int train, sp_dataset **ds, sp_error *err)
{
    sp_dataset_options o = {
        .name = name, .path = path, .train = train, .frames = 2, .events = {.no_cache = true}};
    memset(err, 0, sizeof *err);
    return sp_dataset_open(&o, ds, err);
}

Test(aedat_sets, gesture_lists)
{
    static const struct {
        const char *trials, *expect;
    } bad[] = {{"", "byte 0: names no recording"},
               {"user02_x.aedat\n", "user02_x.aedat: no such file"},
               {"../user01_x.aedat\n", "byte 0: \"../user01_x.aedat\""},
               {"user01_x.aedat\nreadme.txt\n", "byte 15: \"readme.txt\""}};
    sp_dataset *ds;
    sp_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_gestures(bad[i].trials);
        cr_assert_eq(open_events("dvs128-gesture", scratch_path("set"), 1, &ds, &err), SP_E_DATA, "%zu", i);
        cr_assert_not_null(strstr(err.text, bad[i].expect), "no \"%s\" in \"%s\"", bad[i].expect, err.text);
        scratch_remove();
    }
    make_gestures("\xef\xbb\xbfuser01_x.aedat\r\n\r\n");
    cr_assert_eq(open_events("dvs128-gesture", scratch_path("set"), 0, &ds, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "trials_to_test.txt") && strstr(err.text, "DvsGesture.tar.gz"), "%s",
              err.text);
    cr_assert_eq(open_events("dvs128-gesture", scratch_path("set"), 1, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 3 && ds->info.classes == 11 && ds->info.frames == 2 &&
              ds->info.channels == 2 && ds->info.height == 128 && ds->info.width == 128);
    {
        static float frames[2 * 128 * 128 * 2];
        int32_t label;
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, frames, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, 1);
        /* one event for two frames: the last one takes it */
        cr_assert_eq(frames[128 * 128 * 2 + (6 * 128 + 5) * 2 + 1], 1.0f);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, frames, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, 10);
        cr_assert_eq(frames[127 * 2], 1.0f);
        cr_assert_eq(frames[128 * 128 * 2 + 127 * 128 * 2 + 1], 1.0f);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 2}, frames, &label, &err), SP_E_DATA);
        cr_assert(strstr(err.text, "user01_x_labels.csv:4: ") && strstr(err.text, "no event from 1 to 2"),
                  "%s", err.text);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 3}, frames, &label, &err), SP_E_DATA);
        scratch_write("set/DvsGesture/user01_x.aedat", "#!AER-DAT3.1\n#", 14);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, frames, &label, &err), SP_E_DATA);
        cr_assert(strstr(err.text, "user01_x.aedat") && strstr(err.text, "byte 14"), "%s", err.text);
    }
    sp_dataset_close(&ds);
    scratch_remove();
}

/* ---- sets ---- */

static float *get_sample(const sp_dataset *ds, size_t i, int32_t *label, double *sums)
{
    size_t n = (size_t)ds->info.frames * (size_t)ds->info.height * (size_t)ds->info.width * 2;
    float *x = malloc(n * sizeof *x);
    sp_error err = {0};
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, label, &err), SP_OK, "%s", err.text);
    sums[0] = sums[1] = 0.0;
    for (size_t k = 0; k < n; k++)
        sums[k % 2] += (double)x[k];
    return x;
}

Test(aedat_sets, real_gesture_folder)
{
    table t;
    sp_dataset *ds[2];
    sp_error err;
    int rows = 0;
    NEEDS_SHARED("aedat31");
    for (int train = 0; train < 2; train++) {
        cr_assert_eq(open_events("dvs128-gesture", SHARED "/aedat31", train, &ds[train], &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(ds[train]->info.count, 6);
    }
    t = table_open(SHARED "/aedat31/EVENTS.tsv");
    while (table_next(&t)) {
        int train = strncmp(t.column[0], "user01", 6) == 0;
        int32_t label;
        double sums[2];
        if (t.n != 6 || strncmp(t.column[0], "user", 4) != 0)
            continue;
        free(get_sample(ds[train], strtoull(t.column[1], NULL, 10), &label, sums));
        cr_assert_eq(label + 1, atoi(t.column[2]));
        cr_assert_eq(sums[0] + sums[1], atof(t.column[3]));
        cr_assert_eq(sums[1], atof(t.column[4]), "channel 1 has the ON events");
        rows++;
    }
    cr_assert_eq(rows, 12);
    sp_dataset_close(&ds[0]);
    sp_dataset_close(&ds[1]);
}

Test(aedat_sets, real_class_folders)
{
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    double sums[2];
    NEEDS_SHARED("dvs128-objects");
    cr_assert_eq(open_events("aedat-folder", SHARED "/dvs128-objects", 1, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 6 * 21 && ds->info.classes == 6, "%zu", ds->info.count);
    for (size_t i = 0; i < 12; i++) {
        free(get_sample(ds, i, &label, sums));
        cr_assert_eq(label, (int32_t)(i % 6), "any beginning is balanced");
        if (i == 0) /* box_0: 5977 events, 2660 with bit 0 set, which become polarity 0 */
            cr_assert(sums[0] == 2660.0 && sums[0] + sums[1] == 5977.0, "%g %g", sums[0], sums[1]);
        if (i == 6) /* box_1, not box_10 */
            cr_assert(sums[0] == 3034.0 && sums[0] + sums[1] == 6890.0, "%g %g", sums[0], sums[1]);
    }
    sp_dataset_close(&ds);
    cr_assert_eq(open_events("aedat-folder", SHARED "/dvs128-objects", 0, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 6 * 3);
    free(get_sample(ds, 0, &label, sums)); /* box_21 */
    cr_assert_eq(sums[0] + sums[1], 4901.0, "%g", sums[0] + sums[1]);
    sp_dataset_close(&ds);
}

static char heard[4096];

static void listen(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    if (level == SP_LOG_WARNING)
        snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s\n", text);
}

/* Endings in capitals, invalid events and special ones, a folder without recordings, a class too small to
 * train. */
Test(aedat_sets, folders_of_all_sorts)
{
    static float frames[2 * 128 * 128 * 2];
    char folder[600];
    int32_t label;
    made old = {.n = 0}, invalid = {.n = 0}, silent = {.n = 0};
    sp_dataset *ds;
    sp_error err;
    made_text(&old, header2);
    for (uint32_t k = 0; k < 4; k++)
        made_aedat2(&old, k, 0, 0, k);
    made_text(&invalid, header31);
    made_packet(&invalid, 1, 8, 0, 2, 2);
    made_little(&invalid, 0, 8);
    made_little(&invalid, 0, 8);
    made_text(&silent, header31);
    made_packet(&silent, 1, 8, 0, 0, 0);
    scratch_make();
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    scratch_write("set/a/0.AEDAT", old.b, old.n);
    scratch_write("set/a/1.Aedat", invalid.b, invalid.n);
    scratch_write("set/a/2.aedat", invalid.b, invalid.n);
    scratch_write("set/a/3.aedat", silent.b, silent.n);
    scratch_write("set/a/4.aedat", old.b, old.n);
    scratch_write("set/b/0.AEDAT", old.b, old.n);
    scratch_write("set/c/readme.txt", "x", 1);
    sp_log_install(listen, NULL);
    cr_assert_eq(open_events("aedat-folder", folder, 1, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 4 && ds->info.classes == 2, "%zu", ds->info.count);
    cr_assert(strstr(heard, "no classes: c\n") && strstr(heard, "1 of 2 classes have no training sample: 1"),
              "%s", heard);
    heard[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, frames, &label, &err), SP_OK, "%s",
                     err.text);
    cr_assert_not_null(strstr(heard, "1.Aedat: 1 of 1 packets mark all of their events as invalid"), "%s",
                       heard);
    cr_assert_null(strstr(heard, "2.aedat:"), "said once: %s", heard);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 3}, frames, &label, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "a/3.aedat: a recording without any event"), "%s", err.text);
    sp_dataset_close(&ds);
    sp_log_install(NULL, NULL);
    scratch_remove();
}

static void make_classes(int per_class)
{
    static const char *const names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
    scratch_make();
    for (unsigned c = 0; c < 10; c++) {
        for (int i = 0; i < per_class; i++) {
            char name[128];
            made m = {.n = 0};
            made_text(&m, header2);
            for (int k = 0; k <= i; k++) /* so many events tell which file it is */
                made_aedat2(&m, c, 0, 0, (uint32_t)k);
            snprintf(name, sizeof name, "set/%s/cifar10_%s_%d.aedat", names[c], names[c], i);
            scratch_write(name, m.b, m.n);
        }
    }
}

Test(aedat_sets, cifar10_dvs_splits_each_class_by_number)
{
    sp_dataset_options o = {.name = "cifar10-dvs", .frames = 1, .events = {.no_cache = true}};
    sp_dataset *ds;
    sp_error err = {0};
    char folder[600];
    make_classes(20);
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    for (o.train = 0; o.train < 2; o.train++) {
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->info.count, o.train ? 180 : 20);
        for (size_t i = 0; i < ds->info.count; i++) {
            int32_t label;
            double sums[2];
            float *x = get_sample(ds, i, &label, sums);
            cr_assert_eq(label, (int32_t)(i % 10));
            cr_assert_eq(sums[1], (double)((o.train ? 0 : 18) + i / 10 + 1));
            cr_assert_eq(x[(127 - label) * 2 + 1], (float)sums[1], "x is 127 - x_raw, p is 1 - p_raw");
            free(x);
        }
        sp_dataset_close(&ds);
    }
    o.train = 0;
    o.events.split = 0.5;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 100);
    sp_dataset_close(&ds);
    o.events.split = 1.0;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 200);
    sp_dataset_close(&ds);
    unlink(scratch_path("set/dog/cifar10_dog_3.aedat"));
    cr_assert_eq(rename(scratch_path("set/frog"), scratch_path("set/frogs")), 0);
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "set/frog:"), "%s", err.text);
    scratch_remove();
}

Test(aedat_sets, folders_of_aedat4_are_refused_by_name)
{
    static const char *const files[] = {"set/a/1.aedat4", "set/1.aedat4", "set/airplane/1.aedat4"};
    for (int i = 0; i < 3; i++) {
        sp_dataset *ds = NULL;
        sp_error err;
        char folder[600];
        scratch_make();
        scratch_write(files[i], "#!AER-DAT4.0\r\n", 14);
        snprintf(folder, sizeof folder, "%s", scratch_path("set"));
        cr_assert_eq(open_events(i < 2 ? "aedat-folder" : "cifar10-dvs", folder, 1, &ds, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "AEDAT 4"), "%s", err.text);
        scratch_remove();
    }
}

Test(aedat_sets, options_that_do_not_go_together)
{
    static const struct {
        sp_dataset_options o;
        const char *expect;
    } cases[] = {
        {{.name = "dvs128-gesture", .frames = 4, .events = {.orientation = SP_ORIENT_SLTT}},
         "events.orientation"},
        {{.name = "n-mnist", .frames = 4, .events = {.split = 0.5}}, "events.split"},
        {{.name = "cifar10-dvs", .frames = 4, .events = {.split = 1.5}}, "events.split is 1.5"},
        {{.name = "cifar10-dvs", .frames = 4, .events = {.window = 0.1}}, "by: time"},
        {{.name = "cifar10-dvs", .frames = 4, .events = {.resize = SP_RESIZE_PIL}}, "no size"},
        {{.name = "cifar10-dvs"}, "frames is 0"},
        {{.name = "cifar10-dvs", .frames = -1}, "frames is -1"},
        {{.name = "cifar10-dvs", .frames = 4, .size = 5000}, "size is 5000"},
        {{.name = "cifar10-dvs", .frames = 4, .encoding = SP_ENCODE_RATE}, "encode"},
        {{.name = "cifar10-dvs", .frames = 4, .augment = {.cutout = 0.5}}, "cutout"},
        {{.name = "shd", .frames = 4, .augment = {.roll = 2}}, "roll"},
        {{.name = "shd", .frames = 4, .size = 48}, "size"},
        {{.name = "aedat-folder", .frames = 4}, "needs a path"},
        {{.name = "synthetic", .events = {.by = SP_BY_TIME}}, "has no events"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset *ds = NULL;
        sp_error err = {0};
        cr_assert_eq(sp_dataset_open(&cases[i].o, &ds, &err), SP_E_CONFIG, "%zu: %s", i, err.text);
        cr_assert_null(ds);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "no \"%s\" in \"%s\"", cases[i].expect,
                           err.text);
    }
}
