/* Whether recipe and data are those that a checkpoint can go on with: the sequence of samples inside an
 * epoch, names of classes, and the training data's fingerprint. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/checkpoint.h"
#include "train/recipe_keys.h"

/* The samples that an epoch has seen are known by their number only. */
static sp_status check_sequence(const sp_checkpoint *c, const sp_recipe *r, sp_error *err)
{
    const char *text = sp_tensors_meta(&c->file, "recipe");
    const long long seen = c->progress.seen;
    sp_recipe was = {0};
    if (seen % r->batch)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: this epoch has seen %lld samples, which is no whole number of mini-batches of "
                       "%lld; choose a batch that divides it, or change the batch between two epochs",
                       c->file.path, seen, (long long)r->batch);
    if (seen == 0 || !text)
        return SP_OK;
    SP_TRY(sp_recipe_parse(c->file.path, text, strlen(text), NULL, 0, &was, err));
    char *key = sp_fields_sequence_change(&spi_recipe_fields, &was, r);
    sp_status st =
        !key ? SP_OK
             : SP_FAIL(err, SP_E_CONFIG,
                       "%s: %s cannot change after %lld samples of an epoch: it decides which samples "
                       "come, and in which order, so some would come twice and others never; continue "
                       "without the change, and change it between two epochs or in a new run",
                       c->file.path, key, seen);
    sp_free(key);
    sp_recipe_free(&was);
    return st;
}

sp_status sp_checkpoint_check_recipe(const sp_checkpoint *c, const sp_recipe *r, sp_error *err)
{
    const long long done = c->progress.epoch, wanted = r->epochs;
    const bool begun = c->progress.seen > 0;
    if (wanted < done + begun)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: epochs is %lld, but %lld of them are done%s; set epochs to %lld or more, or "
                       "start a new run",
                       c->file.path, wanted, done, begun ? " and the next one is begun" : "", done + begun);
    return check_sequence(c, r, err);
}

/* As JSON; "[]": the set has none. */
static char *classes_text(const sp_dataset *ds)
{
    const char *const *names = sp_dataset_class_names(ds);
    json_t *list = json_array();
    for (int k = 0; names && k < ds->info.classes; k++) {
        sp_text name = {0};
        sp_text_escape(&name, names[k], true);
        json_array_append_new(list, json_string(name.s ? name.s : ""));
        sp_text_free(&name);
    }
    char *json = json_dumps(list, JSON_COMPACT), *text = json ? sp_strdup(json) : NULL;
    free(json);
    json_decref(list);
    return text;
}

static void add_list(sp_text *t, const json_t *names)
{
    enum { MOST_NAMED = 12 };
    size_t n = json_array_size(names);
    for (size_t i = 0; i < n && i < MOST_NAMED; i++)
        sp_text_add(t, "%s%s", i ? ", " : "", json_string_value(json_array_get(names, i)));
    sp_text_add(t, n > MOST_NAMED ? ", ... (%zu classes)" : " (%zu classes)", n);
}

/* The metadata "samples": frames, channels, height, width and classes of the training data. */
static bool read_samples(const sp_checkpoint *c, int v[5])
{
    const char *text = sp_tensors_meta(&c->file, "samples");
    int end = 0;
    bool told =
        text && sscanf(text, "[%6d, %8d, %6d, %6d, %8d]%n", &v[0], &v[1], &v[2], &v[3], &v[4], &end) == 5;
    return told && end > 0 && !text[end] && v[0] >= 0 && v[1] > 0 && v[2] > 0 && v[3] > 0 && v[4] > 0;
}

sp_status sp_checkpoint_check_classes(const sp_checkpoint *c, const sp_dataset *ds, sp_error *err)
{
    int samples[5];
    char *now = classes_text(ds);
    json_t *a = c->progress.classes ? json_loads(c->progress.classes, 0, NULL) : NULL,
           *b = now ? json_loads(now, 0, NULL) : NULL;
    sp_status st = now ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the names of classes");
    /* Sets whose classes have only numbers have no names to compare. */
    if (json_array_size(a) && json_array_size(b) && !json_equal(a, b)) {
        size_t k = 0;
        while (json_equal(json_array_get(a, k), json_array_get(b, k)))
            k++;
        sp_text t = {0};
        add_list(&t, a);
        sp_text_add(&t, "; the data have ");
        add_list(&t, b);
        st = SP_FAIL(err, SP_E_DATA,
                     "%s was trained on other classes, from number %zu on: the checkpoint has %s. Give the "
                     "class folders their old names, or start a new run",
                     c->file.path, k, t.s ? t.s : "");
        sp_text_free(&t);
    } else if (c->progress.classes && read_samples(c, samples) && samples[4] != ds->info.classes) {
        st = SP_FAIL(err, SP_E_DATA,
                     "%s was trained on %d classes, but the data set %s has %d; name the data it was trained "
                     "on, or set data.classes where the last classes only have no sample here",
                     c->file.path, samples[4], ds->info.name, ds->info.classes);
    }
    json_decref(a);
    json_decref(b);
    sp_free(now);
    return st;
}

