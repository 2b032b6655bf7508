/* SHD and SSC: HDF5 files with /spikes/times and /spikes/units (one array of any length per sample) and
 * /labels. Any float or integer element type is taken. libhdf5 is optional: without it every open fails and
 * says so.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "data/events.h"

#ifdef SP_WITH_HDF5
#include "data/hdf5.h"

enum { MOST_SAMPLES = 1 << 24 };

struct sp_shd {
    char *path;
    hid_t file, times, units;
    int32_t *labels; /* [n] */
    size_t n;
};

static sp_status not_as_known(const sp_shd *s, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA,
                   "%s: %s; an SHD or SSC file has /spikes/times and /spikes/units, an array for every "
                   "sample, and /labels; fetch it again, and unpack it",
                   s->path, what);
}

/* The number of entries of a one-dimensional data set, 0 when it is another thing. */
static size_t entries(hid_t set)
{
    hid_t space = H5Dget_space(set);
    hsize_t n = 0;
    if (space < 0)
        return 0;
    if (H5Sget_simple_extent_ndims(space) != 1 || H5Sget_simple_extent_dims(space, &n, NULL) != 1)
        n = 0;
    H5Sclose(space);
    return n <= MOST_SAMPLES ? (size_t)n : 0;
}

static bool is_of_arrays(hid_t set)
{
    hid_t type = H5Dget_type(set), base = type >= 0 ? H5Tget_super(type) : -1;
    bool ok = type >= 0 && base >= 0 && H5Tget_class(type) == H5T_VLEN &&
              (H5Tget_class(base) == H5T_FLOAT || H5Tget_class(base) == H5T_INTEGER);
    if (base >= 0)
        H5Tclose(base);
    if (type >= 0)
        H5Tclose(type);
    return ok;
}

static sp_status read_labels(sp_shd *s, int classes, sp_error *err)
{
    hid_t set;
    SP_TRY(spi_hdf5_open_set(s->file, s->path, "/labels", &set, err));
    hid_t type = set >= 0 ? H5Dget_type(set) : -1;
    bool whole = type >= 0 && H5Tget_class(type) == H5T_INTEGER && entries(set) == s->n;
    sp_status st = SP_OK;
    if (!whole) {
        st = not_as_known(s, "/labels is missing, or not one integer for every sample", err);
        goto done;
    }
    s->labels = sp_alloc_array(s->n, sizeof *s->labels);
    if (!s->labels)
        st = SP_FAIL(err, SP_E_MEMORY, "%s: no memory for %zu labels", s->path, s->n);
    else if (H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->labels) < 0)
        st = not_as_known(s, "/labels cannot be read: truncated or damaged", err);
    for (size_t i = 0; st == SP_OK && i < s->n; i++) {
        if (s->labels[i] < 0 || s->labels[i] >= classes)
            st = SP_FAIL(err, SP_E_DATA, "%s: /labels[%zu] is %d, not in 0..%d; is it another set?", s->path,
                         i, (int)s->labels[i], classes - 1);
    }
done:
    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
    return st;
}

static sp_status open_parts(sp_shd *s, int classes, sp_error *err)
{
    if (H5Fis_hdf5(s->path) <= 0)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte 0: not an HDF5 file, or empty; was it unpacked (gunzip, unzip)?", s->path);
    s->file = H5Fopen(s->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (s->file < 0)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: HDF5 finds less than the head at byte 0 announces: truncated or damaged; fetch "
                       "it again",
                       s->path);
    SP_TRY(spi_hdf5_open_set(s->file, s->path, "/spikes/times", &s->times, err));
    SP_TRY(spi_hdf5_open_set(s->file, s->path, "/spikes/units", &s->units, err));
    if (s->times < 0 || s->units < 0)
        return not_as_known(s, s->times < 0 ? "no /spikes/times" : "no /spikes/units", err);
    if (!is_of_arrays(s->times) || !is_of_arrays(s->units))
        return not_as_known(s, "/spikes/times or /spikes/units is not of arrays of numbers", err);
    s->n = entries(s->times);
    if (s->n == 0 || entries(s->units) != s->n)
        return not_as_known(s,
                            "/spikes/times and /spikes/units have no samples, or different numbers of them",
                            err);
    return read_labels(s, classes, err);
}

static void close_parts(sp_shd *s)
{
    if (s->times >= 0)
        H5Dclose(s->times);
    if (s->units >= 0)
        H5Dclose(s->units);
    if (s->file >= 0)
        H5Fclose(s->file);
}

sp_status sp_shd_open(const char *path, int classes, sp_shd **out, sp_error *err)
{
    struct stat info;
    sp_status st;
    sp_shd *s;
    *out = NULL;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return SP_FAIL(err, SP_E_DATA, "%s: no such file", path);
    s = sp_alloc(sizeof *s);
    if (!s || !(s->path = sp_strdup(path))) {
        sp_free(s);
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    }
    s->file = s->times = s->units = -1;
    spi_hdf5_enter();
    st = open_parts(s, classes, err);
    spi_hdf5_leave();
    if (st == SP_OK)
        *out = s;
    else
        sp_shd_close(&s);
    return st;
}

void sp_shd_close(sp_shd **sp)
{
    sp_shd *s = sp ? *sp : NULL;
    if (!s)
        return;
    spi_hdf5_enter();
    close_parts(s);
    spi_hdf5_leave();
    sp_free(s->labels);
    sp_free(s->path);
    sp_free(s);
    *sp = NULL;
}

