/* NIR graphs as HDF5 files, made in memory and written at once. */
#include "nir/nir.h"

#include "base/error.h"

#ifdef SP_WITH_HDF5
#include <hdf5.h>
#include <string.h>

#include "base/file.h"

static const char version[] = "1.0";

static hid_t make_text(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static hid_t make_packed(int rank, const hsize_t *dims)
{
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, rank, dims);
    H5Pset_deflate(how, 4);
    return how;
}

static bool write_text(hid_t group, const char *name, const char *const *texts, int rank, const hsize_t *dims)
{
    hid_t type = make_text(), space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool good = set >= 0 && ((rank && dims[0] == 0) ||
                             H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, (const void *)texts) >= 0);
    if (set >= 0)
        H5Dclose(set);
    H5Tclose(type);
    H5Sclose(space);
    return good;
}

/* Arrays are packed, as nir.write does it, single numbers are not. */
static bool write_numbers(hid_t group, const char *name, const sp_nir_value *v)
{
    hsize_t dims[SP_NIR_MOST_DIMS];
    for (int i = 0; i < v->n_dims; i++)
        dims[i] = (hsize_t)v->shape[i];
    hid_t space = v->n_dims ? H5Screate_simple(v->n_dims, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t how = v->n_dims && v->n > 0 ? make_packed(v->n_dims, dims) : H5Pcreate(H5P_DATASET_CREATE);
    hid_t type = v->whole ? H5T_STD_I64LE : v->n_dims ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
    hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    bool good = set >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v->x) >= 0;
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
    return good;
}

