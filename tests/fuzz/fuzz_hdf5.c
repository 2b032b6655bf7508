/* What is read through libhdf5, behind that library: the bytes choose the data sets of a sound file, their
 * types, dimensions and contents; it is then read as an array, as events, as spike trains and as a graph of
 * NIR. Damage of the format itself is the library's own matter, which is known to crash (docs/SECURITY.md).
 */
#include <string.h>

#include "bytes.h"
#include "fuzz.h"

#ifdef SP_WITH_HDF5
#include <hdf5.h>

#include "base/mem.h"
#include "data/array.h"
#include "data/events.h"
#include "nir/nir.h"

static hid_t record_type(void)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, 14);
    H5Tinsert(type, "x", 0, H5T_STD_U16LE);
    H5Tinsert(type, "y", 2, H5T_STD_U16LE);
    H5Tinsert(type, "p", 4, H5T_STD_I16LE);
    H5Tinsert(type, "t", 6, H5T_STD_I64LE);
    return type;
}

static hid_t pick_type(input *in)
{
    switch (take(in) % 11) {
    case 0: return H5Tcopy(H5T_STD_I8LE);
    case 1: return H5Tcopy(H5T_STD_U16LE);
    case 2: return H5Tcopy(H5T_STD_I32BE);
    case 3: return H5Tcopy(H5T_STD_I64LE);
    case 4: return H5Tcopy(H5T_STD_U64LE);
    case 5: return H5Tcopy(H5T_IEEE_F32LE);
    case 6: return H5Tcopy(H5T_IEEE_F64BE);
    case 7: return H5Tvlen_create(H5T_STD_U16LE);
    case 8: return record_type();
    case 9: return H5Tvlen_create(H5T_IEEE_F32LE);
    }
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, take(in) % 2 ? H5T_VARIABLE : 6);
    return text;
}

static void fill_lists(hid_t set, hid_t type, size_t items, input *in)
{
    static uint8_t raw[64];
    hvl_t lists[64];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = i % 4 ? 0 : (uint8_t)take(in);
    for (size_t i = 0; i < items; i++)
        lists[i] = (hvl_t){.len = take(in) % 5, .p = raw};
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, lists);
}

/* Texts of any length stay empty; all other contents are the input's bytes. */
static void fill(hid_t set, hid_t type, size_t items, input *in)
{
    static uint8_t raw[1 << 16];
    const size_t bytes = items * H5Tget_size(type);
    if (H5Tget_class(type) == H5T_VLEN && items <= 64)
        fill_lists(set, type, items, in);
    if (H5Tget_class(type) == H5T_VLEN || H5Tis_variable_str(type) > 0 || bytes > sizeof raw)
        return;
    for (size_t i = 0; i < bytes; i++)
        raw[i] = i % 7 ? (uint8_t)take(in) : 0;
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw);
}

static void put_set(hid_t file, const char *name, input *in)
{
    hsize_t dims[5], most[5], items = 1;
    const int rank = (int)(take(in) % 6);
    for (int i = 0; i < rank; i++) {
        dims[i] = take(in) % 6;
        most[i] = H5S_UNLIMITED;
        items *= dims[i];
    }
    const unsigned how = take(in);
    hid_t type = pick_type(in), layout = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = rank ? H5Screate_simple(rank, dims, how % 2 ? most : NULL) : H5Screate(H5S_SCALAR);
    H5Pset_create_intermediate_group(links, 1);
    if (rank && how % 2) {
        const hsize_t chunk[5] = {2, 2, 2, 2, 2};
        H5Pset_chunk(layout, rank, chunk);
    }
    hid_t set = H5Dcreate2(file, name, type, space, links, layout, H5P_DEFAULT);
    if (set >= 0)
        fill(set, type, (size_t)items, in);
    H5Dclose(set), H5Sclose(space), H5Pclose(links), H5Pclose(layout), H5Tclose(type);
}

/* Stays open: libhdf5 makes a cache of 2 MiB for a file that it has not open, and the readers open it six
 * times. A reader that leaves something open makes the next file fail. */
static hid_t make_file(const char *path, input *in)
{
    static const char *const names[] = {"x",
                                        "y",
                                        "t",
                                        "p",
                                        "labels",
                                        "events/t",
                                        "events/x",
                                        "events/y",
                                        "events/p",
                                        "CD/events",
                                        "spikes/times",
                                        "spikes/units",
                                        "version",
                                        "node/type",
                                        "node/edges",
                                        "node/nodes/a/type",
                                        "node/nodes/a/weight",
                                        "node/nodes/b/type",
                                        "node/nodes/b/shape"};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0)
        abort();
    for (unsigned k = take(in) % 12; k > 0; k--)
        put_set(file, names[take(in) % (sizeof names / sizeof *names)], in);
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    return file;
}

static void read_array(const char *path, const char *name)
{
    sp_array *a = NULL;
    sp_error err = {0};
    float values[64];
    sp_status st = sp_array_open(path, name, &a, &err);
    if (st == SP_OK) {
        const int64_t n = sp_array_about(a)->items < 64 ? sp_array_about(a)->items : 64;
        st = sp_array_floats(a, 0, (size_t)n, values, &err);
    }
    fuzz_check(st, &err);
    sp_array_close(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    input in = {bytes, n, 0};
    char path[128];
    sp_events events = {0};
    sp_nir graph = {0};
    sp_dataset *set = NULL;
    sp_error err = {0};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    snprintf(path, sizeof path, "%s/shd_train.h5", fuzz_folder());
    hid_t file = make_file(path, &in);
    read_array(path, "x");
    read_array(path, "CD/events:t");
    fuzz_check(sp_recording_events(path, &(sp_recording_format){.unit = SP_UNIT_S}, &events, NULL, &err),
               &err);
    sp_events_free(&events);
    err = (sp_error){0};
    fuzz_check(sp_nir_read(path, &graph, &err), &err);
    sp_nir_free(&graph);
    err = (sp_error){0};
    const sp_dataset_options o = {.name = "shd",
                                  .path = fuzz_folder(),
                                  .train = 1,
                                  .std = 1,
                                  .frames = 3,
                                  .events = {.no_cache = true}};
    fuzz_check(sp_dataset_open(&o, &set, &err), &err);
    sp_dataset_close(&set);
    H5Fclose(file);
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    (void)bytes, (void)n;
    return 0;
}
#endif