sp_status sp_checkpoint_classes(const sp_checkpoint *c, sp_names *out, sp_error *err)
{
    json_t *list = c->progress.classes ? json_loads(c->progress.classes, 0, NULL) : NULL;
    sp_status st = SP_OK;
    bool valid = !c->progress.classes || json_is_array(list);
    for (size_t k = 0; k < json_array_size(list) && st == SP_OK && valid; k++) {
        const char *name = json_string_value(json_array_get(list, k));
        valid = name != NULL;
        st = name && out ? sp_names_add(out, name, err) : SP_OK;
    }
    if (!valid)
        st = SP_FAIL(err, SP_E_DATA, "%s: \"classes\" in its metadata is no list of names", c->file.path);
    json_decref(list);
    return st;
}

sp_status sp_checkpoint_samples(const sp_checkpoint *c, const sp_recipe *r, sp_dataset_info *out,
                                sp_error *err)
{
    const char *text = sp_tensors_meta(&c->file, "samples");
    int v[5];
    if (read_samples(c, v)) {
        *out = (sp_dataset_info){.frames = v[0] ? (int)r->time_steps : 0,
                                 .channels = v[1],
                                 .height = v[2],
                                 .width = v[3],
                                 .classes = v[4],
                                 .targets = r->loss ? v[4] : 0};
        snprintf(out->name, sizeof out->name, "%s", r->data.name);
        return SP_OK;
    }
    if (!text && sp_session_known_shape(r, out) && out->classes)
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: \"samples\", the shape of the training data, is %s in its metadata; continue the run "
                   "for an epoch with this version, which writes it",
                   c->file.path, text ? "damaged" : "missing");
}

/* Classes have something to be told apart from. */
static sp_status check_classes(const sp_dataset *train, sp_error *err)
{
    const char *name = sp_dataset_class(train, 0);
    size_t i = 1;
    if (train->info.classes < 2)
        return SP_FAIL(err, SP_E_DATA,
                       "data set %s: all its samples are of one class%s%s%s, so there is nothing to tell "
                       "apart; a folder for each class, or a label for each file, makes classes. For numbers "
                       "in place of a class, use loss.name: mse",
                       train->info.name, name ? " (\"" : "", name ? name : "", name ? "\")" : "");
    if (!train->label)
        return SP_OK;
    while (i < train->info.count && train->label(train, i) == train->label(train, 0))
        i++;
    if (train->info.count > 1 && i == train->info.count)
        sp_log(SP_LOG_WARNING,
               "data set %s: all %zu training samples have label %d of %d classes, so the network can only "
               "learn to give that one; look at the labels, or at data.train_limit",
               train->info.name, train->info.count, (int)train->label(train, 0), train->info.classes);
    return SP_OK;
}

sp_status sp_data_check_outputs(const sp_dataset *train, const sp_session *s, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    int64_t outputs = s->graph->classes;
    if (!r->loss)
        SP_TRY(check_classes(train, err));
    bool learns = r->loss || !train->label || r->w_mse >= 1 || !r->class_weights ||
                  r->n_class_weights < train->info.classes;
    for (size_t i = 0; !learns && i < train->info.count; i++)
        learns = r->class_weights[train->label(train, i)] > 0;
    if (!learns)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: loss.class_weights is 0 for every class that the training data have; nothing "
                       "would be learned",
                       r->doc.file);
    if (outputs > train->info.classes)
        sp_log(SP_LOG_WARNING,
               "the network has %lld outputs, but the data set %s has %d classes: outputs from number %d on "
               "never get a label",
               (long long)outputs, train->info.name, train->info.classes, train->info.classes);
    return SP_OK;
}

sp_status sp_data_describe(const sp_dataset *train, const sp_checkpoint *resume, char **classes,
                           char **fingerprint, sp_error *err)
{
    const char *was = resume ? resume->progress.fingerprint : NULL;
    SP_TRY(sp_dataset_fingerprint(train, fingerprint, err));
    if (resume && resume->progress.seen && was && strtoull(was, NULL, 10) != train->info.count)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: there were %llu training samples, now there are %zu: inside an epoch, in which "
                       "samples come in an order of all, a run cannot continue with others; restore the "
                       "data, or start a new run",
                       resume->file.path, strtoull(was, NULL, 10), train->info.count);
    if (was && strcmp(was, *fingerprint) != 0)
        sp_log(SP_LOG_WARNING,
               "%s: the training data, or how they are read, are not those of this run any more: %s then, %s "
               "now",
               resume->file.path, was, *fingerprint);
    *classes = classes_text(train);
    if (!*classes)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the names of classes");
    return resume ? sp_checkpoint_check_classes(resume, train, err) : SP_OK;
}
