/* Rows of `spikeport reproduce`: what one is, and running what is missing of it. Training continues from the
 * run's checkpoint; times and memory are kept in a file for each row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/hash.h"
#include "cli/progress.h"
#include "cli/sets.h"
#include "lab/report.h"
#include "lab/reproduce.h"
#include "base/file.h"
#include "train/train.h"

bool sp_reproduce_wants(const sp_reproduce_row *r, const char *measure)
{
    const json_t *all = json_object_get(r->scale, "measure");
    bool wanted = false;
    if (!r->recipe || *spi_text(r->scale, "skip"))
        return false;
    for (size_t i = 0; i < json_array_size(all); i++)
        wanted = wanted || strcmp(json_string_value(json_array_get(all, i)), measure) == 0;
    return wanted;
}

bool sp_reproduce_one_baseline(const json_t *group)
{
    const json_t *rows = json_object_get(group, "rows");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(rows); i++)
        n += strcmp(spi_text(json_array_get(rows, i), "method"), spi_text(group, "baseline")) == 0;
    return n <= 1;
}

json_t *sp_reproduce_seeds(const sp_reproduce_row *r)
{
    return json_object_get(r->scale, "seeds");
}

char *sp_reproduce_folder(const sp_reproduce *p, const sp_reproduce_row *r, int64_t seed)
{
    return sp_format("%s/runs/%s-%lld", p->root, r->run ? r->run : "", (long long)seed);
}

/* ---- recipes ---- */

static void add_list(sp_sets *s, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        sp_sets_add(s, "%s", json_string_value(json_array_get(list, i)));
}

/* A row may name one before it in its group whose run of the same seed is its teacher. */
static sp_status add_teacher(const sp_reproduce *p, const sp_reproduce_row *r, int64_t seed, sp_sets *s,
                             sp_error *err)
{
    const char *method = spi_text(r->row, "teacher");
    const sp_reproduce_row *t = p->rows;
    if (!*method)
        return SP_OK;
    while (t < r && (t->group != r->group || strcmp(spi_text(t->row, "method"), method) != 0))
        t++;
    if (t == r)
        return SP_FAIL(err, SP_E_CONFIG,
                       "row \"%s\": its teacher, row \"%s\", must stand before it in its group",
                       spi_text(r->row, "method"), method);
    char *folder = sp_reproduce_folder(p, t, seed);
    sp_sets_add(s, "teacher=%s", folder ? folder : "");
    sp_free(folder);
    return SP_OK;
}

sp_status sp_reproduce_load(const sp_reproduce *p, const sp_reproduce_row *r, int64_t seed, bool still,
                            sp_recipe *out, sp_error *err)
{
    sp_sets s = {.n = 0};
    const json_t *epochs = json_object_get(r->scale, "epochs");
    SP_TRY(add_teacher(p, r, seed, &s, err));
    add_list(&s, json_object_get(r->scale, "set"));
    add_list(&s, json_object_get(r->row, "set"));
    if (epochs)
        sp_sets_add(&s, "epochs=%.9g", json_number_value(epochs));
    sp_sets_add(&s, "seed=%lld", (long long)seed);
    sp_sets_add_list(&s, &p->session.sets);
    if (still)
        sp_sets_add(&s, "optimizer.lr=1e-7");
    return sp_sets_load(&s, r->recipe, out, err);
}

/* ---- what a row is ---- */

static void clean_name(char *s)
{
    for (; *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *s))
            *s = '_';
}

/* The name ends in a hash of the whole recipe: a row that was changed is another row. */
static sp_status name_row(const sp_reproduce *p, sp_reproduce_row *r, sp_error *err)
{
    sp_recipe recipe = {0};
    sp_text text = {0};
    char at[32] = "";
    uint64_t h = SP_HASH_START;
    if (r->recipe && !*spi_text(r->scale, "skip")) {
        SP_TRY(sp_reproduce_load(p, r, 0, false, &recipe, err));
        sp_recipe_print(&recipe, &text);
        sp_recipe_free(&recipe);
        h = sp_hash_text(h, text.s);
        sp_text_free(&text);
        const char *slash = strrchr(r->recipe, '/'), *file = slash ? slash + 1 : r->recipe;
        r->run = sp_format("%.*s-%012llx", (int)strcspn(file, "."), file,
                           (unsigned long long)(h & 0xffffffffffffu));
    }
    if (json_object_get(r->row, "at"))
        snprintf(at, sizeof at, "-%g", json_number_value(json_object_get(r->row, "at")));
    r->key = sp_format("%s-%s%s-%08llx", spi_text(r->group, "name"), spi_text(r->row, "method"), at,
                       (unsigned long long)(h & 0xffffffffu));
    if (!r->key)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the rows");
    clean_name(r->key);
    return SP_OK;
}

