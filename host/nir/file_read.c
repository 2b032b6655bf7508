/* NIR graphs from HDF5 files: /version, and in /node `type`, `nodes`, `edges` and `metadata`. Nothing of a
 * file is trusted: kinds, sizes and names are checked before memory is taken. */
#include "nir/nir.h"

#include "base/error.h"

#ifdef SP_WITH_HDF5
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"

enum { MOST_NAME_BYTES = 200, MOST_DEPTH = 8, MOST_EDGES = 1 << 15, MOST_VALUES = 64 };
static const int64_t most_elems = (int64_t)1 << 28;

typedef struct reader {
    sp_nir *g;
    int64_t elems; /* so far */
    sp_error *err;
} reader;

static sp_status damaged(const sp_nir *g, const char *where, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: %s: %s", g->path, where, what);
}

static sp_status no_memory(const sp_nir *g, sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for a NIR graph", g->path);
}

/* ---- reading ---- */

/* A text without dimensions, of variable or fixed length; NULL: it is another thing. For sp_free. */
static char *read_text(hid_t set)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set), memory = -1;
    char *out = NULL;
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING &&
        H5Sget_simple_extent_npoints(space) == 1) {
        bool variable = H5Tis_variable_str(type) > 0;
        size_t bytes = H5Tget_size(type);
        memory = H5Tcopy(H5T_C_S1);
        H5Tset_cset(memory, H5Tget_cset(type));
        H5Tset_size(memory, variable ? H5T_VARIABLE : bytes + 1);
        char *text = NULL, *fixed = variable || bytes > 4096 ? NULL : sp_alloc(bytes + 1);
        if (variable && H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) >= 0 && text)
            out = sp_strndup(text, 4096);
        else if (fixed && H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, fixed) >= 0)
            out = sp_strdup(fixed);
        if (text)
            H5Dvlen_reclaim(memory, space, H5P_DEFAULT, &text);
        sp_free(fixed);
    }
    if (memory >= 0)
        H5Tclose(memory);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return out;
}

static char *read_text_at(hid_t group, const char *name)
{
    hid_t set = H5Lexists(group, name, H5P_DEFAULT) > 0 ? H5Dopen2(group, name, H5P_DEFAULT) : -1;
    char *text = set >= 0 ? read_text(set) : NULL;
    if (set >= 0)
        H5Dclose(set);
    return text;
}

static sp_status read_numbers(reader *r, hid_t set, const char *where, sp_nir_node *node, const char *key)
{
    hsize_t dims[SP_NIR_MOST_DIMS];
    int64_t shape[SP_NIR_MOST_DIMS] = {0}, n = 0;
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    bool fits = rank >= 0 && rank <= SP_NIR_MOST_DIMS && (class == H5T_FLOAT || class == H5T_INTEGER) &&
                H5Sget_simple_extent_type(space) != H5S_NULL;
    if (fits && rank > 0)
        fits = H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    for (int i = 0; fits && i < rank; i++)
        shape[i] = dims[i] > (hsize_t)most_elems ? -1 : (int64_t)dims[i];
    fits = fits && sp_size_product(shape, (size_t)rank, &n) && sp_size_add(&r->elems, n) &&
           r->elems <= most_elems;
    H5Sclose(space);
    H5Tclose(type);
    if (!fits)
        return damaged(r->g, where, "neither a text nor an array of up to 5 dimensions and 2^28 numbers",
                       r->err);
    sp_nir_value *v = sp_nir_add_value(node, key, rank, shape, class == H5T_INTEGER);
    if (!v)
        return no_memory(r->g, r->err);
    return H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v->x) < 0
               ? damaged(r->g, where, "cannot be read: truncated or damaged", r->err)
               : SP_OK;
}

/* Data sets of a group as values with their names behind `prefix`; groups in it are left to the caller. */
static sp_status read_values(reader *r, hid_t group, const char *prefix, sp_nir_node *node)
{
    H5G_info_t info;
    if (H5Gget_info(group, &info) < 0 || info.nlinks > MOST_VALUES)
        return damaged(r->g, node->name, "no group, or one of more than 64 parameters", r->err);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[MOST_NAME_BYTES], where[2 * MOST_NAME_BYTES + 32], key[MOST_NAME_BYTES + 16];
        ssize_t n =
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        if (n <= 0 || (size_t)n >= sizeof name)
            return damaged(r->g, node->name, "a parameter without a name of up to 199 bytes", r->err);
        snprintf(where, sizeof where, "%.200s: %s", node->name, name);
        snprintf(key, sizeof key, "%s%s", prefix, name);
        hid_t set = H5Oopen(group, name, H5P_DEFAULT);
        bool is_set = set >= 0 && H5Iget_type(set) == H5I_DATASET;
        char *text = is_set ? read_text(set) : NULL;
        sp_status st = SP_OK;
        if (text)
            st = sp_nir_add_text(node, key, text) ? SP_OK : no_memory(r->g, r->err);
        else if (is_set)
            st = read_numbers(r, set, where, node, key);
        sp_free(text);
        if (set >= 0)
            H5Oclose(set);
        SP_TRY(st);
    }
    return SP_OK;
}

