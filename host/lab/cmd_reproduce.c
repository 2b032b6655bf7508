/* spikeport reproduce: runs the rows behind a table or figure and writes them beside the paper's own figures.
 * Targets are the YAML files of recipes/reproduce; nothing about the paper is in here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/paths.h"
#include "lab/reproduce.h"
#include "config/yaml.h"
#include "registry/wisdom.h"
#include "lab/report.h"
#include "train/train.h"

enum { MAX_ROUNDS = 1000 };

/* ---- the target's file ---- */

static json_t *to_json(const sp_yaml *y)
{
    json_t *out = y->kind == SP_YAML_LIST ? json_array() : json_object();
    if (y->kind != SP_YAML_LIST && y->kind != SP_YAML_MAP) {
        json_decref(out);
        switch (y->kind) {
        case SP_YAML_BOOL: return json_boolean(y->integer);
        case SP_YAML_INT: return json_integer(y->integer);
        case SP_YAML_FLOAT: return json_real(y->number);
        case SP_YAML_STRING: return json_string(y->text);
        default: return json_null();
        }
    }
    for (size_t i = 0; i < y->n; i++)
        if (y->kind == SP_YAML_LIST)
            json_array_append_new(out, to_json(y->items[i]));
        else
            json_object_set_new(out, y->keys[i], to_json(y->items[i]));
    return out;
}

static const char *const scale_names[] = {"cpu", "full"};

/* Texts of a list, each one of `names` where there are names. */
static sp_status check_list(const sp_yaml *map, const char *key, const char *const *names, size_t n,
                            sp_yaml_kind kind, sp_error *err)
{
    const sp_yaml *list = sp_yaml_get(map, key);
    if (list && (list->kind != SP_YAML_LIST || list->n == 0))
        return sp_yaml_fail(list, err, "%s: a list is wanted", key);
    for (size_t i = 0; list && i < list->n; i++) {
        size_t k = 0;
        while (k < n && list->items[i]->text && strcmp(names[k], list->items[i]->text) != 0)
            k++;
        if (list->items[i]->kind != kind || (n && k == n))
            return sp_yaml_fail(list->items[i], err, "%s: %s", key,
                                n                     ? "train, step and memory can be measured"
                                : kind == SP_YAML_INT ? "whole numbers are wanted"
                                                      : "texts KEY=VALUE are wanted");
    }
    return SP_OK;
}

static sp_status check_scale(const sp_yaml *s, sp_error *err)
{
    static const char *const known[] = {"stands", "skip", "set", "seeds", "epochs", "measure", "rounds"};
    static const char *const measures[] = {"train", "step", "memory"};
    int64_t number = 1;
    if (!s)
        return SP_OK;
    SP_TRY(sp_yaml_check_keys(s, known, sizeof known / sizeof *known, "a group's scale", err));
    SP_TRY(check_list(s, "measure", measures, 3, SP_YAML_STRING, err));
    SP_TRY(check_list(s, "seeds", NULL, 0, SP_YAML_INT, err));
    SP_TRY(check_list(s, "set", NULL, 0, SP_YAML_STRING, err));
    SP_TRY(sp_yaml_read_int(s, "epochs", 1, 1000000, &number, err));
    return sp_yaml_read_int(s, "rounds", 3, MAX_ROUNDS, &number, err);
}

static sp_status check_row(const sp_yaml *r, sp_error *err)
{
    static const char *const known[] = {"method", "series",  "at",    "cpu",     "full",
                                        "set",    "teacher", "paper", "external"};
    static const char *const paper[] = {"memory_gb", "hours", "epoch_seconds", "accuracy"};
    static const char *const external[] = {"file", "match", "program", "bytes", "otherwise"};
    const sp_yaml *p = sp_yaml_get(r, "paper"), *x = sp_yaml_get(r, "external");
    const char *text = NULL;
    double number = 0;
    SP_TRY(sp_yaml_check_keys(r, known, sizeof known / sizeof *known, "a row", err));
    SP_TRY(sp_yaml_read_string(r, "method", &text, err));
    if (!text)
        return sp_yaml_fail(r, err, "a row needs a method: its name in the table");
    SP_TRY(sp_yaml_read_string(r, "series", &text, err));
    SP_TRY(sp_yaml_read_float(r, "at", -1e9, 1e9, &number, err));
    SP_TRY(sp_yaml_read_string(r, "cpu", &text, err));
    SP_TRY(sp_yaml_read_string(r, "full", &text, err));
    SP_TRY(sp_yaml_read_string(r, "teacher", &text, err));
    SP_TRY(check_list(r, "set", NULL, 0, SP_YAML_STRING, err));
    if (x)
        SP_TRY(sp_yaml_check_keys(x, external, sizeof external / sizeof *external, "external", err));
    if (!p)
        return SP_OK;
    SP_TRY(sp_yaml_check_keys(p, paper, sizeof paper / sizeof *paper, "the paper's figures", err));
    for (size_t i = 0; i < sizeof paper / sizeof *paper; i++)
        SP_TRY(sp_yaml_read_float(p, paper[i], 0, 1e9, &number, err));
    return SP_OK;
}