static bool write_node(hid_t nodes, const sp_nir_node *node)
{
    static const char prefix[] = "metadata.";
    hid_t group = H5Gcreate2(nodes, node->name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), metadata = -1;
    bool good = group >= 0 && write_text(group, "type", (const char *const *)&node->type, 0, NULL);
    for (size_t i = 0; good && i < node->n; i++) {
        const sp_nir_value *v = &node->values[i];
        bool about = strncmp(v->key, prefix, sizeof prefix - 1) == 0;
        if (about && metadata < 0)
            metadata = H5Gcreate2(group, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        hid_t to = about ? metadata : group;
        const char *key = v->key + (about ? sizeof prefix - 1 : 0);
        good = to >= 0 && (v->text ? write_text(to, key, (const char *const *)&v->text, 0, NULL)
                                   : write_numbers(to, key, v));
    }
    if (metadata >= 0)
        H5Gclose(metadata);
    if (group >= 0)
        H5Gclose(group);
    return good;
}

static bool write_graph(hid_t file, const void *what)
{
    const sp_nir *g = what;
    const char *about = version, *type = "NIRGraph";
    const char **names = sp_alloc_array(2 * g->n_edges + 1, sizeof *names);
    hid_t node = H5Gcreate2(file, "node", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
          nodes = H5Gcreate2(node, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
          metadata = H5Gcreate2(node, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    double seconds = g->dt;
    const sp_nir_value dt = {.x = &seconds, .n = 1};
    bool good = names && nodes >= 0 && metadata >= 0 && write_text(file, "version", &about, 0, NULL) &&
                write_text(node, "type", &type, 0, NULL) && write_numbers(metadata, "dt", &dt);
    for (size_t i = 0; good && i < g->n; i++)
        good = write_node(nodes, &g->nodes[i]);
    for (size_t i = 0; good && i < g->n_edges; i++) {
        names[2 * i] = g->nodes[g->edges[i].from].name;
        names[2 * i + 1] = g->nodes[g->edges[i].to].name;
    }
    good = good && write_text(node, "edges", names, 2, (const hsize_t[]){g->n_edges, 2});
    H5Gclose(metadata);
    H5Gclose(nodes);
    H5Gclose(node);
    sp_free(names);
    return good;
}

static bool write_attribute(hid_t to, const char *name, const char *text, double number)
{
    hid_t space = H5Screate(H5S_SCALAR), type = text ? make_text() : H5Tcopy(H5T_IEEE_F64LE);
    hid_t set = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = set >= 0 && H5Awrite(set, text ? type : H5T_NATIVE_DOUBLE,
                                     text ? (const void *)&text : (const void *)&number) >= 0;
    if (set >= 0)
        H5Aclose(set);
    H5Tclose(type);
    H5Sclose(space);
    return good;
}

/* bool, as h5py writes it. */
static hid_t make_bool(void)
{
    hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
    for (int8_t k = 0; k < 2; k++)
        H5Tenum_insert(type, k ? "TRUE" : "FALSE", &k);
    return type;
}

/* [h][w][c] of each frame becomes [c][h][w]; spikes become bytes. */
static void reorder(const sp_nir_observable *o, int64_t frames, void *out)
{
    const int64_t pixels = o->h * o->w, n = pixels * o->c;
    for (int64_t i = 0; i < frames * n; i++) {
        const int64_t at = i / n * n + i % n % o->c * pixels + i % n / o->c;
        if (o->spikes)
            ((int8_t *)out)[at] = (int8_t)o->x[i];
        else
            ((int32_t *)out)[at] = o->x[i];
    }
}

static bool write_observable(hid_t observables, const sp_nir_observables *all, const sp_nir_observable *o)
{
    const hsize_t dims[3] = {(hsize_t)all->samples, (hsize_t)all->time_steps, (hsize_t)(o->h * o->w * o->c)};
    const void *ready = o->real ? (const void *)o->real : o->fired;
    void *x = sp_alloc_array(ready ? 1 : (size_t)(dims[0] * dims[1] * dims[2]), sizeof(int32_t));
    hid_t group = H5Gcreate2(observables, o->key, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
          space = H5Screate_simple(3, dims, NULL), how = make_packed(3, dims),
          type = o->real                 ? H5Tcopy(H5T_IEEE_F32LE)
                 : o->fired || o->spikes ? make_bool()
                                         : H5Tcopy(H5T_STD_I32LE),
          set = -1;
    if (x && group >= 0) {
        if (!ready)
            reorder(o, all->samples * all->time_steps, x);
        set = H5Dcreate2(group, "data", type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    }
    const bool good = set >= 0 &&
                      H5Dwrite(set, ready || o->spikes ? type : H5T_NATIVE_INT32, H5S_ALL, H5S_ALL,
                               H5P_DEFAULT, ready ? ready : x) >= 0 &&
                      write_attribute(group, "__type__", "TimeGriddedData", 0) &&
                      write_attribute(group, "dt", NULL, all->dt);
    if (set >= 0)
        H5Dclose(set);
    H5Tclose(type);
    H5Pclose(how);
    H5Sclose(space);
    if (group >= 0)
        H5Gclose(group);
    sp_free(x);
    return good;
}

static bool write_data(hid_t file, const void *what)
{
    const sp_nir_observables *all = what;
    hid_t nodes = H5Gcreate2(file, "nodes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool good = nodes >= 0 && write_attribute(file, "__type__", "NIRGraphData", 0);
    for (size_t i = 0; good && i < all->n;) {
        const char *name = all->items[i].node;
        hid_t node = H5Gcreate2(nodes, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
              observables = H5Gcreate2(node, "observables", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        good = observables >= 0 && write_attribute(node, "__type__", "NIRNodeData", 0);
        for (; good && i < all->n && strcmp(all->items[i].node, name) == 0; i++)
            good = write_observable(observables, all, &all->items[i]);
        if (observables >= 0)
            H5Gclose(observables);
        if (node >= 0)
            H5Gclose(node);
    }
    if (nodes >= 0)
        H5Gclose(nodes);
    return good;
}

static sp_status write_file(const char *path, bool (*fill)(hid_t file, const void *what), const void *what,
                            sp_error *err)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t in_memory = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(in_memory, (size_t)1 << 20, 0);
    hid_t file = H5Fcreate("nir", H5F_ACC_TRUNC, H5P_DEFAULT, in_memory);
    bool good = file >= 0 && fill(file, what) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
    ssize_t n = good ? H5Fget_file_image(file, NULL, 0) : -1;
    void *image = n > 0 ? sp_alloc((size_t)n) : NULL;
    good = image && H5Fget_file_image(file, image, (size_t)n) == n;
    if (file >= 0)
        H5Fclose(file);
    H5Pclose(in_memory);
    sp_status st = good ? sp_file_replace(path, &(sp_bytes){image, (size_t)n}, 1, err)
                        : SP_FAIL(err, SP_E_FAILED, "%s: HDF5 could not make this file", path);
    sp_free(image);
    return st;
}

sp_status sp_nir_write(const char *path, const sp_nir *g, sp_error *err)
{
    return write_file(path, write_graph, g, err);
}

sp_status sp_nir_write_data(const char *path, const sp_nir_observables *all, sp_error *err)
{
    return write_file(path, write_data, all, err);
}

#else
sp_status sp_nir_write(const char *path, const sp_nir *g, sp_error *err)
{
    (void)g;
    return spi_nir_without_hdf5(path, err);
}

sp_status sp_nir_write_data(const char *path, const sp_nir_observables *all, sp_error *err)
{
    (void)all;
    return spi_nir_without_hdf5(path, err);
}
#endif
