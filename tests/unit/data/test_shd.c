/* SHD and SSC: files by several writers of HDF5 to the spikes that were put in, files made here, damage; and
 * without libhdf5 an error that says so. */
#include "event_support.h"
#include <math.h>
#include <pthread.h>

#ifdef SP_WITH_HDF5
#include <hdf5.h>
#include "data/array.h"

/* The nearest IEEE half float, for sums over what the files hold. */
static uint16_t half_of(float v)
{
    int exponent;
    float m = frexpf(v, &exponent); /* v = m 2^exponent, m in [0.5, 1) */
    if (v == 0.0f)
        return 0;
    if (exponent < -13)
        return (uint16_t)lrintf(ldexpf(v, 24));
    return (uint16_t)(lrintf(ldexpf(m, 11)) - 1024 + (exponent + 14) * 1024);
}

static void check_sample(const sp_shd *shd, const table *t)
{
    size_t i = strtoull(t->column[1], NULL, 10), n = 0;
    float *times = NULL;
    int32_t *units = NULL;
    sp_events e = {0};
    sp_error err = {0};
    sha256 s;
    cr_assert_eq(sp_shd_label(shd, i), atoi(t->column[2]), "%s %zu", t->column[0], i);
    cr_assert_eq(sp_shd_read(shd, i, &times, &units, &n, &err), SP_OK, "%s", err.text);
    cr_assert_eq(n, strtoull(t->column[3], NULL, 10), "%s %zu", t->column[0], i);
    sha256_init(&s);
    for (size_t k = 0; k < n; k++) {
        uint16_t h = half_of(times[k]);
        sha256_add(&s, (uint8_t[2]){(uint8_t)h, (uint8_t)(h >> 8)}, 2);
    }
    cr_assert_eq(strncmp(sha256_end(&s), t->column[4], 16), 0, "times of %s %zu", t->column[0], i);
    sha256_init(&s);
    for (size_t k = 0; k < n; k++)
        sha256_add(&s, (uint8_t[2]){(uint8_t)units[k], (uint8_t)(units[k] >> 8)}, 2);
    cr_assert_eq(strncmp(sha256_end(&s), t->column[5], 16), 0, "units of %s %zu", t->column[0], i);
    cr_assert_eq(sp_shd_events(shd, i, &e, &err), SP_OK, "%s", err.text);
    cr_assert_eq(e.n, n);
    for (size_t k = 0; k < n; k++)
        cr_assert(e.items[k].x == units[k] && e.items[k].t == llround((double)times[k] * 1e6));
    sp_events_free(&e);
    sp_free(times);
    sp_free(units);
}

Test(shd, reads_files_of_several_writers)
{
    table t;
    char open_file[256] = "";
    sp_shd *shd = NULL;
    int n = 0;
    NEEDS_SHARED("shd-synthetic");
    t = table_open(SHARED "/shd-synthetic/SAMPLES.tsv");
    for (; table_next(&t); n++) {
        if (strcmp(open_file, t.column[0]) != 0) {
            char path[1024];
            sp_error err = {0};
            sp_shd_close(&shd);
            snprintf(path, sizeof path, SHARED "/shd-synthetic/%s", t.column[0]);
            cr_assert_eq(sp_shd_open(path, 20, &shd, &err), SP_OK, "%s", err.text);
            snprintf(open_file, sizeof open_file, "%s", t.column[0]);
        }
        check_sample(shd, &t);
    }
    sp_shd_close(&shd);
    cr_assert_gt(n, 200);
}

