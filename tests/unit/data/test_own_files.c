/* A person's own files: class folders that are not divided, tables of file,label, recordings of a sensor of
 * any size, HDF5 arrays. */
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "data/array.h"
#include "data/events.h"
#include "data/file_list.h"
#include "support.h"

#define SEEDS SP_TEST_SOURCE_DIR "/tests/fuzz/seeds"

static char root[1024];

static void make(const char *commands)
{
    char command[4096];
    make_folder(root, sizeof root, "own");
    snprintf(command, sizeof command, "cd '%s' && P='%s/png/grey.png' E='%s/zip/events.npz' && %s", root,
             SEEDS, SEEDS, commands);
    cr_assert_eq(system(command), 0, "%s", command);
}

/* ---- tables ---- */

static sp_status parse(const char *text, sp_csv_part part, bool *divided, sp_file_list *out, sp_error *err)
{
    memset(err, 0, sizeof *err);
    *out = (sp_file_list){0};
    return sp_csv_parse("set/list.csv", text, strlen(text), part, SP_TARGETS_NONE, divided, out, err);
}

Test(own_files, tables_of_file_and_label)
{
    sp_file_list l;
    sp_error err;
    bool divided;
    cr_assert_eq(parse("a.png,3\nsub/b.png , 0\r\n \n\"say \"\"hi\"\", x.png\",1", SP_CSV_ALL, &divided, &l,
                       &err),
                 SP_OK, "%s", err.text);
    cr_assert(l.n == 3 && l.classes == 4 && !l.class_names && !divided);
    cr_assert_str_eq(l.items[0].path, "set/a.png");
    cr_assert_str_eq(l.items[1].path, "set/sub/b.png");
    cr_assert_str_eq(l.items[2].path, "set/say \"hi\", x.png");
    cr_assert(l.items[0].label == 3 && l.items[1].label == 0 && l.items[2].label == 1);
    sp_file_list_free(&l);
    cr_assert_eq(parse("\xef\xbb\xbf"
                       "Filename,Class,Split\n/abs/c.png,dog,val\nb.png,cat,train\nd.png,ant,train\n",
                       SP_CSV_TEST, &divided, &l, &err),
                 SP_OK, "%s", err.text);
    cr_assert(l.n == 1 && l.classes == 3 && divided && l.items[0].label == 2);
    cr_assert_str_eq(l.items[0].path, "/abs/c.png");
    cr_assert_str_eq(l.class_names[0], "ant");
    sp_file_list_free(&l);
}

Test(own_files, a_wrong_table_is_told_with_its_line)
{
    static const struct {
        const char *text, *expect;
    } cases[] = {{"", "list.csv:1: no line"},
                 {"file,label\n", "no line of file,label"},
                 {"a.png\n", "list.csv:1: not file,label"},
                 {"a.png,1\nb.png,\n", "list.csv:2: not file,label"},
                 {"a.png,1\n\n\nb.png,1,2,3\n", "list.csv:4: more than three"},
                 {"a.png,1,train\n", "list.csv:1: not file,label"},
                 {"a.png,1\n\"b.png,1\n", "list.csv:2: a quoted cell"},
                 {"\"a\"b,1\n", "list.csv:1: text follows"},
                 {"file,label,split\na.png,1,tset\n", "list.csv:2: the third column"},
                 {"file,size\na.png,1\n", "list.csv:1: the heading"},
                 {"a.png,cat\nb.png,dog\na.png,dog\n", "list.csv:3: a.png has the label \"dog\", and in line "
                                                       "1"},
                 {"a.png,1\nb.png,-1\n", "list.csv:2: the label -1 is no number"},
                 {"a.png,99999999999\nb.png,0\n", "list.csv:1: the label 99999999999"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_file_list l;
        sp_error err;
        cr_assert_eq(parse(cases[i].text, SP_CSV_ALL, NULL, &l, &err), SP_E_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "case %zu: %s", i, err.text);
        cr_assert(l.n == 0 && !l.items);
    }
}

Test(own_files, tables_of_file_and_numbers)
{
    static const struct {
        const char *text, *expect;
        sp_targets targets;
    } wrong[] = {{"file,split\na.png,train\n", "list.csv:1: the heading names no numbers",
                  SP_TARGETS_NUMBERS},
                 {"a.png,1,2\nb.png,1\n", "list.csv:2: not as many columns", SP_TARGETS_NUMBERS},
                 {"a.png,dog\n", "list.csv:1: a column is no number", SP_TARGETS_NUMBERS},
                 {"a.png,1e99\n", "row 1 has a target of inf", SP_TARGETS_NUMBERS},
                 {"a.png,1,0\nb.png,0,1.5\n", "row 2 has a target of 1.5", SP_TARGETS_LABELS},
                 {"file,a,split\na.png,1,tset\n", "list.csv:2: the last column", SP_TARGETS_NUMBERS},
                 {"", "no line of file,number", SP_TARGETS_NUMBERS}};
    const char *text = "file,width,height,split\na.png,1.5,-2,train\nb.png,3,4e-1,test\nc.png,0,1,train\n";
    sp_file_list l = {0};
    sp_error err = {0};
    bool divided;
    float row[2];
    cr_assert_eq(sp_csv_parse("set/list.csv", text, strlen(text), SP_CSV_TRAIN, SP_TARGETS_NUMBERS, &divided,
                              &l, &err),
                 SP_OK, "%s", err.text);
    cr_assert(l.n == 2 && l.n_targets == 2 && l.classes == 2 && divided && l.items[1].label == 0);
    cr_assert_str_eq(l.class_names[1], "height");
    cr_assert_str_eq(l.items[1].path, "set/c.png");
    sp_file_list_target(&l, 0, row);
    cr_assert(row[0] == 1.5f && row[1] == -2.0f);
    sp_file_list_target(&l, 1, row);
    cr_assert(row[0] == 0.0f && row[1] == 1.0f);
    sp_file_list_free(&l);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        err = (sp_error){0};
        cr_assert_eq(sp_csv_parse("set/list.csv", wrong[i].text, strlen(wrong[i].text), SP_CSV_ALL,
                                  wrong[i].targets, NULL, &l, &err),
                     SP_E_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, wrong[i].expect), "case %zu: %s", i, err.text);
        cr_assert(l.n == 0 && !l.items && !l.targets);
    }
}

