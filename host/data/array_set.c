/* A person's own arrays as a data set: inputs and labels from .npy, .npz or HDF5 files, and test arrays
 * beside them or a part of the same arrays. Bytes are scaled to 0..1, everything else is taken as it is. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/size.h"
#include "data/array.h"
#include "data/augment.h"
#include "data/events.h"
#include "data/readers.h"

enum { MOST_SIDE = 1 << 16, MOST_ITEMS = 1 << 30 };

typedef struct array_state {
    sp_array *inputs;
    int32_t *labels; /* [n]; NULL: there are targets, or none are known */
    float *targets;  /* [n][n_targets] */
    int n_targets;
    sp_frame_shape shape;
    int64_t count;
    size_t stride[4], items; /* of t, h, w, c in a sample of the file; items of a sample */
    bool in_order;           /* the file has the order of the network */
    bool scaled;             /* bytes, over 255 */
    sp_augment augment;
    sp_normal normal;
    uint64_t seed;
} array_state;

typedef struct names {
    const char *inputs, *labels, *test_inputs, *test_labels;
} names;

/* What people call their arrays, in the order of preference. */
static const names usual[] = {{"x_train", "y_train", "x_test", "y_test"},
                              {"X_train", "y_train", "X_test", "y_test"},
                              {"train_images", "train_labels", "test_images", "test_labels"},
                              {"train_frames", "train_labels", "test_frames", "test_labels"},
                              {"images", "labels", "test_images", "test_labels"},
                              {"frames", "labels", "test_frames", "test_labels"},
                              {"inputs", "labels", "test_inputs", "test_labels"},
                              {"inputs", "targets", "test_inputs", "test_targets"},
                              {"x", "y", "x_test", "y_test"},
                              {"X", "y", "X_test", "y_test"}};
enum { N_USUAL = sizeof usual / sizeof *usual };

/* File and member of an array; *member NULL: the file is the array. */
static char *place(const char *path, const char *name, const char **member)
{
    bool folder = sp_path_is_folder(path), ends = sp_name_ends_in(-1, name, ".npy");
    *member = folder ? NULL : name;
    return folder ? sp_format("%s/%s%s", path, name, ends ? "" : ".npy") : sp_strdup(path);
}

static bool there(const char *path, const char *name)
{
    const char *member;
    char *file = name ? place(path, name, &member) : NULL;
    bool found = file && sp_array_present(file, member);
    sp_free(file);
    return found;
}

/* The names that are asked for, else the first usual ones that are there, else the first ones of which the
 * inputs are there, else for a file the very first: opening them says what is missing or damaged. */
static names find_names(const char *path, const sp_dataset_options *o)
{
    const sp_array_options *a = &o->arrays;
    names n = {a->inputs, a->labels, a->test_inputs, a->test_labels};
    bool file = sp_path_exists(path) && !sp_path_is_folder(path);
    size_t most = a->inputs ? N_USUAL : N_USUAL + N_USUAL + file;
    for (size_t i = 0; i < most && !(n.inputs && n.labels); i++) {
        const names *u = &usual[i % N_USUAL];
        if (i < 2 * N_USUAL && !there(path, n.inputs ? n.inputs : u->inputs))
            continue;
        if (i < N_USUAL && !there(path, n.labels ? n.labels : u->labels))
            continue;
        n.inputs = n.inputs ? n.inputs : u->inputs;
        n.labels = n.labels ? n.labels : u->labels;
        if (!a->test_inputs && there(path, u->test_inputs))
            n.test_inputs = u->test_inputs;
        if (!a->test_labels && there(path, u->test_labels))
            n.test_labels = u->test_labels;
    }
    return n;
}

unsigned sp_arrays_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)
{
    names n = find_names(folder, o);
    bool given = o->arrays.inputs && sp_path_exists(folder); /* opening it says what is wrong */
    (void)kind;
    if (!given && !(n.inputs && n.labels))
        return 0;
    return n.test_inputs ? SP_PART_TRAIN | SP_PART_TEST : SP_PART_WHOLE;
}

