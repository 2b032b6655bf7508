/* Arrays in HDF5 files, and the lock around libhdf5. libhdf5 is optional: without it opening fails and says
 * so. */
#include "base/error.h"
#include "data/array.h"
#ifdef SP_WITH_HDF5
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/size.h"
#include "data/hdf5.h"

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

/* What libhdf5 says on its own goes to stderr; our errors name file and place instead. */
void spi_hdf5_enter(void)
{
    pthread_mutex_lock(&hdf5_lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void spi_hdf5_leave(void)
{
    H5Eclear2(H5E_DEFAULT);
    pthread_mutex_unlock(&hdf5_lock);
}

struct sp_hdf5_array {
    char *name;
    hid_t file, set;
    sp_array_info info;
    int64_t row;       /* items of one index of the first dimension */
    const char *field; /* of records, a part of name; NULL: the items are numbers */
};

static bool is_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static herr_t refuse_link(const char *parent, const char *group, const char *file, const char *object,
                          unsigned *flags, hid_t access, void *refused)
{
    (void)parent, (void)group, (void)file, (void)object, (void)flags, (void)access;
    *(bool *)refused = true;
    return -1;
}

sp_status spi_hdf5_open_set(hid_t file, const char *path, const char *name, hid_t *set, sp_error *err)
{
    bool elsewhere = false;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), made;
    *set = access >= 0 && H5Pset_elink_cb(access, refuse_link, &elsewhere) >= 0 ? H5Dopen2(file, name, access)
                                                                                : -1;
    if (access >= 0)
        H5Pclose(access);
    made = *set >= 0 ? H5Dget_create_plist(*set) : -1;
    if (made >= 0) {
        elsewhere = H5Pget_layout(made) == H5D_VIRTUAL || H5Pget_external_count(made) > 0;
        H5Pclose(made);
    }
    if (!elsewhere)
        return SP_OK;
    if (*set >= 0)
        H5Dclose(*set);
    *set = -1;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: \"%s\" lies in another file, which is not read from here; copy its data into this "
                   "one",
                   path, name);
}

/* "SET", or "SET:FIELD" for a field of records, which *field then points to. */
static sp_status open_set(hid_t file, const char *path, const char *member, const char **field, hid_t *set,
                          sp_error *err)
{
    const char *colon = strchr(member, ':');
    char *name = colon ? sp_strndup(member, (size_t)(colon - member)) : sp_strdup(member);
    sp_status st = name ? spi_hdf5_open_set(file, path, name, set, err)
                        : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    *field = colon ? colon + 1 : NULL;
    sp_free(name);
    return st;
}

bool sp_hdf5_present(const char *path, const char *member)
{
    hid_t file;
    bool found = false;
    if (!member || !is_regular(path))
        return false;
    spi_hdf5_enter();
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file >= 0) {
        const char *field;
        hid_t set = -1;
        sp_error unused;
        /* after an error there is something: opening it says why it is not read */
        found = open_set(file, path, member, &field, &set, &unused) != SP_OK || set >= 0;
        if (set >= 0)
            H5Dclose(set);
        H5Fclose(file);
    }
    spi_hdf5_leave();
    return found;
}

/* The type of the items, or of the field of records that is asked for. */
static hid_t open_type(const sp_hdf5_array *a)
{
    hid_t type = H5Dget_type(a->set), field = type;
    if (type >= 0 && a->field) {
        int at = H5Tget_class(type) == H5T_COMPOUND ? H5Tget_member_index(type, a->field) : -1;
        field = at >= 0 ? H5Tget_member_type(type, (unsigned)at) : -1;
        H5Tclose(type);
    }
    return field;
}

static bool read_type(const sp_hdf5_array *a, sp_array_info *info)
{
    hid_t type = open_type(a);
    H5T_class_t class_ = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    size_t bytes = type >= 0 ? H5Tget_size(type) : 0;
    snprintf(info->dtype, sizeof info->dtype, "%s",
             class_ == H5T_FLOAT                               ? "F64"
             : class_ == H5T_ENUM                              ? "BOOL" /* numpy's bool, as h5py writes it */
             : bytes == 1 && H5Tget_sign(type) == H5T_SGN_NONE ? "U8"
                                                               : "I64");
    if (type >= 0)
        H5Tclose(type);
    return (class_ == H5T_FLOAT || class_ == H5T_INTEGER || class_ == H5T_ENUM) && bytes >= 1 && bytes <= 8;
}

static bool read_dims(hid_t set, sp_array_info *info)
{
    hsize_t dims[SP_TENSOR_MAX_DIMS];
    hid_t space = H5Dget_space(set);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    bool ok = rank >= 1 && rank <= SP_TENSOR_MAX_DIMS && H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    for (int k = 0; ok && k < rank; k++) {
        ok = dims[k] <= INT64_MAX;
        info->dims[k] = (int64_t)dims[k];
    }
    if (space >= 0)
        H5Sclose(space);
    info->rank = rank;
    return ok && sp_size_product(info->dims, (size_t)rank, &info->items);
}

