/* spikeport data inspect: counts, shapes, classes, values and a check sum of both splits, without
 * augmentation. The check sum is the CRC-32 of all samples as the network gets them, [T][H][W][C] in float32,
 * each followed by its label. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "cli/data.h"
#include "data/loader.h"

enum { BATCH = 32, BAR = 40, MAX_BARS = 40 };

typedef struct findings {
    const char *split;
    sp_dataset_info info;
    const sp_dataset *set;
    int64_t *per_class;
    double low, high;
    double sum[SP_MEANS], square[SP_MEANS]; /* by channel, where there are few */
    int64_t n;                              /* values of a channel */
    uint32_t crc;
} findings;

/* Frame `t` of sample `k` of a batch. */
static void add_frame(findings *f, const float *frame, size_t items)
{
    int channels = f->info.channels <= SP_MEANS ? f->info.channels : 1;
    f->crc = (uint32_t)crc32(f->crc, (const unsigned char *)frame, (uInt)(items * sizeof *frame));
    for (size_t i = 0; i < items; i++) {
        double v = (double)frame[i];
        size_t c = i % (size_t)channels;
        f->low = fmin(f->low, v);
        f->high = fmax(f->high, v);
        f->sum[c] += v;
        f->square[c] += v * v;
    }
    f->n += (int64_t)(items / (size_t)channels);
}

static sp_status add_batch(findings *f, const sp_batch *b, sp_error *err)
{
    size_t items = (size_t)f->info.height * (size_t)f->info.width * (size_t)f->info.channels;
    size_t frames = f->info.frames ? (size_t)f->info.frames : 1;
    for (size_t k = 0; k < b->n_valid; k++) {
        int32_t label = b->labels[k];
        if (label < 0 || label >= f->info.classes)
            return SP_FAIL(err, SP_E_DATA, "sample %zu has label %d, but there are %d classes",
                           b->index * BATCH + k + 1, (int)label, f->info.classes);
        for (size_t t = 0; t < frames; t++)
            add_frame(f, b->images + (t * BATCH + k) * items, items);
        f->crc = (uint32_t)crc32(f->crc, (const unsigned char *)&label, sizeof label);
        if (b->targets)
            f->crc =
                (uint32_t)crc32(f->crc, (const unsigned char *)(b->targets + k * (size_t)f->info.targets),
                                (uInt)((size_t)f->info.targets * sizeof *b->targets));
        f->per_class[label]++;
    }
    return SP_OK;
}

static sp_status read_all(const sp_recipe *r, const sp_dataset *ds, findings *f, sp_error *err)
{
    sp_loader_options o = {.batch = BATCH, .threads = (int)r->data.threads};
    sp_loader *l = NULL;
    const sp_batch *b = NULL;
    sp_status st = sp_loader_create(ds, &o, &l, err);
    if (st == SP_OK)
        st = sp_loader_start(l, 0, 0, err);
    while (st == SP_OK && (st = sp_loader_next(l, &b, err)) == SP_OK && b) {
        st = add_batch(f, b, err);
        sp_loader_release(l, b);
    }
    sp_loader_destroy(&l);
    return st;
}

static void moments(const findings *f, int c, double *mean, double *std)
{
    *mean = f->sum[c] / (double)f->n;
    *std = sqrt(fmax(0.0, f->square[c] / (double)f->n - *mean * *mean));
}

static sp_status print_json(const findings *f)
{
    json_t *classes = json_array(), *names = json_array(), *means = json_array(), *stds = json_array();
    int channels = f->info.channels <= SP_MEANS ? f->info.channels : 1;
    char crc[16];
    snprintf(crc, sizeof crc, "%08x", (unsigned)f->crc);
    for (int c = 0; c < f->info.classes; c++) {
        const char *name = sp_dataset_class(f->set, c);
        json_array_append_new(classes, json_integer(f->per_class[c]));
        json_array_append_new(names, sp_cli_json_text(name));
    }
    for (int c = 0; c < channels; c++) {
        double mean, std;
        moments(f, c, &mean, &std);
        json_array_append_new(means, json_real(mean));
        json_array_append_new(stds, json_real(std));
    }
    return sp_cli_json_line(
        json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:f, s:f, s:o, s:o, s:s, s:f, s:I, "
                  "s:o}",
                  "data", f->info.name, "split", f->split, "samples", (json_int_t)f->info.count, "classes",
                  f->info.classes, "targets", f->info.targets, "frames", f->info.frames, "channels",
                  f->info.channels, "height", f->info.height, "width", f->info.width, "per_class", classes,
                  "min", f->low, "max", f->high, "mean", means, "std", stds, "crc32", crc, "split_share",
                  f->info.split, "split_seed", (json_int_t)f->info.split_seed, "class_names", names));
}

static void print_histogram(const findings *f)
{
    int64_t most = 1;
    for (int c = 0; c < f->info.classes; c++)
        most = f->per_class[c] > most ? f->per_class[c] : most;
    for (int c = 0; c < f->info.classes && c < MAX_BARS; c++) {
        const char *known = sp_dataset_class(f->set, c);
        sp_text name = {0};
        sp_text_add(&name, "%s", known ? "  " : "");
        sp_text_escape(&name, known ? known : "", false);
        printf("  class %4d  %8lld  %-*.*s%s\n", c, (long long)f->per_class[c], known ? BAR : 0,
               (int)(f->per_class[c] * BAR / most), "########################################",
               name.s ? name.s : "");
        sp_text_free(&name);
    }
    if (f->info.classes > MAX_BARS)
        printf("  and %d more classes; --json has all\n", f->info.classes - MAX_BARS);
}

