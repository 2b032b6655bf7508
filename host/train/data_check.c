/* Whether data are those that a checkpoint was trained on: names of classes, and the training data's
 * fingerprint. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/checkpoint.h"

/* As JSON; "[]": the set has none. */
static char *classes_text(const sp_dataset *ds)
{
    const char *const *names = sp_dataset_class_names(ds);
    json_t *list = json_array();
    for (int k = 0; names && k < ds->info.classes; k++)
        json_array_append_new(list, json_string(names[k]));
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

sp_status sp_checkpoint_check_classes(const sp_checkpoint *c, const sp_dataset *ds, sp_error *err)
{
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
                     "class "
                     "folders their old names, or start a new run",
                     c->file.path, k, t.s ? t.s : "");
        sp_text_free(&t);
    }
    json_decref(a);
    json_decref(b);
    sp_free(now);
    return st;
}

sp_status sp_data_describe(const sp_dataset *train, const sp_checkpoint *resume, char **classes,
                           char **fingerprint, sp_error *err)
{
    const char *was = resume ? resume->progress.fingerprint : NULL;
    SP_TRY(sp_dataset_fingerprint(train, fingerprint, err));
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