/* ---- images ---- */

static sp_dataset_options images(const char *path, int train)
{
    return (sp_dataset_options){.name = "images", .path = path, .size = 8, .resize = 8, .train = train};
}

Test(own_files, class_folders_without_a_split)
{
    static float x[8 * 8 * 3];
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    make("mkdir cat dog notes && touch notes/readme && for i in $(seq 20); do cp \"$P\" cat/$i.png; cp "
         "\"$P\" "
         "dog/$i.png; done");
    for (int train = 0; train < 2; train++) {
        cr_assert_eq(open_set(images(root, train), &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->info.count, train ? 36 : 4);
        cr_assert(ds->info.classes == 2 && ds->info.split == 0.9);
        cr_assert_str_eq(sp_dataset_class(ds, 1), "dog");
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 3}, x, &label, &err), SP_OK, "%s", err.text);
        cr_assert_eq(label, 1);
        sp_dataset_close(&ds);
    }
    remove_folder(root);
}

Test(own_files, a_training_part_alone_is_divided_when_asked)
{
    sp_dataset_options o;
    sp_dataset *ds;
    sp_error err;
    make("mkdir -p train/a train/b && cp \"$P\" train/a/1.png && cp \"$P\" train/a/2.png && cp \"$P\" "
         "train/b/1.png && cp "
         "\"$P\" train/b/2.png");
    o = images(root, 0);
    cr_assert_eq(open_set(o, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "set data.split"), "%s", err.text);
    o.split = 0.5;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 2);
    sp_dataset_close(&ds);
    remove_folder(root);
    make("mkdir -p train/a val/a && cp \"$P\" train/a && cp \"$P\" val/a");
    o = images(root, 1), o.split = 0.5;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "split of its own"), "%s", err.text);
    remove_folder(root);
}

Test(own_files, a_table_of_images)
{
    static float x[8 * 8 * 3];
    char path[1100];
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    make("mkdir p && cp \"$P\" p/1.png && cp \"$P\" p/2.png && printf "
         "'file,label,split\\np/1.png,b,train\\np/2.png,a,test\\nlost.png,a,train\\n' > "
         "list.csv");
    snprintf(path, sizeof path, "%s/list.csv", root);
    cr_assert_eq(open_set(images(path, 1), &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 2 && ds->info.classes == 2);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, x, &label, &err), SP_OK, "%s", err.text);
    cr_assert_eq(label, 1);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "lost.png: cannot be opened"), "%s", err.text);
    sp_dataset_close(&ds);
    cr_assert_eq(open_set(images(path, 0), &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 1);
    sp_dataset_close(&ds);
    remove_folder(root);
}

/* ---- recordings ---- */

