/* Contexts: a device and the frame of every call (who may enter, whose log and paths hold). */
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"

const char *sp_version(void)
{
    return SPIKEPORT_VERSION;
}

/* ---- structs that grow ---- */

sp_status spi_take_struct(const char *name, const void *from, uint32_t from_size, void *to, size_t to_size,
                          sp_error *err)
{
    memset(to, 0, to_size);
    if (!from)
        return SP_OK;
    if (from_size < 2 * sizeof(uint32_t) || from_size > 4096)
        return SP_FAIL(err, SP_E_USAGE, "%s.struct_size is %u; set it to sizeof(%s)", name, from_size, name);
    for (size_t i = to_size; i < from_size; i++)
        if (((const char *)from)[i])
            return SP_FAIL(err, SP_E_USAGE,
                           "%s has members that spikeport %s does not know; use a newer library", name,
                           SPIKEPORT_VERSION);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    return SP_OK;
}

sp_status spi_give_struct(const char *name, void *from, size_t from_size, void *out, sp_error *err)
{
    uint32_t out_size = 0;
    if (out)
        memcpy(&out_size, out, sizeof out_size);
    if (out_size < 2 * sizeof(uint32_t) || out_size > 4096)
        return SP_FAIL(err, SP_E_USAGE, "%s.struct_size is %u; set it to sizeof(%s)", name, out_size, name);
    memset(out, 0, out_size);
    memcpy(from, &out_size, sizeof out_size);
    memcpy(out, from, out_size < from_size ? out_size : from_size);
    return SP_OK;
}

sp_status spi_check_texts(const char *name, const char *const *texts, size_t n, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!texts || !texts[i])
            return SP_FAIL(err, SP_E_USAGE, "%s[%zu] is NULL, but there are to be %zu texts", name, i, n);
    return SP_OK;
}

/* ---- devices ---- */