/* Smallest, mean and largest of each target. */
static void print_targets(const sp_dataset *ds)
{
    const int n = ds->info.targets, shown = n < MAX_BARS ? n : MAX_BARS;
    double low[MAX_BARS], high[MAX_BARS], sum[MAX_BARS] = {0};
    float *row = sp_alloc_array((size_t)n, sizeof *row);
    for (size_t i = 0; row && i < ds->info.count; i++) {
        ds->target(ds, i, row);
        for (int k = 0; k < shown; k++) {
            low[k] = i ? fmin(low[k], (double)row[k]) : (double)row[k];
            high[k] = i ? fmax(high[k], (double)row[k]) : (double)row[k];
            sum[k] += (double)row[k];
        }
    }
    for (int k = 0; row && k < shown; k++) {
        const char *known = sp_dataset_class(ds, k);
        sp_text name = {0};
        sp_text_escape(&name, known ? known : "", false);
        printf("  target %4d  %g to %g, mean %.4g  %s\n", k, low[k], high[k], sum[k] / (double)ds->info.count,
               name.s ? name.s : "");
        sp_text_free(&name);
    }
    if (n > MAX_BARS)
        printf("  and %d more targets; --list shows all of every sample\n", n - MAX_BARS);
    sp_free(row);
}

static void print_text(const findings *f)
{
    const sp_dataset_info *d = &f->info;
    int channels = d->channels <= SP_MEANS ? d->channels : 1;
    printf("%s, %s split: %zu samples, %d %s, ", d->name, f->split, d->count, d->classes,
           d->targets ? "targets" : "classes");
    if (d->frames)
        printf("%d frames of ", d->frames);
    printf("%dx%dx%d (channels x height x width)\n", d->channels, d->height, d->width);
    if (d->targets)
        print_targets(f->set);
    else
        print_histogram(f);
    printf("  values %g to %g", f->low, f->high);
    for (int c = 0; c < channels; c++) {
        double mean, std;
        moments(f, c, &mean, &std);
        printf("%s%.4f +- %.4f", c ? ", " : "; mean +- standard deviation ", mean, std);
    }
    printf("\n  crc32 %08x\n", (unsigned)f->crc);
    if (d->split > 0)
        printf("  %g %% of %s train, the others test (data.split), drawn with data.split_seed %llu\n",
               100 * d->split, d->targets ? "all" : "each class", (unsigned long long)d->split_seed);
}

/* One line for each sample: the part it is in, where it comes from, its class. */
static sp_status list_samples(const sp_dataset *ds, const char *split, bool json)
{
    sp_status st = SP_OK;
    for (size_t i = 0; st == SP_OK && i < ds->info.count; i++) {
        int32_t label = ds->label(ds, i);
        const char *name = sp_dataset_class(ds, label);
        sp_text source = {0}, line = {0};
        sp_dataset_source(ds, i, &source);
        if (json && ds->info.targets) {
            sp_dataset_target_text(ds, i, &line);
            st = sp_cli_json_line(json_pack("{s:s, s:I, s:o, s:s}", "split", split, "sample",
                                            (json_int_t)i + 1, "source", sp_cli_json_text(source.s),
                                            "targets", line.s ? line.s : ""));
        } else if (json) {
            st = sp_cli_json_line(json_pack("{s:s, s:I, s:o, s:i, s:o*}", "split", split, "sample",
                                            (json_int_t)i + 1, "source", sp_cli_json_text(source.s), "label",
                                            (int)label, "class", name ? sp_cli_json_text(name) : NULL));
        } else {
            sp_text_escape(&line, source.s ? source.s : "", false);
            sp_text_add(&line, "  ");
            if (ds->info.targets)
                sp_dataset_target_text(ds, i, &line);
            else
                sp_text_add(&line, "%d%s", (int)label, name ? " " : "");
            sp_text_escape(&line, name && !ds->info.targets ? name : "", false);
            printf("%s %zu  %s\n", split, i + 1, line.s ? line.s : "");
        }
        sp_text_free(&source);
        sp_text_free(&line);
    }
    return st;
}

static sp_status inspect_split(const sp_recipe *r, bool train, const sp_cli_data *o, sp_error *err)
{
    findings f = {.split = train ? "train" : "test", .low = INFINITY, .high = -INFINITY};
    sp_dataset *ds = NULL;
    sp_status st;
    SP_TRY(sp_session_dataset(r, train, &ds, err));
    f.info = ds->info;
    f.set = ds;
    if (o->list) {
        st = list_samples(ds, f.split, o->json);
        sp_dataset_close(&ds);
        return st;
    }
    f.per_class = sp_alloc_array((size_t)f.info.classes, sizeof *f.per_class);
    st = f.per_class ? read_all(r, ds, &f, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for the classes");
    if (st == SP_OK && o->json)
        st = print_json(&f);
    else if (st == SP_OK)
        print_text(&f);
    sp_free(f.per_class);
    sp_dataset_close(&ds);
    return st;
}

sp_status sp_cli_data_inspect(const sp_cli_data *o, sp_error *err)
{
    sp_recipe plain = o->recipe; /* borrowed; only a number or two differ */
    plain.data.augment = (sp_augment){0};
    if (!o->test)
        SP_TRY(inspect_split(&plain, true, o, err));
    return inspect_split(&plain, false, o, err);
}