static sp_status open_array(const char *path, const char *name, const char *key, sp_array **out,
                            sp_error *err)
{
    const char *member;
    char *file;
    sp_status st;
    if (!name)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"arrays\": %s: no array is named by data.arrays.%s", path,
                       key);
    file = place(path, name, &member);
    st = file ? sp_array_open(file, member, out, err) : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    sp_free(file);
    return st;
}

/* The letters of the axes, of which `one` sample may lack the first; NULL after an error. */
static const char *find_axes(const sp_array *a, int choice, bool one, sp_error *err)
{
    static const char *const letters[] = {SP_AXES_NAMES};
    static const char *const by_rank[] = {NULL, NULL, "NC", "NHW", NULL, "NTCHW"};
    const sp_array_info *i = sp_array_about(a);
    const char *axes = choice ? letters[choice] : i->rank < 6 ? by_rank[i->rank] : NULL;
    sp_text shape = {0};
    if (axes && ((int)strlen(axes) == i->rank || (one && (int)strlen(axes) == i->rank + 1)))
        return axes;
    for (int k = 0; k < i->rank; k++)
        sp_text_add(&shape, k ? "x%lld" : "%lld", (long long)i->dims[k]);
    if (axes)
        SP_FAIL(err, SP_E_CONFIG, "%s: an array of %s, which data.arrays.axes %s does not fit",
                sp_array_name(a), shape.s ? shape.s : "one number", axes);
    else
        SP_FAIL(err, SP_E_CONFIG,
                "%s: an array of %s; say with data.arrays.axes what its dimensions are: NHWC, NCHW, NTHW, or "
                "others",
                sp_array_name(a), shape.s ? shape.s : "one number");
    sp_text_free(&shape);
    return NULL;
}

static sp_status find_shape(array_state *s, const char *axes, sp_error *err)
{
    static const char order[] = "THWC";
    const sp_array_info *i = sp_array_about(s->inputs);
    int64_t size[4] = {0, 1, 1, 1}, items = 1;
    int several = i->rank == (int)strlen(axes); /* else one sample, without the first axis */
    s->count = several ? i->dims[0] : 1;
    for (int k = i->rank - 1; k >= several; k--) {
        const char letter = axes[k + 1 - several];
        size_t at = (size_t)(strchr(order, letter == 'L' ? 'W' : letter) - order);
        if (i->dims[k] < 1 || i->dims[k] > MOST_SIDE)
            return SP_FAIL(err, SP_E_DATA, "%s: dimension %d is %lld; 1 to %d are read",
                           sp_array_name(s->inputs), k, (long long)i->dims[k], MOST_SIDE);
        size[at] = i->dims[k];
        s->stride[at] = (size_t)items;
        if (!SP_SIZE_MUL(&items, items, i->dims[k]) || items > MOST_ITEMS)
            return SP_FAIL(err, SP_E_DATA, "%s: a sample has more than %d items", sp_array_name(s->inputs),
                           MOST_ITEMS);
    }
    s->shape = (sp_frame_shape){(int)size[0], (int)size[1], (int)size[2], (int)size[3]};
    s->items = (size_t)items;
    s->in_order = !strchr(axes, 'C') || axes[strlen(axes) - 1] == 'C';
    s->scaled = strcmp(i->dtype, "U8") == 0;
    return SP_OK;
}

/* The labels or targets that an array holds into the state, or without `keep` only their number. */
static sp_status take_labels(array_state *s, const sp_array *a, bool keep, const sp_dataset_options *o,
                             int64_t *n, int *classes, sp_error *err)
{
    size_t items = (size_t)sp_array_about(a)->items;
    *n = sp_array_about(a)->rank ? sp_array_about(a)->dims[0] : 0;
    if (keep && o->targets)
        s->targets = sp_alloc_array(items, sizeof *s->targets);
    else if (keep)
        s->labels = sp_alloc_array(items, sizeof *s->labels);
    if (keep && !s->targets && !s->labels)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", sp_array_name(a));
    if (!o->targets)
        return sp_array_labels(a, keep ? s->labels : NULL, n, classes, err);
    SP_TRY(sp_array_targets(a, o->targets, keep ? s->targets : NULL, &s->n_targets, err));
    *classes = s->n_targets;
    return SP_OK;
}

