/* A person's own recordings: which format a file has, and events from arrays. */
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/folder.h"
#include "data/array.h"
#include "data/events.h"

static const char *const endings[] = {".npz", ".h5", ".hdf5", ".aedat4", ".raw", ".aedat"};

bool sp_name_is_recording(int at, const char *name, const void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (sp_name_ends_in(at, name, endings[i]))
            return true;
    return false;
}

enum { SOME = 2048 };

/* One of the arrays t, x, y, p: as long as the first, which says how many events there are. */
static sp_status open_column(const char *path, const char *name, int64_t *n, sp_array **out, sp_error *err)
{
    const sp_array_info *i;
    SP_TRY(sp_array_open(path, name, out, err));
    i = sp_array_about(*out);
    if (i->rank != 1 || (*n >= 0 && i->items != *n))
        return SP_FAIL(err, SP_E_DATA, "%s: t, x, y and p must be arrays of one dimension and one length",
                       sp_array_name(*out));
    *n = i->items;
    return SP_OK;
}

static sp_status add_events(sp_array *const column[4], int64_t first, size_t n, double scale, sp_events *out,
                            sp_error *err)
{
    int64_t v[4][SOME];
    for (int c = 0; c < 4; c++)
        SP_TRY(sp_array_integers(column[c], first, n, c == 0 ? scale : 0.0, v[c], err));
    for (size_t k = 0; k < n; k++) {
        int64_t x = v[1][k], y = v[2][k], p = v[3][k];
        if (x < 0 || x > UINT16_MAX || y < 0 || y > UINT16_MAX || p < -1 || p > 1)
            return SP_FAIL(err, SP_E_DATA, "%s: event %lld has x %lld, y %lld, p %lld; %s",
                           sp_array_name(column[1]), (long long)first + (long long)k + 1, (long long)x,
                           (long long)y, (long long)p,
                           p < -1 || p > 1 ? "p must be 0 or 1 (or -1 or 1)"
                                           : "x and y are places in the sensor, from 0 to 65535");
        out->items[out->n++] = (sp_event){.t = v[0][k], .x = (uint16_t)x, .y = (uint16_t)y, .p = p > 0};
    }
    return SP_OK;
}

static sp_status read_columns(const char *path, const char *const names[4], int unit, sp_events *out,
                              sp_error *err)
{
    static const double scales[] = {1.0, 1e-3, 1e3, 1e6}; /* of sp_time_unit */
    sp_array *column[4] = {NULL};
    int64_t n = -1;
    sp_status st = SP_OK;
    for (int c = 0; c < 4; c++)
        SP_TRY_GOTO(open_column(path, names[c], &n, &column[c], err));
    if (unit == SP_UNIT_US && sp_array_is_real(column[0]))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA,
                            "%s: times are floats; say with data.events.unit (s, ms or ns) what they count",
                            sp_array_name(column[0])));
    SP_TRY_GOTO(sp_events_reserve(out, out->n + (size_t)n, path, err));
    for (int64_t first = 0; first < n; first += SOME)
        SP_TRY_GOTO(
            add_events(column, first, n - first < SOME ? (size_t)(n - first) : SOME, scales[unit], out, err));
done:
    for (int c = 0; c < 4; c++)
        sp_array_close(&column[c]);
    return st;
}

/* Where HDF5 files have their events: four data sets, or the records of Prophesee's. */
static sp_status read_hdf5(const char *path, int unit, sp_events *out, sp_error *err)
{
    static const char *const names[][4] = {{"t", "x", "y", "p"},
                                           {"events/t", "events/x", "events/y", "events/p"},
                                           {"CD/events:t", "CD/events:x", "CD/events:y", "CD/events:p"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sp_array_present(path, names[i][0]))
            return read_columns(path, names[i], unit, out, err);
    return SP_FAIL(err, SP_E_DATA,
                   "%s: no events; they are read from the data sets t, x, y and p, from those of a group "
                   "\"events\", or from records in /CD/events",
                   path);
}

static sp_status read_events(const char *path, const sp_recording_format *format, sp_events *out,
                             sp_sensor *sensor, sp_error *err)
{
    static const char *const txyp[] = {"t", "x", "y", "p"};
    bool npz = sp_name_ends_in(-1, path, ".npz"), aedat = sp_name_ends_in(-1, path, ".aedat");
    bool hdf5 = sp_name_ends_in(-1, path, ".h5") || sp_name_ends_in(-1, path, ".hdf5");
    sp_packet_counts counts = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    sp_status st;
    if (format->unit != SP_UNIT_US && !npz && !hdf5)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: the file itself says the unit of its times; leave data.events.unit out", path);
    if (format->orientation != SP_ORIENT_DEFAULT && !aedat)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: only AEDAT 2.0 files leave the orientation open; leave data.events.orientation "
                       "out",
                       path);
    if (npz)
        return read_columns(path, txyp, format->unit, out, err);
    if (hdf5)
        return read_hdf5(path, format->unit, out, err);
    SP_TRY(sp_recording_read(path, &bytes, &n, err));
    if (n >= 12 && memcmp(bytes, "#!AER-DAT4.0", 12) == 0) {
        st = sp_aedat4_parse(path, bytes, n, out, sensor, err);
    } else if (sp_name_ends_in(-1, path, ".raw")) {
        st = sp_prophesee_parse(path, bytes, n, out, sensor, err);
    } else if (!aedat && n > 0 && (n < 9 || memcmp(bytes, "#!AER-DAT", 9) != 0)) {
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: not a recording of events; those that are read are AEDAT (.aedat, .aedat4), "
                     "Prophesee (.raw), and arrays t, x, y and p (.npz, .h5, .hdf5)",
                     path);
    } else {
        st = sp_aedat_parse(path, bytes, n, format->orientation, out, &counts, err);
        if (sensor)
            *sensor = (sp_sensor){SP_DVS128_SIDE, SP_DVS128_SIDE};
    }
    sp_free(bytes);
    return st;
}

sp_status sp_recording_events(const char *path, const sp_recording_format *format, sp_events *out,
                              sp_sensor *sensor, sp_error *err)
{
    SP_TRY(read_events(path, format, out, sensor, err));
    sp_events_sort(out);
    return SP_OK;
}
