/* Opening a teacher: its recipe and weights come from a run. */
#include "train/teacher.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "train/checkpoint.h"

static bool differ(const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        if (a[i] < b[i] || a[i] > b[i])
            return true;
    return false;
}

/* A network that reads numbers of another scale than those it was trained with is no teacher. */
static sp_status check_data(const sp_recipe *ours, const sp_recipe *r, sp_error *err)
{
    const bool other = ours->data.n_means != r->data.n_means || ours->data.n_stds != r->data.n_stds ||
                       differ(ours->data.means, r->data.means, r->data.n_means) ||
                       differ(ours->data.stds, r->data.stds, r->data.n_stds) ||
                       differ(&ours->data.mean, &r->data.mean, 1) || differ(&ours->data.std, &r->data.std, 1);
    if (strcmp(ours->data.name, r->data.name) != 0)
        sp_log(SP_LOG_WARNING, "teacher %s: it was trained on %s, and here it is shown %s", ours->teacher,
               r->data.name, ours->data.name);
    return !other ? SP_OK
                  : SP_FAIL(err, SP_E_CONFIG,
                            "it was trained with another data.mean or data.std than this recipe has; make "
                            "them equal");
}

/* The first layer of neurons; NULL: there is none. */
static const sp_layer *find_neurons(const sp_layer *layers, size_t n)
{
    const sp_layer *found = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        const sp_layer *l = &layers[i];
        found = l->type == SP_LAYER_LIF ? l : find_neurons(l->pre, l->n_pre);
        found = found ? found : find_neurons(l->branch, l->n_branch);
        found = found ? found : find_neurons(l->shortcut, l->n_shortcut);
    }
    return found;
}

/* Asked of the run as it was, before settings are put over it that no spiking network would take. */
static sp_status check_kind(const sp_checkpoint *c, sp_error *err)
{
    sp_recipe r = {0};
    SP_TRY(sp_checkpoint_recipe(c, NULL, 0, &r, err));
    const sp_layer *neurons = find_neurons(r.network.layers, r.network.n);
    sp_status st = !neurons ? SP_OK
                            : SP_FAIL(err, SP_E_CONFIG,
                                      "its network spikes (layer %s is one of neurons, over %lld time "
                                      "steps), "
                                      "and a teacher is a network of relu or qcfs without time; name a run "
                                      "of such a network",
                                      neurons->name, (long long)r.time_steps);
    sp_recipe_free(&r);
    return st;
}

static sp_status hash_weights(sp_session *teacher, uint64_t *hash, sp_error *err)
{
    float **params;
    const sp_graph *g = teacher->graph;
    sp_status st = sp_weights_read(teacher, &params, err);
    *hash = SP_HASH_START;
    for (int i = 0; st == SP_OK && i < g->n_params; i++)
        *hash = sp_hash(*hash, params[i], (size_t)g->params[i].elems * sizeof *params[i]);
    sp_weights_free(teacher, params);
    return st;
}

static sp_status open_session(sp_session *s, const sp_checkpoint *c, const sp_session_options *so,
                              sp_error *err)
{
    sp_recipe r = {0};
    sp_session_options o = *so;
    char batch[64];
    snprintf(batch, sizeof batch, "eval_batch=%lld", (long long)s->recipe.batch);
    const char *const sets[] = {"schedule.time_steps=1", batch};
    SP_TRY(check_kind(c, err));
    SP_TRY(sp_checkpoint_recipe(c, sets, sizeof sets / sizeof *sets, &r, err));
    sp_status st = check_data(&s->recipe, &r, err);
    if (st != SP_OK) {
        sp_recipe_free(&r);
        return st;
    }
    o.opened = s->dev;
    o.no_train = o.teaches = true;
    o.helper = o.sharded = false;
    o.eval_samples = 0;
    SP_TRY(sp_session_open(&r, &s->data, &o, &s->teacher, err));
    if (!s->dev)
        return SP_OK;
    SP_TRY(sp_checkpoint_restore(c, s->teacher, false, err));
    return hash_weights(s->teacher, &s->teacher_hash, err);
}

sp_status sp_teacher_open(sp_session *s, const sp_session_options *so, sp_error *err)
{
    const char *path = s->recipe.teacher;
    sp_checkpoint c = {0};
    if (s->data.frames)
        return SP_OK; /* the plan says what is wrong */
    if ((so->no_device || so->unlimited) && !sp_path_exists(path)) {
        sp_log(SP_LOG_INFO, "teacher %s: there is no such run yet; the plan is shown without it", path);
        return SP_OK;
    }
    sp_status st = sp_checkpoint_open(path, &c, err);
    if (st == SP_OK)
        st = open_session(s, &c, so, err);
    sp_checkpoint_close(&c);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "teacher %s: ", path);
}

void sp_teacher_plan_options(sp_plan_options *o)
{
    o->keep_outputs = true;
    o->loss = SP_LOSS_CROSS_ENTROPY;
    o->w_ce = 1, o->w_mse = 0;
    o->class_weights = NULL;
    o->n_class_weights = 0;
}