static sp_status open_array(sp_hdf5_array *a, const char *path, const char *member, sp_error *err)
{
    a->file = is_regular(path) ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (a->file < 0)
        return SP_FAIL(err, SP_E_DATA, "%s: not an HDF5 file that can be read: damaged, or unpack it first",
                       path);
    if (member)
        SP_TRY(open_set(a->file, path, member, &a->field, &a->set, err));
    if (a->set < 0)
        return SP_FAIL(err, SP_E_DATA, "%s: no data set \"%s\"; `h5ls -r` lists what there is", path,
                       member ? member : "");
    if (!read_type(a, &a->info) || !read_dims(a->set, &a->info))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: must be an array of integers, floats or bools of up to 8 dimensions", a->name);
    a->row = 1;
    for (int k = 1; k < a->info.rank; k++)
        a->row *= a->info.dims[k]; /* a part of items */
    return SP_OK;
}

sp_status sp_hdf5_array_open(const char *path, const char *member, sp_hdf5_array **out, sp_array_info *info,
                             sp_error *err)
{
    sp_hdf5_array *a = sp_alloc(sizeof *a);
    sp_status st;
    if (!a)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    a->file = a->set = -1;
    a->name = sp_format("%s: %s", path, member ? member : "");
    member = a->name ? a->name + strlen(path) + 2 : NULL; /* the field points into it */
    spi_hdf5_enter();
    st = a->name ? open_array(a, path, member, err) : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    spi_hdf5_leave();
    *info = a->info;
    if (st == SP_OK)
        *out = a;
    else
        sp_hdf5_array_close(&a);
    return st;
}

void sp_hdf5_array_close(sp_hdf5_array **ap)
{
    sp_hdf5_array *a = ap ? *ap : NULL;
    if (!a)
        return;
    spi_hdf5_enter();
    if (a->set >= 0)
        H5Dclose(a->set);
    if (a->file >= 0)
        H5Fclose(a->file);
    spi_hdf5_leave();
    sp_free(a->name);
    sp_free(a);
    *ap = NULL;
}

sp_status sp_hdf5_array_read(const sp_hdf5_array *a, int64_t first, size_t n, bool as_double, void *out,
                             sp_error *err)
{
    hsize_t start[SP_TENSOR_MAX_DIMS] = {0}, count[SP_TENSOR_MAX_DIMS], items = n;
    hid_t space, memory, type = as_double ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
    bool ok;
    if (n == 0)
        return SP_OK;
    for (int k = 1; k < a->info.rank; k++)
        count[k] = (hsize_t)a->info.dims[k];
    start[0] = (hsize_t)(first / a->row);
    count[0] = n / (size_t)a->row;
    spi_hdf5_enter();
    space = H5Dget_space(a->set), memory = H5Screate_simple(1, &items, NULL);
    if (a->field) {
        hid_t record = H5Tcreate(H5T_COMPOUND, H5Tget_size(type));
        ok = record >= 0 && H5Tinsert(record, a->field, 0, type) >= 0;
        type = record;
    }
    ok = space >= 0 && memory >= 0 && type >= 0 &&
         H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
         H5Dread(a->set, type, memory, space, H5P_DEFAULT, out) >= 0;
    if (a->field && type >= 0)
        H5Tclose(type);
    if (memory >= 0)
        H5Sclose(memory);
    if (space >= 0)
        H5Sclose(space);
    spi_hdf5_leave();
    return ok ? SP_OK
              : SP_FAIL(err, SP_E_DATA,
                        "%s: items %lld to %lld cannot be read: truncated, damaged, or stored with a filter "
                        "that libhdf5 does not have here",
                        a->name, (long long)first, (long long)first + (long long)n - 1);
}
#else
bool sp_hdf5_present(const char *path, const char *member)
{
    (void)path;
    return member != NULL; /* so that opening it says what is missing */
}

sp_status sp_hdf5_array_open(const char *path, const char *member, sp_hdf5_array **out, sp_array_info *info,
                             sp_error *err)
{
    (void)member, (void)out, (void)info;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: spikeport was built without HDF5; install libhdf5-dev and configure with "
                   "-DSPIKEPORT_WITH_HDF5=ON",
                   path);
}

void sp_hdf5_array_close(sp_hdf5_array **a)
{
    (void)a;
}

sp_status sp_hdf5_array_read(const sp_hdf5_array *a, int64_t first, size_t n, bool as_double, void *out,
                             sp_error *err)
{
    (void)a, (void)first, (void)n, (void)as_double, (void)out;
    return SP_FAIL(err, SP_E_DATA, "built without HDF5");
}
#endif
