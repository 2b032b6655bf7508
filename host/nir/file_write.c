/* NIR graphs as HDF5 files, made in memory and written at once. */
#include "nir/nir.h"

#include "base/error.h"

#ifdef SP_WITH_HDF5
#include <hdf5.h>
#include <string.h>

#include "base/file.h"

static const char version[] = "1.0";

static bool write_text(hid_t group, const char *name, const char *const *texts, int rank, const hsize_t *dims)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
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
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    if (v->n_dims && v->n > 0) {
        H5Pset_chunk(how, v->n_dims, dims);
        H5Pset_deflate(how, 4);
    }
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

static bool write_graph(hid_t file, const sp_nir *g)
{
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

sp_status sp_nir_write(const char *path, const sp_nir *g, sp_error *err)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t in_memory = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(in_memory, (size_t)1 << 20, 0);
    hid_t file = H5Fcreate("nir", H5F_ACC_TRUNC, H5P_DEFAULT, in_memory);
    bool good = file >= 0 && write_graph(file, g) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
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

#else
sp_status sp_nir_write(const char *path, const sp_nir *g, sp_error *err)
{
    (void)g;
    return spi_nir_without_hdf5(path, err);
}
#endif