static sp_status check_group(const sp_yaml *g, sp_error *err)
{
    static const char *const known[] = {"name", "title", "baseline", "at", "cpu", "full", "rows"};
    const char *name = NULL, *title = NULL;
    const sp_yaml *rows = sp_yaml_get(g, "rows");
    SP_TRY(sp_yaml_check_keys(g, known, sizeof known / sizeof *known, "a group", err));
    SP_TRY(sp_yaml_read_string(g, "name", &name, err));
    SP_TRY(sp_yaml_read_string(g, "title", &title, err));
    if (!name || !title || !rows || rows->kind != SP_YAML_LIST)
        return sp_yaml_fail(g, err, "a group needs name, title, and a list of rows");
    for (size_t i = 0; i < 2; i++)
        SP_TRY(check_scale(sp_yaml_get(g, scale_names[i]), err));
    for (size_t i = 0; i < rows->n; i++)
        SP_TRY(check_row(rows->items[i], err));
    return SP_OK;
}

static sp_status check_target(const sp_yaml *root, sp_error *err)
{
    static const char *const known[] = {"title", "says", "baseline", "at", "scales", "groups", "panels"};
    static const char *const in_panel[] = {"title", "group", "x", "y"};
    static const char *const curves[] = {"accuracy",       "accuracy_curve", "cosine_curve",
                                         "step_ms",        "step_cpu_ms",    "step_ratio",
                                         "step_cpu_ratio", "memory_mib",     "memory_ratio"};
    const sp_yaml *groups = sp_yaml_get(root, "groups"), *panels = sp_yaml_get(root, "panels");
    const char *title = NULL;
    int y;
    SP_TRY(sp_yaml_check_keys(root, known, sizeof known / sizeof *known, "a target", err));
    SP_TRY(sp_yaml_read_string(root, "title", &title, err));
    if (!title || !groups || groups->kind != SP_YAML_LIST)
        return sp_yaml_fail(root, err, "a target needs a title and a list of groups");
    for (size_t i = 0; i < groups->n; i++)
        SP_TRY(check_group(groups->items[i], err));
    for (size_t i = 0; panels && i < panels->n; i++) {
        SP_TRY(sp_yaml_check_keys(panels->items[i], in_panel, 4, "a panel", err));
        SP_TRY(sp_yaml_read_choice(panels->items[i], "y", curves, sizeof curves / sizeof *curves, &y, err));
    }
    return SP_OK;
}

/* What a file need not say. */
static void complete(json_t *doc)
{
    json_t *group, *groups = json_object_get(doc, "groups");
    size_t i;
    json_array_foreach(groups, i, group)
    {
        static const char *const inherited[] = {"baseline", "at"};
        for (size_t k = 0; k < 2; k++)
            if (!json_object_get(group, inherited[k]) && json_object_get(doc, inherited[k]))
                json_object_set(group, inherited[k], json_object_get(doc, inherited[k]));
        for (size_t k = 0; k < 2; k++) {
            json_t *scale = json_object_get(group, scale_names[k]);
            if (scale && !json_object_get(scale, "measure"))
                json_object_set_new(scale, "measure", json_pack("[s]", "train"));
            if (scale && !json_object_get(scale, "seeds"))
                json_object_set_new(scale, "seeds", json_pack("[i]", 2022));
            if (scale && !json_object_get(scale, "rounds"))
                json_object_set_new(scale, "rounds", json_integer(15));
        }
    }
}

static sp_status read_target(const char *path, sp_reproduce *p, sp_error *err)
{
    sp_yaml_doc doc = {0};
    const char *slash = strrchr(path, '/');
    sp_status st = sp_yaml_load(path, &doc, err);
    if (st == SP_OK)
        st = check_target(doc.root, err);
    if (st == SP_OK) {
        p->doc = to_json(doc.root);
        p->base = slash ? sp_strndup(path, (size_t)(slash - path)) : sp_strdup(".");
        complete(p->doc);
        st = p->doc && p->base ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", path);
    }
    sp_yaml_free(&doc);
    return st;
}

/* ---- finding it ---- */

/* A name of recipes/reproduce, or a file (a word with a dot or a slash). *path and *name have to be freed. */
static sp_status find_target(const char *word, char **path, char **name, sp_error *err)
{
    const char *slash = strrchr(word, '/'), *from = slash ? slash + 1 : word;
    SP_TRY(sp_own_file("recipes/reproduce", "target", word, path, err));
    *name = sp_strndup(from, strcspn(from, "."));
    return *name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
}

/* ---- running it ---- */

/* Timed together: a group, or its rows of one `at` where the baseline stands at several. */
static bool same_place(const sp_reproduce_row *a, const sp_reproduce_row *b)
{
    return a->group == b->group &&
           (sp_reproduce_one_baseline(a->group) || json_number_value(json_object_get(a->row, "at")) ==
                                                       json_number_value(json_object_get(b->row, "at")));
}