/* t 10, 20, 35, 35; x 0, 5, 7, 2; y 1, 3, 0, 4; p 1, 0, 1, 1 */
Test(own_files, recordings_of_arrays)
{
    float x[2 * 5 * 8 * 2];
    sp_dataset_options o = {.name = "events", .path = root, .frames = 2, .train = 1, .split = 0.5};
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    make("mkdir a b && for i in 1 2; do cp \"$E\" a/$i.npz; cp \"$E\" b/$i.npz; done");
    o.events.no_cache = true;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "data.events.sensor: [height, width], at least [5, 8]"), "%s",
                       err.text);
    o.events.sensor[0] = 5, o.events.sensor[1] = 8;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 2 && ds->info.frames == 2 && ds->info.height == 5 && ds->info.width == 8 &&
              ds->info.channels == 2 && ds->info.classes == 2);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_OK, "%s", err.text);
    for (int k = 0; k < 160; k++) {
        static const int hits[] = {(1 * 8 + 0) * 2 + 1, (3 * 8 + 5) * 2, 80 + 7 * 2 + 1,
                                   80 + (4 * 8 + 2) * 2 + 1};
        bool hit = k == hits[0] || k == hits[1] || k == hits[2] || k == hits[3];
        cr_assert_eq(x[k], hit ? 1.0f : 0.0f, "%d", k);
    }
    sp_dataset_close(&ds);
    o.events.bin = 3; /* 2 x 3 pixels */
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.height == 2 && ds->info.width == 3);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, x, &label, &err), SP_OK, "%s", err.text);
    cr_assert(x[1] == 1.0f && x[(3 + 1) * 2] == 1.0f && x[12 + 2 * 2 + 1] == 1.0f &&
              x[12 + 3 * 2 + 1] == 1.0f);
    sp_dataset_close(&ds);
    o.events.bin = 0, o.size = 4; /* not a square, but its frames are */
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.height == 4 && ds->info.width == 4);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, x, &label, &err), SP_OK, "%s", err.text);
    sp_dataset_close(&ds);
    o.size = 0, o.events.sensor[1] = 7;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, x, &label, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "event 3 is at x 7, y 0"), "%s", err.text);
    sp_dataset_close(&ds);
    remove_folder(root);
}

/* A key that a file has no use for is refused. */
Test(own_files, choices_of_recordings)
{
    static const struct {
        const char *file;
        sp_recording_format format;
        const char *expect;
    } cases[] = {{SEEDS "/prophesee/evt2.raw", {.unit = SP_UNIT_MS}, "data.events.unit"},
                 {SEEDS "/zip/events.npz", {.orientation = SP_ORIENT_SLTT}, "data.events.orientation"},
                 {SEEDS "/aedat4/plain.aedat4", {.orientation = SP_ORIENT_PLAIN}, "data.events.orientation"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_events e = {0};
        sp_error err = {0};
        cr_assert_eq(sp_recording_events(cases[i].file, &cases[i].format, &e, NULL, &err), SP_E_CONFIG, "%zu",
                     i);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "%s", err.text);
        sp_events_free(&e);
    }
    sp_dataset_options o = {.name = "events", .path = root, .frames = 2, .events = {.sensor = {0, 5}}};
    sp_dataset *ds;
    sp_error err;
    make("mkdir a b && cp \"$E\" a && cp \"$E\" b");
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "events.sensor is [0, 5]"), "%s", err.text);
    remove_folder(root);
}

Test(own_files, arrays_in_hdf5)
{
    sp_dataset_options o = {.name = "arrays", .path = FIXTURES "/arrays.h5", .train = 1, .split = 0.5};
    float x[8];
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    sp_status st = open_set(o, &ds, &err);
#ifdef SP_WITH_HDF5
    cr_assert_eq(st, SP_OK, "%s", err.text);
    cr_assert(ds->info.frames == 2 && ds->info.channels == 1 && ds->info.height == 2 &&
              ds->info.classes == 2);
    for (size_t i = 0; i < ds->info.count; i++) {
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, &label, &err), SP_OK, "%s", err.text);
        for (int k = 1; k < 8; k++)
            cr_assert_eq(x[k], x[0] + (float)k);
        cr_assert_eq(label, x[0] >= 8.0f);
    }
    sp_dataset_close(&ds);
#else
    (void)x, (void)label;
    cr_assert_eq(st, SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "without HDF5"), "%s", err.text);
#endif
}

/* arrays.h5 has events/t 0.0001, 0.0002, 0.0005 s, x 1, 2, 9, y 4, 0, 3, p 1, 0, 1; records.h5 the same as
 * records of microseconds. */