static hid_t open_group(hid_t at, const char *name)
{
    hid_t group = H5Lexists(at, name, H5P_DEFAULT) > 0 ? H5Oopen(at, name, H5P_DEFAULT) : -1;
    if (group >= 0 && H5Iget_type(group) != H5I_GROUP) {
        H5Oclose(group);
        return -1;
    }
    return group;
}

static sp_status read_graph(reader *r, hid_t group, const char *prefix, int depth);

static sp_status read_node(reader *r, hid_t group, const char *name, int depth)
{
    char *type = read_text_at(group, "type");
    if (!type)
        return damaged(r->g, name, "a node without a text \"type\"", r->err);
    char inner[MOST_NAME_BYTES + 2];
    bool graph = strcmp(type, "NIRGraph") == 0;
    sp_nir_node *node = graph ? NULL : sp_nir_add(r->g, name, type);
    sp_free(type);
    if (graph) {
        int n = snprintf(inner, sizeof inner, "%s.", name);
        return n < 0 || n >= MOST_NAME_BYTES ? damaged(r->g, name, "a name of 200 bytes or more", r->err)
                                             : read_graph(r, group, inner, depth + 1);
    }
    if (!node)
        return no_memory(r->g, r->err);
    SP_TRY(read_values(r, group, "", node));
    hid_t metadata = open_group(group, "metadata");
    sp_status st = metadata >= 0 ? read_values(r, metadata, "metadata.", node) : SP_OK;
    if (metadata >= 0)
        H5Gclose(metadata);
    return st;
}

static sp_status read_nodes(reader *r, hid_t nodes, const char *prefix, int depth)
{
    H5G_info_t info;
    if (H5Gget_info(nodes, &info) < 0 || info.nlinks > SP_NIR_MOST_NODES)
        return damaged(r->g, "nodes", "no group, or more than 10000 nodes", r->err);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[MOST_NAME_BYTES], full[2 * MOST_NAME_BYTES];
        ssize_t n =
            H5Lget_name_by_idx(nodes, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        if (n <= 0 || (size_t)n >= sizeof name)
            return damaged(r->g, "nodes", "a node without a name of up to 199 bytes", r->err);
        snprintf(full, sizeof full, "%s%s", prefix, name);
        hid_t group = open_group(nodes, name);
        sp_status st = strlen(full) >= MOST_NAME_BYTES
                           ? damaged(r->g, full, "a name of 200 bytes or more", r->err)
                       : group < 0 ? damaged(r->g, full, "a node that is no group", r->err)
                                   : read_node(r, group, full, depth);
        if (group >= 0)
            H5Gclose(group);
        SP_TRY(st);
        if (r->g->n > SP_NIR_MOST_NODES)
            return damaged(r->g, "nodes", "more than 10000 nodes", r->err);
    }
    return SP_OK;
}

/* The node of that name, or the end of an inner graph. -1: there is none. */
static int64_t find_end(const sp_nir *g, const char *prefix, const char *name, const char *end)
{
    char full[2 * MOST_NAME_BYTES + 16], inner[2 * MOST_NAME_BYTES + 32];
    snprintf(full, sizeof full, "%.200s%.200s", prefix, name);
    snprintf(inner, sizeof inner, "%s.%s", full, end);
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->nodes[i].name, full) == 0 || strcmp(g->nodes[i].name, inner) == 0)
            return (int64_t)i;
    return -1;
}

static sp_status add_edges(reader *r, char **names, size_t n, const char *prefix)
{
    for (size_t i = 0; i < n; i++) {
        const char *from = names[2 * i], *to = names[2 * i + 1];
        int64_t a = from ? find_end(r->g, prefix, from, "output") : -1,
                b = to ? find_end(r->g, prefix, to, "input") : -1;
        if (a < 0 || b < 0)
            return SP_FAIL(r->err, SP_E_DATA, "%s: edges: \"%.80s\" to \"%.80s\": there is no such node",
                           r->g->path, from ? from : "", to ? to : "");
        if (!sp_nir_add_edge(r->g, (size_t)a, (size_t)b))
            return no_memory(r->g, r->err);
    }
    return SP_OK;
}