/* Labels of the part, and the classes of both, so that they agree. */
static sp_status find_labels(array_state *s, const char *path, const names *n, const sp_dataset_options *o,
                             int *classes, sp_error *err)
{
    sp_array *a = NULL;
    int64_t count = 0, samples = sp_array_about(s->inputs)->dims[0];
    bool train = o->train || o->whole;
    sp_status st;
    SP_TRY_GOTO(
        open_array(path, train ? n->labels : n->test_labels, train ? "labels" : "test_labels", &a, err));
    SP_TRY_GOTO(take_labels(s, a, true, o, &count, classes, err));
    if (count != samples)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA, "%s: %lld samples, but %s: %lld labels; they are not of one set",
                            sp_array_name(s->inputs), (long long)samples, sp_array_name(a),
                            (long long)count));
    sp_array_close(&a);
    if (n->test_labels && !o->whole && n->labels) {
        SP_TRY_GOTO(open_array(path, train ? n->test_labels : n->labels, "labels", &a, err));
        SP_TRY_GOTO(take_labels(s, a, false, o, &count, classes, err));
    }
    if (o->classes && *classes > o->classes)
        st = SP_FAIL(err, SP_E_DATA, "%s: the labels make %d classes, but data.classes is %d", path, *classes,
                     o->classes);
    else if (o->classes)
        *classes = o->classes;
done:
    sp_array_close(&a);
    return st;
}

static int32_t array_label(const sp_dataset *ds, size_t i)
{
    const array_state *s = ds->state;
    return s->labels ? s->labels[i] : s->targets ? 0 : -1;
}

static void array_target(const sp_dataset *ds, size_t i, float *out)
{
    const array_state *s = ds->state;
    size_t n = (size_t)s->n_targets;
    memcpy(out, s->targets + i * n, n * sizeof *out);
}

static sp_status array_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                           sp_error *err)
{
    const array_state *s = ds->state;
    size_t channels = (size_t)s->shape.polarities, width = (size_t)s->shape.width,
           height = (size_t)s->shape.height;
    float *read = image;
    sp_status st;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    if (!s->in_order && !(read = sp_alloc_array(s->items, sizeof *read)))
        return SP_FAIL(err, SP_E_MEMORY, "data set \"arrays\": no memory for a sample");
    st = sp_array_floats(s->inputs, (int64_t)(want.index * s->items), s->items, read, err);
    for (size_t k = 0; st == SP_OK && sp_array_is_real(s->inputs) && k < s->items; k++)
        if (!isfinite(read[k]))
            st = SP_FAIL(err, SP_E_DATA, "%s: sample %zu: item %zu is %s; leave the sample out, or mend it",
                         sp_array_name(s->inputs), want.index, k, isnan(read[k]) ? "NaN" : "infinite");
    for (size_t k = 0; st == SP_OK && read != image && k < s->items; k++) {
        size_t pixel = k / channels, row = pixel / width;
        image[k] = read[k % channels * s->stride[3] + pixel % width * s->stride[2] +
                        row % height * s->stride[1] + row / height * s->stride[0]];
    }
    if (read != image)
        sp_free(read);
    SP_TRY(st);
    for (size_t k = 0; s->scaled && k < s->items; k++)
        image[k] /= 255.0f;
    *label = array_label(ds, want.index);
    return sp_frames_finish(&s->shape, &s->augment, &s->normal, s->seed, want, image, err);
}

static void array_source(const sp_dataset *ds, size_t i, sp_text *out)
{
    const array_state *s = ds->state;
    sp_text_add(out, "%s[%zu]", sp_array_name(s->inputs), i);
}