Test(shd, real_structure_as_a_set)
{
    sp_dataset_options o = {.name = "shd", .path = SHARED "/shd-synthetic", .train = 1, .time_steps = 100};
    static float frames[100 * 700], early[10 * 700];
    sp_dataset *ds = NULL, *few = NULL;
    sp_error err = {0};
    int32_t label;
    double sum = 0.0, first = 0.0;
    NEEDS_SHARED("shd-synthetic");
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.classes == 20 && ds->info.frames == 100 && ds->info.channels == 700 &&
              ds->info.height == 1 && ds->info.width == 1);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 5}, frames, &label, &err), SP_OK, "%s", err.text);
    o.frames = 10;
    cr_assert_eq(sp_dataset_open(&o, &few, &err), SP_OK, "%s", err.text);
    cr_assert_eq(few->get(few, (sp_sample_request){.index = 5}, early, &label, &err), SP_OK, "%s", err.text);
    for (int k = 0; k < 100 * 700; k++)
        sum += (double)frames[k];
    for (int k = 0; k < 700; k++) {
        float ten = 0.0f;
        for (int t = 0; t < 10; t++)
            ten += frames[t * 700 + k];
        cr_assert_eq(ten, early[k], "ten bins of 14 ms are one of 140 ms");
        first += (double)ten;
    }
    cr_assert(sum > 1000.0 && first < sum);
    sp_dataset_close(&ds);
    sp_dataset_close(&few);
}

/* ---- files made here ---- */

typedef struct spikes {
    size_t n;
    float t[4];
    int32_t u[4];
} spikes;

static const spikes three[3] = {{2, {0.0f, 0.5f}, {0, 699}},
                                {0, {0}, {0}},
                                {4, {0.1f, 0.1f, 1.39f, 2.0f}, {7, 7, 8, 9}}};