static sp_status read_edges(reader *r, hid_t group, const char *prefix)
{
    hsize_t dims[2] = {0, 0};
    hid_t set = H5Lexists(group, "edges", H5P_DEFAULT) > 0 ? H5Dopen2(group, "edges", H5P_DEFAULT) : -1;
    hid_t space = set >= 0 ? H5Dget_space(set) : -1, type = set >= 0 ? H5Dget_type(set) : -1,
          memory = H5Tcopy(H5T_C_S1);
    bool good = space >= 0 && H5Sget_simple_extent_ndims(space) == 2 &&
                H5Sget_simple_extent_dims(space, dims, NULL) == 2 && dims[1] == 2 && dims[0] <= MOST_EDGES &&
                type >= 0 && H5Tis_variable_str(type) > 0;
    char **names = good ? sp_alloc_array((size_t)dims[0] * 2 + 1, sizeof *names) : NULL;
    sp_status st = SP_OK;
    if (!good)
        st = damaged(r->g, "edges", "no table of pairs of names", r->err);
    else if (!names)
        st = no_memory(r->g, r->err);
    if (st == SP_OK && dims[0] > 0) {
        H5Tset_size(memory, H5T_VARIABLE);
        H5Tset_cset(memory, H5Tget_cset(type));
        st = H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) < 0
                 ? damaged(r->g, "edges", "cannot be read: truncated or damaged", r->err)
                 : add_edges(r, names, (size_t)dims[0], prefix);
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, names);
    }
    sp_free(names);
    H5Tclose(memory);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return st;
}

static sp_status read_graph(reader *r, hid_t group, const char *prefix, int depth)
{
    if (depth > MOST_DEPTH)
        return damaged(r->g, prefix, "more than 8 graphs in one another", r->err);
    hid_t nodes = open_group(group, "nodes");
    if (nodes < 0)
        return damaged(r->g, *prefix ? prefix : "node", "a graph without a group \"nodes\"", r->err);
    sp_status st = read_nodes(r, nodes, prefix, depth);
    H5Gclose(nodes);
    return st == SP_OK ? read_edges(r, group, prefix) : st;
}

/* A link, external storage or a virtual data set would read another file, which whoever wrote this one could
 * choose. */
static herr_t lies_elsewhere(hid_t group, const char *name, const H5L_info_t *link, void *where)
{
    bool elsewhere = link->type != H5L_TYPE_HARD && link->type != H5L_TYPE_SOFT;
    hid_t object = elsewhere ? -1 : H5Oopen(group, name, H5P_DEFAULT);
    hid_t made = object >= 0 && H5Iget_type(object) == H5I_DATASET ? H5Dget_create_plist(object) : -1;
    if (made >= 0) {
        elsewhere = H5Pget_layout(made) == H5D_VIRTUAL || H5Pget_external_count(made) > 0;
        H5Pclose(made);
    }
    if (object >= 0)
        H5Oclose(object);
    if (elsewhere)
        snprintf(where, MOST_NAME_BYTES, "%s", name);
    return elsewhere;
}

static sp_status read_file(reader *r, hid_t file)
{
    char where[MOST_NAME_BYTES];
    if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, lies_elsewhere, where) > 0)
        return damaged(r->g, where, "lies in another file, which is not read from here", r->err);
    char *type = NULL;
    hid_t node = open_group(file, "node");
    type = node >= 0 ? read_text_at(node, "type") : NULL;
    bool graph = type && strcmp(type, "NIRGraph") == 0;
    sp_free(type);
    sp_status st =
        graph ? read_graph(r, node, "", 0)
              : damaged(r->g, "/node", "no graph of NIR; such a file is written by nir.write", r->err);
    hid_t metadata = st == SP_OK ? open_group(node, "metadata") : -1;
    if (metadata >= 0) {
        sp_nir_node about = {.name = (char[]){"metadata"}};
        st = read_values(r, metadata, "", &about);
        const sp_nir_value *dt = sp_nir_find(&about, "dt");
        r->g->dt = dt && dt->x && dt->n == 1 && dt->x[0] > 0 ? dt->x[0] : 0;
        for (size_t i = 0; i < about.n; i++) {
            sp_free(about.values[i].key);
            sp_free(about.values[i].text);
            sp_free(about.values[i].x);
        }
        sp_free(about.values);
        H5Gclose(metadata);
    }
    if (node >= 0)
        H5Gclose(node);
    return st;
}

sp_status sp_nir_read(const char *path, sp_nir *out, sp_error *err)
{
    *out = (sp_nir){.path = sp_strdup(path)};
    reader r = {.g = out, .err = err};
    if (!out->path)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for a NIR graph", path);
    int fd = sp_file_open(path, err);
    if (fd < 0)
        return SP_E_IO;
    close(fd);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* our errors name file and place instead */
    hid_t file = H5Fis_hdf5(path) > 0 ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (file < 0)
        return damaged(out, "byte 0", "no HDF5 file, or a truncated one", err);
    sp_status st = read_file(&r, file);
    H5Fclose(file);
    return st;
}

#else

sp_status spi_nir_without_hdf5(const char *path, sp_error *err)
{
    return SP_FAIL(err, SP_E_CONFIG,
                   "%s: NIR files are HDF5, and this program was built without it; install libhdf5-dev and "
                   "build again",
                   path);
}

sp_status sp_nir_read(const char *path, sp_nir *out, sp_error *err)
{
    *out = (sp_nir){0};
    return spi_nir_without_hdf5(path, err);
}
#endif