size_t sp_shd_count(const sp_shd *shd)
{
    return shd->n;
}

int32_t sp_shd_label(const sp_shd *shd, size_t i)
{
    return shd->labels[i];
}

/* Entry i as numbers of `item` type, each of 4 bytes; HDF5 converts. */
static sp_status read_array(const sp_shd *s, hid_t set, const char *what, hid_t item, size_t i, void **out,
                            size_t *n, sp_error *err)
{
    hid_t type = H5Tvlen_create(item), from = H5Dget_space(set), to;
    hsize_t start = i, one = 1;
    hvl_t v = {0};
    sp_status st = SP_OK;
    to = H5Screate_simple(1, &one, NULL);
    if (type < 0 || from < 0 || to < 0 ||
        H5Sselect_hyperslab(from, H5S_SELECT_SET, &start, NULL, &one, NULL) < 0 ||
        H5Dread(set, type, to, from, H5P_DEFAULT, &v) < 0) {
        st = SP_FAIL(err, SP_E_DATA, "%s: %s[%zu] cannot be read: truncated or damaged; fetch it again",
                     s->path, what, i);
    } else {
        *out = sp_alloc_array(v.len, 4);
        *n = v.len;
        if (*out && v.len)
            memcpy(*out, v.p, v.len * 4);
        if (!*out)
            st = SP_FAIL(err, SP_E_MEMORY, "%s: no memory for %s[%zu]", s->path, what, i);
        H5Dvlen_reclaim(type, to, H5P_DEFAULT, &v);
    }
    if (to >= 0)
        H5Sclose(to);
    if (from >= 0)
        H5Sclose(from);
    if (type >= 0)
        H5Tclose(type);
    return st;
}

static sp_status check_spikes(const sp_shd *s, size_t i, const float *times, const int32_t *units, size_t n,
                              sp_error *err)
{
    for (size_t k = 0; k < n; k++) {
        if (!(times[k] >= 0.0f && times[k] < 1e6f))
            return SP_FAIL(err, SP_E_DATA, "%s: /spikes/times[%zu][%zu] is %g seconds; damaged", s->path, i,
                           k, (double)times[k]);
        if (units[k] < 0 || units[k] >= SP_SHD_UNITS)
            return SP_FAIL(err, SP_E_DATA, "%s: /spikes/units[%zu][%zu] is %d, not in 0..%d; damaged",
                           s->path, i, k, (int)units[k], SP_SHD_UNITS - 1);
    }
    return SP_OK;
}

sp_status sp_shd_read(const sp_shd *s, size_t i, float **times, int32_t **units, size_t *n, sp_error *err)
{
    void *t = NULL, *u = NULL;
    size_t n_units = 0;
    sp_status st;
    spi_hdf5_enter();
    st = read_array(s, s->times, "/spikes/times", H5T_NATIVE_FLOAT, i, &t, n, err);
    if (st == SP_OK)
        st = read_array(s, s->units, "/spikes/units", H5T_NATIVE_INT32, i, &u, &n_units, err);
    spi_hdf5_leave();
    if (st == SP_OK && n_units != *n)
        st = SP_FAIL(err, SP_E_DATA, "%s: sample %zu has %zu times, but %zu units; damaged", s->path, i + 1,
                     *n, n_units);
    if (st == SP_OK)
        st = check_spikes(s, i, t, u, *n, err);
    if (st != SP_OK) {
        sp_free(t);
        sp_free(u);
        return st;
    }
    *times = t;
    *units = u;
    return SP_OK;
}

#else

struct sp_shd {
    char *path;
};

static sp_status without(const char *path, sp_error *err)
{
    return SP_FAIL(err, SP_E_CONFIG,
                   "%s: this program was built without HDF5; install libhdf5 (Debian: libhdf5-dev) and build "
                   "with -DSPIKEPORT_WITH_HDF5=ON",
                   path);
}

sp_status sp_shd_open(const char *path, int classes, sp_shd **out, sp_error *err)
{
    (void)classes;
    *out = NULL;
    return without(path, err);
}

void sp_shd_close(sp_shd **shd)
{
    if (shd)
        *shd = NULL;
}

size_t sp_shd_count(const sp_shd *shd)
{
    (void)shd;
    return 0;
}

int32_t sp_shd_label(const sp_shd *shd, size_t i)
{
    (void)shd, (void)i;
    return -1;
}

sp_status sp_shd_read(const sp_shd *s, size_t i, float **times, int32_t **units, size_t *n, sp_error *err)
{
    (void)i, (void)times, (void)units, (void)n;
    return without(s->path, err);
}

#endif

sp_status sp_shd_events(const sp_shd *shd, size_t i, sp_events *out, sp_error *err)
{
    float *times = NULL;
    int32_t *units = NULL;
    size_t n = 0;
    sp_status st = sp_shd_read(shd, i, &times, &units, &n, err);
    if (st == SP_OK)
        st = sp_events_reserve(out, out->n + n, "a sample", err);
    for (size_t k = 0; st == SP_OK && k < n; k++)
        out->items[out->n++] = (sp_event){.t = llround((double)times[k] * 1e6), .x = (uint16_t)units[k]};
    sp_free(times);
    sp_free(units);
    return st;
}