Test(own_files, events_in_hdf5)
{
#ifdef SP_WITH_HDF5
    static const char *const files[] = {FIXTURES "/arrays.h5", FIXTURES "/records.h5"};
    for (int i = 0; i < 2; i++) {
        sp_recording_format format = {.unit = i ? SP_UNIT_US : SP_UNIT_S};
        sp_events e = {0};
        sp_error err = {0};
        cr_assert_eq(sp_recording_events(files[i], &format, &e, NULL, &err), SP_OK, "%s", err.text);
        cr_assert_eq(e.n, 3);
        cr_assert(e.items[0].t == 100 && e.items[1].t == 200 && e.items[2].t == 500);
        cr_assert(e.items[2].x == 9 && e.items[0].y == 4 && e.items[0].p == 1 && e.items[1].p == 0);
        sp_events_free(&e);
    }
    sp_events e = {0};
    sp_error err = {0};
    cr_assert_eq(sp_recording_events(FIXTURES "/arrays.h5", &(sp_recording_format){0}, &e, NULL, &err),
                 SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "data.events.unit"), "%s", err.text);
#endif
}

static char archive[] = "a.npz";
#ifdef SP_WITH_HDF5
static char recording[] = "cut.h5";
#endif

static const char *in_root(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* Frames by count are runs of events, so an order of the file's own would make other frames of them. */
Test(own_files, events_come_in_the_order_of_time)
{
    static const uint8_t file[] = "#!AER-DAT2.0\r\n"
                                  "\0\0\0\2\0\0\1\364" /* address 2 at 500, 4 at 100, 6 at 300 */
                                  "\0\0\0\4\0\0\0\144"
                                  "\0\0\0\6\0\0\1\54";
    sp_events e = {0};
    sp_error err = {0};
    make("true");
    write_file(root, "back.aedat", file, sizeof file - 1);
    cr_assert_eq(sp_recording_events(in_root("back.aedat"), &(sp_recording_format){0}, &e, NULL, &err), SP_OK,
                 "%s", err.text);
    cr_assert_eq(e.n, 3);
    cr_assert(e.items[0].t == 100 && e.items[1].t == 300 && e.items[2].t == 500);
    sp_events_free(&e);
    remove_folder(root);
}

/* One file after the other in the place of a recording. */
static sp_status read_recording(void *ctx, const uint8_t *bytes, size_t n, sp_error *err)
{
    const char *name = ctx;
    sp_events e = {0};
    write_file(root, name, bytes, n);
    sp_status st = sp_recording_events(in_root(name), &(sp_recording_format){0}, &e, NULL, err);
    cr_assert(st == SP_OK || strstr(err->text, name), "%s", err->text);
    sp_events_free(&e);
    return st;
}

Test(own_files, damaged_event_arrays)
{
    static const char *const cases[][2] = {{"events_short.npz", "one dimension and one length"},
                                           {"events_square.npz", "one dimension and one length"},
                                           {"events_far.npz", "from 0 to 65535"},
                                           {"events_polarity.npz", "x 2, y 2, p 2; p must be 0 or 1"},
                                           {"../png/grey.png", "grey.png: not a recording of events"},
                                           {"events_real.npz", "data.events.unit"}};
    size_t n = 0;
    uint8_t *bytes = read_whole(SEEDS "/zip/events.npz", &n);
    make_folder(root, sizeof root, "events");
    damage(read_recording, archive, bytes, n, 150, 300, 50);
    free(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[1024];
        sp_events e = {0};
        sp_error err = {0};
        snprintf(path, sizeof path, SEEDS "/zip/%s", cases[i][0]);
        cr_expect_eq(sp_recording_events(path, &(sp_recording_format){0}, &e, NULL, &err), SP_E_DATA, "%s",
                     path);
        cr_expect_not_null(strstr(err.text, cases[i][1]), "%s", err.text);
        sp_events_free(&e);
    }
    remove_folder(root);
}

#ifdef SP_WITH_HDF5
/* Cut files, and none: libhdf5 notices both. Other damage is its own matter (docs/SECURITY.md). */
Test(own_files, cut_hdf5_files)
{
    static const char *const files[] = {FIXTURES "/arrays.h5", FIXTURES "/records.h5"};
    make_folder(root, sizeof root, "hdf5");
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        uint8_t *bytes = read_whole(files[i], &n);
        for (size_t cut = 0; cut < n; cut += 1 + n / 60) {
            sp_array *a = NULL;
            sp_error err = {0};
            cr_assert_eq(read_recording(recording, bytes, cut, &err), SP_E_DATA, "cut at %zu", cut);
            err = (sp_error){0};
            cr_assert_eq(sp_array_open(in_root("cut.h5"), "x", &a, &err), SP_E_DATA, "cut at %zu", cut);
            cr_assert_not_null(strstr(err.text, "cut.h5"), "%s", err.text);
            sp_array_close(&a);
        }
        bytes[1] = 'h';
        sp_error err = {0};
        cr_assert_eq(read_recording(recording, bytes, n, &err), SP_E_DATA);
        free(bytes);
    }
    remove_folder(root);
}
#endif