static char *path_of(const sp_reproduce *p, const json_t *o, const char *key)
{
    const char *path = spi_text(o, key);
    return *path == '/' ? sp_strdup(path) : *path ? sp_format("%s/%s", p->base, path) : NULL;
}

static sp_status make_row(const sp_reproduce *p, json_t *group, json_t *row, sp_reproduce_row *r,
                          sp_error *err)
{
    *r = (sp_reproduce_row){.group = group, .row = row, .scale = json_object_get(group, p->scale)};
    r->recipe = path_of(p, row, p->scale);
    r->paper_recipe = path_of(p, row, "full");
    SP_TRY(name_row(p, r, err));
    char *file = sp_format("%s/rows/%s.json", p->out, r->key);
    r->state = file ? json_load_file(file, 0, NULL) : NULL; /* not there or damaged: measured again */
    r->state = r->state ? r->state : json_object();
    sp_free(file);
    return r->state ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the rows");
}

/* A row of this scale: it has a recipe, or another program's figures, or a reason why it is left out. */
static bool is_part(const sp_reproduce *p, const json_t *group, const json_t *row)
{
    const json_t *scale = json_object_get(group, p->scale);
    return scale && (json_object_get(row, p->scale) || json_object_get(row, "external") ||
                     json_object_get(scale, "skip"));
}

sp_status sp_reproduce_rows(sp_reproduce *p, sp_error *err)
{
    json_t *groups = json_object_get(p->doc, "groups");
    size_t n = 0;
    for (size_t g = 0; g < json_array_size(groups); g++)
        n += json_array_size(json_object_get(json_array_get(groups, g), "rows"));
    p->rows = sp_alloc_array(n + 1, sizeof *p->rows);
    if (!p->rows)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the rows");
    for (size_t g = 0; g < json_array_size(groups); g++) {
        json_t *group = json_array_get(groups, g), *rows = json_object_get(group, "rows");
        for (size_t i = 0; i < json_array_size(rows); i++)
            if (is_part(p, group, json_array_get(rows, i)))
                SP_TRY(make_row(p, group, json_array_get(rows, i), &p->rows[p->n_rows++], err));
    }
    return p->n_rows ? SP_OK : SP_FAIL(err, SP_E_USAGE, "the target has no rows at --scale %s", p->scale);
}

void sp_reproduce_free(sp_reproduce *p)
{
    for (size_t i = 0; i < p->n_rows; i++) {
        sp_free(p->rows[i].recipe);
        sp_free(p->rows[i].paper_recipe);
        sp_free(p->rows[i].key);
        sp_free(p->rows[i].run);
        json_decref(p->rows[i].state);
    }
    sp_free(p->rows);
    sp_free(p->base);
    sp_free(p->out);
    json_decref(p->doc);
}

/* ---- what has been measured ---- */

sp_status sp_reproduce_keep(const sp_reproduce *p, sp_reproduce_row *r, const char *name, json_t *result,
                            const sp_device *dev, sp_error *err)
{
    json_object_set_new(result, "device", sp_cli_json_text(dev->info.name));
    json_object_set_new(result, "driver", sp_cli_json_text(dev->info.driver));
    json_object_set_new(result, "date", json_string(sp_date_of(time(NULL)).text));
    json_object_set_new(r->state, name, result);
    char *file = sp_format("%s/rows/%s.json", p->out, r->key), *text = sp_json_text(r->state, JSON_INDENT(1));
    sp_status st =
        file ? sp_folder_make_of(file, 0777, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for a row");
    if (st == SP_OK)
        st = sp_file_replace_text(file, text, err);
    sp_free(text);
    sp_free(file);
    return st;
}

sp_status sp_reproduce_about(sp_reproduce_row *r, sp_status st, sp_error *err)
{
    if (st == SP_OK || st == SP_E_INTERRUPTED || st == SP_E_CONFIG || st == SP_E_USAGE || st == SP_E_DEVICE)
        return st;
    r->why = *err;
    r->why.status = st;
    sp_log(SP_LOG_WARNING, "%s: %s", r->key, err->text);
    *err = (sp_error){.status = SP_OK};
    return SP_OK;
}

/* ---- training ---- */

static bool is_finished(const char *folder)
{
    sp_lines lines;
    bool end = false;
    sp_lines_open(&lines, folder, "metrics.jsonl", NULL);
    for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j))
        end = end || json_object_get(j, "best_accuracy"); /* only the event "end" has it */
    sp_lines_close(&lines);
    return end;
}

