/* Starting parameters, drawn from the recipe's seed and written to the device. */
#include "train/starting.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thread.h"

struct sp_starting {
    sp_session *session;
    const sp_scope *scope;
    pthread_t thread;
    sp_status st;
    sp_error err;
};

static sp_status initialise(sp_session *s, sp_error *err)
{
    int64_t most = 1;
    for (int i = 0; i < s->graph->n_params; i++)
        most = s->graph->params[i].elems > most ? s->graph->params[i].elems : most;
    float *x = sp_alloc_array((size_t)most, sizeof *x);
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the starting parameters");
    for (int i = 0; i < s->graph->n_params && st == SP_OK; i++) {
        sp_param_initialise(s->graph, &s->graph->params[i], (uint64_t)s->recipe.seed, x);
        st = sp_model_write(s->model, &s->graph->params[i], SP_RANGE_WEIGHTS, x, err);
    }
    sp_free(x);
    return st;
}

static void *work(void *arg)
{
    struct sp_starting *t = arg;
    sp_scope_enter(t->scope);
    t->st = initialise(t->session, &t->err);
    return NULL;
}

sp_status sp_starting_begin(sp_session *s, sp_error *err)
{
    struct sp_starting *t = sp_device_maps(s->dev) ? sp_alloc(sizeof *t) : NULL;
    if (t) {
        *t = (struct sp_starting){.session = s, .scope = sp_scope_now()};
        if (sp_thread_start(&t->thread, work, t) == 0) {
            s->starting = t;
            return SP_OK;
        }
        sp_free(t);
    }
    return initialise(s, err);
}

sp_status sp_starting_end(sp_session *s, sp_error *err)
{
    struct sp_starting *t = s->starting;
    if (!t)
        return SP_OK;
    pthread_join(t->thread, NULL);
    s->starting = NULL;
    const sp_status st = t->st;
    if (st != SP_OK && err)
        *err = t->err;
    sp_free(t);
    return st;
}