static void put(hid_t file, const char *name, hid_t type, size_t n, const void *data)
{
    hsize_t dims = n;
    hid_t space = H5Screate_simple(1, &dims, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    cr_assert(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void put_arrays(hid_t file, const spikes *s, size_t n, bool with_times)
{
    hid_t vf = H5Tvlen_create(H5T_NATIVE_FLOAT), vi = H5Tvlen_create(H5T_NATIVE_INT32);
    hvl_t t[4] = {{0, NULL}}, u[4] = {{0, NULL}};
    for (size_t i = 0; i < n; i++) {
        t[i] = (hvl_t){s[i].n, (void *)s[i].t};
        u[i] = (hvl_t){s[i].n, (void *)s[i].u};
    }
    H5Gclose(H5Gcreate2(file, "/spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (with_times)
        put(file, "/spikes/times", vf, n, t);
    put(file, "/spikes/units", vi, n, u);
    H5Tclose(vf);
    H5Tclose(vi);
}

/* kind: what is wrong with the file. */
enum {
    GOOD,
    NO_TIMES,
    NO_LABELS,
    FEW_LABELS,
    BAD_LABEL,
    BAD_UNIT,
    BAD_TIME,
    NAN_TIME,
    NEGATIVE_UNIT,
    FLAT,

    N_KINDS,
    SILENT /* good, but for its spikes */
};

static const char *make_file(int kind)
{
    static const int64_t labels[3] = {19, 0, 3}, bad_labels[3] = {1, 20, 0};
    const char *path = scratch_path("set/shd_train.h5");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    spikes s[3];
    memcpy(s, three, sizeof s);
    for (int i = 0; kind == SILENT && i < 3; i++)
        s[i].n = 0;
    if (kind == BAD_UNIT || kind == NEGATIVE_UNIT)
        s[2].u[1] = kind == BAD_UNIT ? 700 : -1;
    if (kind == BAD_TIME || kind == NAN_TIME)
        s[2].t[3] = kind == BAD_TIME ? -0.5f : (float)NAN;
    if (kind == FLAT) {
        H5Gclose(H5Gcreate2(file, "/spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        put(file, "/spikes/times", H5T_NATIVE_FLOAT, 4, three[2].t);
        put(file, "/spikes/units", H5T_NATIVE_INT32, 4, three[2].u);
    } else {
        put_arrays(file, s, 3, kind != NO_TIMES);
    }
    if (kind != NO_LABELS)
        put(file, "/labels", H5T_NATIVE_INT64, kind == FEW_LABELS ? 2 : 3,
            kind == BAD_LABEL ? bad_labels : labels);
    H5Fclose(file);
    return path;
}

Test(shd, bins)
{
    sp_dataset_options o = {.name = "shd", .train = 1, .frames = 14, .std = 0.5};
    static float frames[14 * 700];
    sp_dataset *ds = NULL;
    sp_error err = {0};
    int32_t label;
    char folder[600];
    scratch_make();
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    make_file(GOOD);
    o.path = folder;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 3);
    for (size_t i = 0; i < 3; i++) {
        double sum = 0.0;
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, frames, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, i == 0 ? 19 : i == 1 ? 0 : 3);
        for (int k = 0; k < 14 * 700; k++)
            sum += (double)frames[k] * 0.5;
        cr_assert_eq(sum, (double)three[i].n);
        if (i == 0)
            cr_assert(frames[0] == 2.0f && frames[5 * 700 + 699] == 2.0f);
        if (i == 2) /* 0.1 s opens the second bin; what comes after 1.4 s is in the last */
            cr_assert(frames[700 + 7] == 4.0f && frames[13 * 700 + 8] == 2.0f &&
                      frames[13 * 700 + 9] == 2.0f);
    }
    sp_dataset_close(&ds);
    o.events.window = 2.8;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 2}, frames, &label, &err), SP_OK, "%s", err.text);
    cr_assert(frames[7] == 4.0f && frames[6 * 700 + 8] == 2.0f && frames[10 * 700 + 9] == 2.0f);
    sp_dataset_close(&ds);
    scratch_remove();
}

static int heard;

static void listen(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    heard += level == SP_LOG_WARNING && strstr(text, "sample 2 has no spikes") != NULL;
}

Test(shd, samples_without_spikes)
{
    sp_dataset_options o = {.name = "shd", .train = 1, .frames = 2};
    static float frames[2 * 700];
    char folder[600];
    scratch_make();
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    sp_log_install(listen, NULL);
    for (int silent = 0; silent < 2; silent++) {
        sp_dataset *ds = NULL;
        sp_error err = {0};
        sp_status st = SP_OK;
        int32_t label;
        make_file(silent ? SILENT : GOOD);
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        heard = 0;
        for (size_t k = 0; k < 6 && st == SP_OK; k++)
            st = ds->get(ds, (sp_sample_request){.index = k % 3}, frames, &label, &err);
        cr_assert_eq(st, silent ? SP_E_DATA : SP_OK, "%s", err.text);
        cr_assert(silent ? strstr(err.text, "none of its 3 samples has a spike") != NULL : heard == 1, "%s",
                  err.text);
        sp_dataset_close(&ds);
    }
    sp_log_install(NULL, NULL);
    scratch_remove();
}

static void expect_error(const char *path, const char *const expect[2], const char *about)
{
    sp_shd *shd = NULL;
    sp_error err = {0};
    sp_status st = sp_shd_open(path, 20, &shd, &err);
    for (size_t i = 0; st == SP_OK && i < sp_shd_count(shd); i++) {
        float *times = NULL;
        int32_t *units = NULL;
        size_t n;
        st = sp_shd_read(shd, i, &times, &units, &n, &err);
        sp_free(times);
        sp_free(units);
    }
    cr_assert_eq(st, SP_E_DATA, "%s", about);
    cr_assert_not_null(strstr(err.text, path), "%s", err.text);
    cr_assert(strstr(err.text, expect[0]) && strstr(err.text, expect[1]), "%s: %s", about, err.text);
    sp_shd_close(&shd);
}

Test(shd, files_of_another_form)
{
    static const char *const expect[N_KINDS][2] = {[NO_TIMES] = {"no /spikes/times", "fetch it again"},
                                                   [NO_LABELS] = {"/labels is missing", "fetch it again"},
                                                   [FEW_LABELS] = {"/labels", "not one integer for every"},
                                                   [BAD_LABEL] = {"/labels[1] is 20", "0..19"},
                                                   [BAD_UNIT] = {"/spikes/units[2][1] is 700", "0..699"},
                                                   [BAD_TIME] = {"/spikes/times[2][3] is -0.5", "damaged"},
                                                   [NAN_TIME] = {"/spikes/times[2][3]", "damaged"},
                                                   [NEGATIVE_UNIT] = {"/spikes/units[2][1] is -1", "damaged"},
                                                   [FLAT] = {"not of arrays", "fetch it again"}};
    scratch_make();
    for (int kind = GOOD + 1; kind < N_KINDS; kind++)
        expect_error(make_file(kind), expect[kind], expect[kind][0]);
    scratch_remove();
}

Test(shd, damaged_files)
{
    static uint8_t good[1 << 16], bad[1 << 16];
    static const char *const not_hdf5[2] = {"byte 0", "not an HDF5 file"}, *const cut[2] = {"truncated or "
                                                                                            "damaged",
                                                                                            ""};
    uint64_t state = 11;
    const char *path;
    size_t n;
    FILE *f;
    scratch_make();
    path = make_file(GOOD);
    f = fopen(path, "rb");
    n = fread(good, 1, sizeof good, f);
    fclose(f);
    cr_assert(n > 1000 && n < sizeof good);
    scratch_write("set/empty.h5", "", 0);
    expect_error(scratch_path("set/empty.h5"), not_hdf5, "empty");
    for (int k = 0; k < 20; k++) {
        for (size_t i = 0; i < n; i++)
            bad[i] = (uint8_t)noise(&state);
        scratch_write("set/random.h5", bad, n);
        expect_error(scratch_path("set/random.h5"), not_hdf5, "random");
    }
    for (size_t keep = 8; keep < n; keep += n / 37) {
        scratch_write("set/cut.h5", good, keep);
        expect_error(scratch_path("set/cut.h5"), keep < 512 ? (const char *const[2]){"cut.h5", ""} : cut,
                     "cut");
    }
    scratch_remove();
}

/* Whoever writes a file must not choose which other file is read in its place. */
Test(shd, data_of_another_file_are_refused)
{
    const char *const names[] = {"link", "stored"};
    const hsize_t dims = 4;
    scratch_make();
    const char *path = scratch_path("links.h5");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          made = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &dims, NULL);
    cr_assert(H5Lcreate_external("other.h5", "x", file, "link", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    cr_assert(H5Pset_external(made, "/etc/passwd", 0, 4) >= 0);
    H5Dclose(H5Dcreate2(file, "stored", H5T_NATIVE_UINT8, space, H5P_DEFAULT, made, H5P_DEFAULT));
    H5Sclose(space), H5Pclose(made), H5Fclose(file);
    for (int i = 0; i < 2; i++) {
        sp_array *a = NULL;
        sp_error err = {0};
        cr_assert(sp_array_present(path, names[i]));
        cr_assert_eq(sp_array_open(path, names[i], &a, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "lies in another file"), "%s", err.text);
    }
    scratch_remove();
}

Test(shd, missing_files_say_how_to_get_them)
{
    sp_dataset_options o = {.name = "ssc", .path = "/nonexistent", .frames = 10};
    sp_dataset *ds = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "ssc_test.h5") && strstr(err.text, "zenkelab.org"), "%s", err.text);
}

static void *reader(void *arg)
{
    const sp_dataset *ds = arg;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 3; i++) {
            float x[5 * 700];
            int32_t label;
            sp_error err = {0};
            cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, &label, &err), SP_OK, "%s",
                         err.text);
        }
    }
    return NULL;
}

Test(shd, several_threads_may_read)
{
    sp_dataset_options o = {.name = "shd", .train = 1, .frames = 5};
    sp_dataset *ds = NULL;
    sp_error err = {0};
    pthread_t threads[4];
    char folder[600];
    scratch_make();
    make_file(GOOD);
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    for (int k = 0; k < 4; k++)
        pthread_create(&threads[k], NULL, reader, ds);
    for (int k = 0; k < 4; k++)
        pthread_join(threads[k], NULL);
    sp_dataset_close(&ds);
    scratch_remove();
}

#else

Test(shd, says_that_it_was_built_without_hdf5)
{
    sp_dataset_options o = {.name = "shd", .frames = 10};
    sp_dataset *ds = NULL;
    sp_error err = {0};
    char folder[600];
    scratch_make();
    scratch_write("set/shd_test.h5", "", 0);
    snprintf(folder, sizeof folder, "%s", scratch_path("set"));
    o.path = folder;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_CONFIG);
    cr_assert(strstr(err.text, "without HDF5") && strstr(err.text, "SPIKEPORT_WITH_HDF5"), "%s", err.text);
    scratch_remove();
}

#endif