static sp_status open_run(const sp_reproduce *p, const sp_reproduce_row *r, int64_t seed, const char *folder,
                          sp_checkpoint *c, bool *resumes, sp_recipe *recipe, sp_error *err)
{
    char *path = sp_format("%s/checkpoint.safetensors", folder);
    *resumes = path && sp_path_exists(path);
    sp_free(path);
    if (!*resumes)
        return sp_reproduce_load(p, r, seed, false, recipe, err);
    SP_TRY(sp_checkpoint_open(folder, c, err));
    return sp_checkpoint_recipe(c, NULL, 0, recipe, err);
}

static sp_status train_seed(sp_reproduce *p, sp_reproduce_row *r, int64_t seed, sp_error *err)
{
    sp_recipe recipe = {0};
    sp_session *s = NULL;
    sp_dataset *train = NULL, *test = NULL;
    sp_checkpoint c = {0};
    bool resumes;
    sp_progress_line line = sp_progress_line_make(false);
    sp_session_options so = sp_cli_session_options(&p->session);
    char *folder = sp_reproduce_folder(p, r, seed);
    sp_status st = folder ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a run");
    if (st != SP_OK || is_finished(folder))
        goto done;
    SP_TRY_GOTO(open_run(p, r, seed, folder, &c, &resumes, &recipe, err));
    SP_TRY_GOTO(sp_cli_session_open(&recipe, &so, &s, &train, &test, err));
    sp_cli_say("%s, seed %lld%s\n", r->key, (long long)seed, resumes ? ", from its checkpoint" : "");
    sp_train_options t = {.out = folder,
                          .overwrite = true, /* a run that was killed before its first checkpoint */
                          .resume = resumes ? &c : NULL,
                          .stop = p->stop,
                          .report = sp_progress_report,
                          .ctx = &line};
    st = sp_train(s, train, test, &t, err);
    if (st == SP_E_INTERRUPTED)
        SP_FAIL(err, st, "interrupted in %s; saved. The same command goes on from there", r->key);
    sp_progress_line_end(&line);
done:
    sp_dataset_close(&test);
    sp_dataset_close(&train);
    sp_session_close(&s);
    sp_checkpoint_close(&c);
    sp_free(folder);
    return st;
}

sp_status sp_reproduce_train(sp_reproduce *p, sp_reproduce_row *r, sp_error *err)
{
    const json_t *seeds = sp_reproduce_seeds(r);
    for (size_t i = 0; sp_reproduce_wants(r, "train") && !r->why.status && i < json_array_size(seeds); i++)
        SP_TRY(
            sp_reproduce_about(r, train_seed(p, r, json_integer_value(json_array_get(seeds, i)), err), err));
    return SP_OK;
}

/* ---- memory ---- */

/* As planned on this device, whether or not it has so much; the recipe's data need not be there. */
static sp_status plan_bytes(sp_reproduce *p, sp_reproduce_row *r, sp_recipe *recipe, const char *name,
                            sp_error *err)
{
    sp_session *s = NULL;
    sp_session_options so = sp_cli_session_options(&p->session);
    so.unlimited = true;
    sp_status st = sp_cli_shape_open(recipe, true, &so, &s, err);
    if (st == SP_OK)
        st = sp_reproduce_keep(p, r, name, json_pack("{s:I}", "bytes", (json_int_t)s->planned_bytes), s->dev,
                               err);
    sp_session_close(&s);
    return st;
}

sp_status sp_reproduce_memory(sp_reproduce *p, sp_reproduce_row *r, sp_error *err)
{
    sp_recipe recipe = {0};
    if (sp_reproduce_wants(r, "memory") && !json_object_get(r->state, "memory")) {
        SP_TRY(sp_reproduce_load(p, r, 0, false, &recipe, err));
        SP_TRY(sp_reproduce_about(r, plan_bytes(p, r, &recipe, "memory", err), err));
    }
    if (p->paper_memory && r->paper_recipe && !json_object_get(r->state, "paper_size")) {
        sp_cli_say("%s: memory at the paper's size\n", r->key);
        SP_TRY(sp_recipe_load(r->paper_recipe, NULL, 0, &recipe, err));
        sp_error why = {0};
        if (plan_bytes(p, r, &recipe, "paper_size", &why) !=
            SP_OK) /* an addition: the row itself is measured */
            sp_log(SP_LOG_WARNING, "%s: %s", r->key, why.text);
    }
    return p->stop && *p->stop ? SP_FAIL(err, SP_E_INTERRUPTED, "interrupted; the same command goes on")
                               : SP_OK;
}