/* Drivers have threads, which a child of fork() lacks: what it enqueues there may never run. */
static sp_status use_opencl(sp_error *err)
{
    static _Atomic pid_t user; /* the first process that asked */
    if (user && user != getpid())
        return SP_FAIL(err, SP_E_USAGE,
                       "this process was forked from one that had used OpenCL, and threads of the driver are "
                       "missing here; start the child as a new program (in Python by the start method spawn "
                       "of multiprocessing)");
    user = getpid();
    return SP_OK;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    n = n < size ? n : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

static sp_device_text device_text(const sp_device_info *d)
{
    sp_device_text t = {.index = d->index,
                        .is_usable = sp_device_unusable(d) == NULL,
                        .compute_units = d->compute_units,
                        .global_bytes = d->global_bytes,
                        .max_alloc_bytes = d->max_alloc_bytes};
    copy_text(t.type, sizeof t.type, sp_device_type_name(d->type));
    copy_text(t.name, sizeof t.name, d->name);
    copy_text(t.platform, sizeof t.platform, d->platform);
    copy_text(t.driver, sizeof t.driver, d->driver);
    return t;
}

sp_status sp_devices_count(size_t *n, sp_error *err)
{
    sp_device_list list = {0};
    SPI_NEEDS(n, err);
    SP_TRY(use_opencl(err));
    SP_TRY(sp_device_list_init(&list, err));
    *n = list.n;
    sp_device_list_fini(&list);
    return SP_OK;
}

sp_status sp_devices_describe(size_t i, sp_device_text *out, sp_error *err)
{
    sp_device_list list = {0};
    sp_error ignored = {0};
    size_t chosen = SIZE_MAX;
    char why[256];
    SP_TRY(use_opencl(err));
    SP_TRY(sp_device_list_init(&list, err));
    sp_status st = i < list.n ? SP_OK
                              : SP_FAIL(err, SP_E_USAGE,
                                        "there is no OpenCL device %zu; there are %zu, from 0 on", i, list.n);
    if (st == SP_OK) {
        if (sp_device_choose(&list, NULL, &chosen, why, sizeof why, &ignored) != SP_OK)
            chosen = SIZE_MAX;
        sp_device_text t = device_text(&list.items[i]);
        t.is_default = i == chosen;
        st = spi_give_struct("sp_device_text", &t, sizeof t, out, err);
    }
    sp_device_list_fini(&list);
    return st;
}

/* ---- contexts ---- */

static void context_free(sp_context *c)
{
    const sp_scope *before = sp_scope_enter(&c->scope);
    sp_device_close(&c->dev);
    sp_scope_enter(before);
    for (size_t i = 0; i < c->n_texts; i++)
        sp_free(c->texts[i]);
    for (size_t i = 0; i < c->n_plugins; i++)
        sp_free(c->plugins[i]);
    sp_free(c->plugins);
    pthread_mutex_destroy(&c->lock);
    sp_free(c);
}

/* A copy that lives as long as the context; NULL stays NULL. */
static const char *keep(sp_context *c, const char *text, bool *failed)
{
    if (!text)
        return NULL;
    char *copy = sp_strdup(text);
    *failed = *failed || !copy;
    c->texts[c->n_texts++] = copy;
    return copy;
}

static sp_status take_options(sp_context *c, const sp_context_options *o, sp_error *err)
{
    bool failed = false;
    c->scope = (sp_scope){.log = o->log,
                          .log_ctx = o->log_ctx,
                          .level = o->log_level,
                          .settings = {{"SPIKEPORT_DATA", keep(c, o->data_path, &failed)},
                                       {"SPIKEPORT_CACHE_DIR", keep(c, o->cache_path, &failed)},
                                       {"SPIKEPORT_PREFIX", keep(c, o->prefix, &failed)}}};
    c->programs = keep(c, o->programs, &failed);
    c->plugin_path = keep(c, o->plugin_path, &failed);
    c->no_wisdom = (o->flags & SP_CONTEXT_NO_WISDOM) != 0;
    c->plugins = sp_alloc_array(o->n_plugins + 1, sizeof *c->plugins);
    for (size_t i = 0; c->plugins && i < o->n_plugins; i++) {
        c->plugins[c->n_plugins++] = sp_strdup(o->plugins[i]);
        failed = failed || !c->plugins[i];
    }
    return failed || !c->plugins ? SP_FAIL(err, SP_E_MEMORY, "out of memory for a context") : SP_OK;
}

sp_status sp_context_create(const sp_context_options *options, sp_context **out, sp_error *err)
{
    sp_context_options o;
    SPI_NEEDS(out, err);
    SP_TRY(spi_take_struct("sp_context_options", options, options ? options->struct_size : 0, &o, sizeof o,
                           err));
    SP_TRY(spi_check_texts("sp_context_options.plugins", o.plugins, o.n_plugins, err));
    SP_TRY(use_opencl(err));
    sp_context *c = sp_alloc(sizeof *c);
    if (!c)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a context");
    pthread_mutex_init(&c->lock, NULL);
    c->pid = getpid();
    c->handles = 1;
    sp_status st = take_options(c, &o, err);
    if (st == SP_OK) {
        sp_device_options d = {.sync_debug = (o.flags & SP_CONTEXT_SYNC) != 0,
                               .binaries_only = o.programs != NULL};
        const sp_scope *before = sp_scope_enter(&c->scope);
        st = sp_device_open(o.device, &d, &c->dev, err);
        sp_scope_enter(before);
    }
    if (st == SP_OK)
        *out = c;
    else
        context_free(c);
    return st;
}

/* ---- calls ---- */

static sp_status may_enter(sp_context *c, sp_error *err)
{
    if (c->pid != getpid())
        return SP_FAIL(err, SP_E_USAGE,
                       "this context was opened before fork(), and OpenCL does not survive that; start the "
                       "child as a new program, and open a context there");
    pthread_mutex_lock(&c->lock);
    bool free_for_us = c->depth == 0 || pthread_equal(c->owner, pthread_self());
    if (free_for_us) {
        c->owner = pthread_self();
        c->depth++;
    }
    pthread_mutex_unlock(&c->lock);
    return free_for_us ? SP_OK
                       : SP_FAIL(err, SP_E_USAGE,
                                 "another thread is using this context; take turns, or give each thread a "
                                 "context of its own");
}

sp_status spi_enter(sp_context *ctx, spi_call *call, sp_error *err)
{
    SP_TRY(may_enter(ctx, err));
    *call = (spi_call){.ctx = ctx, .before = sp_scope_enter(&ctx->scope)};
    return SP_OK;
}

/* The last call that ends destroys what was closed meanwhile, and the context where nobody has it any more.
 */
void spi_leave(spi_call *call)
{
    sp_context *c = call->ctx;
    pthread_mutex_lock(&c->lock);
    while (c->depth == 1 && c->dead) {
        sp_net *net = c->dead;
        c->dead = net->next;
        pthread_mutex_unlock(&c->lock);
        spi_net_destroy(net);
        pthread_mutex_lock(&c->lock);
        c->handles--;
    }
    bool last = --c->depth == 0 && c->handles == 0;
    pthread_mutex_unlock(&c->lock);
    sp_scope_enter(call->before);
    if (last)
        context_free(c);
}

/* Gives a handle back; net NULL: the context's own. After fork() everything is left as it is. */
static void release(sp_context *c, sp_net *net)
{
    spi_call call = {.ctx = c};
    if (c->pid != getpid())
        return;
    pthread_mutex_lock(&c->lock);
    if (net) {
        net->next = c->dead;
        c->dead = net;
    } else {
        c->handles--;
    }
    bool ours = c->depth == 0;
    if (ours) {
        c->owner = pthread_self();
        c->depth = 1;
    }
    pthread_mutex_unlock(&c->lock);
    if (!ours)
        return;
    call.before = sp_scope_enter(&c->scope);
    spi_leave(&call);
}

void sp_context_destroy(sp_context **ctx)
{
    if (!ctx || !*ctx)
        return;
    release(*ctx, NULL);
    *ctx = NULL;
}

void sp_net_close(sp_net **net)
{
    if (!net || !*net)
        return;
    release((*net)->ctx, *net);
    *net = NULL;
}

sp_status sp_context_device(sp_context *ctx, sp_device_text *out, sp_error *err)
{
    if (!ctx)
        return SP_FAIL(err, SP_E_USAGE,
                       "sp_context_device: the context is NULL: never created, or destroyed");
    sp_device_text t = device_text(&ctx->dev->info);
    t.is_usable = 1;
    return spi_give_struct("sp_device_text", &t, sizeof t, out, err);
}