static void state_free(array_state *s)
{
    sp_array_close(&s->inputs);
    sp_free(s->labels);
    sp_free(s->targets);
    sp_free(s);
}

static void array_close(sp_dataset *ds)
{
    state_free(ds->state);
}

static void say_choices(const array_state *s, const char *axes, int classes, const sp_dataset_options *o)
{
    const sp_array_info *i = sp_array_about(s->inputs);
    if (o->train)
        sp_log(SP_LOG_INFO,
               "data set \"arrays\": %s: %lld samples of %dx%dx%d (channels x height x width)%s, axes %s, %d "
               "%s",
               sp_array_name(s->inputs), (long long)i->dims[0], s->shape.polarities, s->shape.height,
               s->shape.width, s->scaled ? ", bytes scaled to 0..1" : ", values as they are", axes, classes,
               s->n_targets ? "targets" : "classes");
}

/* The inputs of one file of the options, whose labels nobody knows; in a .npz or HDF5 file by a name of the
 * recipe, or a usual one. */
static sp_status open_file(array_state *s, const sp_dataset_options *o, sp_error *err)
{
    const char *tried[2 + 2 * N_USUAL] = {o->arrays.test_inputs, o->arrays.inputs};
    bool alone = sp_name_ends_in(-1, o->file, ".npy");
    size_t n = 2, k = 0;
    for (size_t i = 0; i < N_USUAL; i++) {
        tried[n++] = usual[i].inputs;
        tried[n++] = usual[i].test_inputs;
    }
    while (!alone && k < n - 1 && !(tried[k] && sp_array_present(o->file, tried[k])))
        k++;
    return sp_array_open(o->file, alone ? NULL : tried[k], &s->inputs, err);
}

sp_status sp_arrays_open(const sp_kind *kind, const char *path, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err)
{
    array_state *s = sp_alloc(sizeof *s);
    names n = o->file ? (names){0} : find_names(path, o);
    bool train = o->train || o->whole;
    const char *axes;
    int classes = 0;
    sp_status st;
    (void)kind;
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening arrays");
    if (o->arrays.test_labels && !n.test_inputs && !o->file)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_CONFIG,
                            "data set \"arrays\": arrays.test_labels is \"%s\", but there are no test "
                            "inputs; set data.arrays.test_inputs too, or leave it out",
                            o->arrays.test_labels));
    s->seed = o->seed;
    if (o->train)
        s->augment = o->augment;
    SP_TRY_GOTO(o->file ? open_file(s, o, err)
                        : open_array(path, train ? n.inputs : n.test_inputs, train ? "inputs" : "test_inputs",
                                     &s->inputs, err));
    axes = find_axes(s->inputs, o->arrays.axes, o->file != NULL, err);
    if (!axes)
        SP_TRY_GOTO(SP_E_CONFIG);
    SP_TRY_GOTO(find_shape(s, axes, err));
    SP_TRY_GOTO(sp_normal_init(&s->normal, o, s->shape.polarities, err));
    if (!o->file)
        SP_TRY_GOTO(find_labels(s, path, &n, o, &classes, err));
    if (classes < 2 && !s->n_targets)
        classes = 2;
    ds->info = (sp_dataset_info){.count = (size_t)s->count,
                                 .classes = classes,
                                 .targets = s->n_targets,
                                 .frames = s->shape.frames,
                                 .channels = s->shape.polarities,
                                 .height = s->shape.height,
                                 .width = s->shape.width};
    if (ds->info.count == 0)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA, "%s: the array has no samples", sp_array_name(s->inputs)));
    if (s->shape.frames == 0)
        s->shape.frames = 1;
    say_choices(s, axes, classes, o);
    ds->state = s;
    ds->get = array_get;
    ds->label = array_label;
    ds->target = array_target;
    ds->source = array_source;
    ds->close = array_close;
done:
    if (st != SP_OK)
        state_free(s);
    return st;
}