static sp_status run_rows(sp_reproduce *p, sp_error *err)
{
    for (size_t i = 0, n; i < p->n_rows; i += n) {
        for (n = 1; i + n < p->n_rows && same_place(&p->rows[i], &p->rows[i + n]); n++)
            ;
        for (size_t k = i; k < i + n; k++)
            SP_TRY(sp_reproduce_train(p, &p->rows[k], err));
        SP_TRY(sp_reproduce_steps(p, &p->rows[i], n, err));
    }
    for (size_t i = 0; i < p->n_rows; i++)
        SP_TRY(sp_reproduce_memory(p, &p->rows[i], err));
    return SP_OK;
}

/* The first row that failed counts; rows without data only where there is no other. */
static sp_status verdict(const sp_reproduce *p, sp_error *err)
{
    size_t measured = 0;
    const sp_reproduce_row *first = NULL;
    for (size_t i = 0; i < p->n_rows; i++) {
        const sp_reproduce_row *r = &p->rows[i];
        measured += r->recipe && !json_object_get(r->scale, "skip") && !r->why.status;
        if (r->why.status && (!first || (first->why.status == SP_E_DATA && r->why.status != SP_E_DATA)))
            first = r;
    }
    if (!first || (first->why.status == SP_E_DATA && measured))
        return SP_OK;
    return SP_FAIL(err, first->why.status, "%s: %s", first->key, first->why.text);
}

static sp_status reproduce(sp_reproduce *p, const char *path, const char *name, sp_error *err)
{
    SP_TRY(read_target(path, p, err));
    SP_TRY(sp_reproduce_rows(p, err));
    SP_TRY(sp_folder_make(p->out, 0777, err));
    if (!p->table_only)
        p->stop = sp_cli_catch_signals();
    sp_status st = p->table_only ? SP_OK : run_rows(p, err);
    sp_error why = {0};
    json_t *summary = sp_reproduce_summary(p);
    sp_text text = {0};
    sp_status written =
        sp_report_tables(summary, p->out, name, &text, &why); /* also of what was measured before an error */
    if (written == SP_OK) {
        fputs(text.s, stdout);
        sp_cli_say("written: %s/%s.{json,csv,md,png}\n", p->out, name);
    }
    sp_text_free(&text);
    json_decref(summary);
    if (st == SP_OK && written != SP_OK && err)
        *err = why;
    st = st == SP_OK ? written : st;
    return st == SP_OK ? verdict(p, err) : st;
}

static const char notes[] = "Targets: table1 to table4, figure1, figure3, figure4 of the SLTT paper "
                            "(Meng et al., ICCV 2023), methods (four methods on\n"
                            "four data sets), or a YAML file of your own: recipes/README.md. --scale cpu "
                            "stands in other data and smaller networks; the\n"
                            "output says which. A row that has ended is not run again, one that was stopped "
                            "goes on from its checkpoint, one that was changed\n"
                            "is a new row; a run that several targets need is made once. Rows whose data are "
                            "not there are listed with the reason. For another\n"
                            "device name another --out.";

int sp_cmd_reproduce(int argc, char **argv)
{
    sp_reproduce p = {.scale = "cpu", .root = "runs/reproduce"};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("scale", 0, &p.scale, "cpu|full",
                "sized for a processor with a few cores (default), or the paper's"),
        SP_TEXT("out", 'o', &p.root, "DIR",
                "folder: tables in DIR/TARGET-SCALE, runs in DIR/runs (default runs/reproduce)"),
        SP_FLAG("table", 0, &p.table_only, "run nothing, only write the tables and pictures again"),
        SP_FLAG("paper-memory", 0, &p.paper_memory,
                "plan the device memory of the paper's own recipes too; needs no data"),
        SP_CLI_SET_ARG(p.session),
        SP_CLI_DEVICE_ARGS(p.session),
    };
    const sp_args a = {.command = "reproduce",
                       .synopsis = "TARGET [options]",
                       .about = "Runs the recipes behind a table or figure of the paper, row by row, and "
                                "writes accuracy, device memory, time and ratios beside the paper's own "
                                "figures as JSON, CSV, Markdown and PNG.",
                       SP_ARGS(args, 1, 1),
                       .notes = notes};
    sp_error err = {0};
    char *path = NULL, *name = NULL;
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (strcmp(p.scale, "cpu") != 0 && strcmp(p.scale, "full") != 0)
        return sp_args_wrong(&a, "--scale %s: cpu or full is wanted", p.scale);
    sp_status st = find_target(rest.items[0], &path, &name, &err);
    if (st == SP_OK)
        p.out = sp_format("%s/%s-%s", p.root, name, p.scale);
    if (st == SP_OK)
        st = p.out ? reproduce(&p, path, name, &err) : SP_FAIL(&err, SP_E_MEMORY, "out of memory");
    sp_reproduce_free(&p);
    sp_free(path);
    sp_free(name);
    return st == SP_OK ? 0 : sp_cli_fail("reproduce", &err);
}
