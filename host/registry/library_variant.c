/* One variant of a library plugin for one call: describes the call over the border, checks what comes back,
 * and translates ranges at every enqueue. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "registry/library.h"
#include "registry/library_internal.h"

struct sp_library_variant {
    sp_plugin_host host; /* first: get_extension finds the rest from it */
    sp_plugin_cl cl;
    sp_device *dev;
    const char *path; /* the library's */
    sp_plugin_variant *plugin;
    sp_plugin_range buffers[SP_OP_MAX_BUFFERS];
    uint32_t n_buffers;
};

static const void *get_extension(const sp_plugin_host *host, const char *id)
{
    if (strcmp(id, SP_PLUGIN_EXT_CL) == 0)
        return &((const sp_library_variant *)host)->cl;
    return strcmp(id, SP_PLUGIN_EXT_LOG) == 0 ? &sp_library_log : NULL;
}

static void fill_host(sp_library_variant *v, sp_device *dev)
{
    const sp_device_info *i = &dev->info;
    v->host = (sp_plugin_host){.struct_size = sizeof v->host,
                               .abi_major = SP_PLUGIN_ABI_MAJOR,
                               .abi_minor = SP_PLUGIN_ABI_MINOR,
                               .get_extension = get_extension};
    v->cl = (sp_plugin_cl){.struct_size = sizeof v->cl,
                           .device_type = (int32_t)i->type,
                           .context = dev->context,
                           .device = i->device_id,
                           .queue = dev->queue,
                           .platform = i->platform,
                           .name = i->name,
                           .vendor = i->vendor,
                           .driver = i->driver,
                           .max_work_group = i->max_work_group,
                           .local_bytes = i->local_bytes,
                           .max_alloc_bytes = i->max_alloc_bytes,
                           .compute_units = i->compute_units,
                           .flags = i->quirks & SP_QUIRK_SLOW_SIMULATOR ? SP_PLUGIN_CL_SIMULATOR : 0};
}

static uint32_t count_names(const char *const *names, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && names[n])
        n++;
    return n;
}

/* Finds the descriptor of the call's op and lets the plugin make the variant. */
static sp_status create_plugin(sp_library_variant *v, const sp_library *lib, const sp_variant *of,
                               const sp_op_call *call, const int64_t *tune_values, sp_error *err)
{
    const sp_op *op = call->op;
    const char *names[SP_OP_MAX_BUFFERS], *tune_names[SP_VARIANT_MAX_TUNES];
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    int32_t present[SP_OP_MAX_BUFFERS], flags[SP_OP_MAX_FLAGS];
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++, v->n_buffers++) {
        names[i] = op->buffers[i].name;
        present[i] = sp_call_has_buffer(call, i);
    }
    for (int i = 0; i < SP_OP_MAX_FLAGS; i++)
        flags[i] = call->flags[i];
    for (int i = 0; i < of->n_tunes; i++) {
        tune_names[i] = of->tunes[i].name;
        tunes[i] = tune_values ? tune_values[i] : of->tunes[i].values[0];
    }
    const sp_plugin_call c = {.struct_size = sizeof c,
                              .n_ints = count_names(op->ints, SP_OP_MAX_INTS),
                              .n_floats = count_names(op->floats, SP_OP_MAX_FLOATS),
                              .n_flags = count_names(op->flags, SP_OP_MAX_FLAGS),
                              .n_buffers = v->n_buffers,
                              .op = op->id,
                              .int_names = op->ints,
                              .ints = call->ints,
                              .float_names = op->floats,
                              .floats = call->floats,
                              .flag_names = op->flags,
                              .flags = flags,
                              .buffer_names = names,
                              .buffer_present = present,
                              .neuron = call->neuron,
                              .surrogate = call->surrogate,
                              .n_tunes = (uint32_t)of->n_tunes,
                              .tune_names = tune_names,
                              .tune_values = tunes};
    const sp_plugin_factory *f = lib->factory;
    for (uint32_t i = 0, n = f->count(); i < n; i++) {
        const sp_plugin_descriptor *d = f->get_descriptor(i);
        if (!d || !SP_PLUGIN_HAS(d, sp_plugin_descriptor, op) || !d->op || strcmp(d->op, op->id) != 0)
            continue;
        sp_plugin_error why = {.struct_size = sizeof why};
        int32_t status = f->create(i, &v->host, &c, &v->plugin, &why);
        return status == SP_OK ? SP_OK : sp_library_fail(lib->path, "create", status, &why, err);
    }
    return SP_FAIL(err, SP_E_PLUGIN, "%s: its factory has nothing for %s, though its .meta file says so",
                   lib->path, op->id);
}

static sp_status check_and_prepare(sp_library_variant *v, uint64_t *workspace_bytes, sp_error *err)
{
    sp_plugin_variant *p = v->plugin;
    if (!p || !SP_PLUGIN_HAS(p, sp_plugin_variant, destroy)) {
        v->plugin = NULL; // nothing that could be destroyed
        return SP_FAIL(err, SP_E_PLUGIN, "%s: create made no variant of at least %zu bytes", v->path,
                       offsetof(sp_plugin_variant, get_extension));
    }
    if (!p->enqueue || !p->destroy)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: a variant needs enqueue and destroy", v->path);
    sp_plugin_error why = {.struct_size = sizeof why};
    int32_t status = p->workspace ? p->workspace(p, workspace_bytes, &why) : SP_OK;
    if (status != SP_OK)
        return sp_library_fail(v->path, "workspace", status, &why, err);
    status = p->prepare ? p->prepare(p, &why) : SP_OK;
    return status == SP_OK ? SP_OK : sp_library_fail(v->path, "prepare", status, &why, err);
}

sp_status sp_library_variant_create(sp_library *lib, sp_device *dev, const sp_variant *of,
                                    const sp_op_call *call, const int64_t *tune_values,
                                    sp_library_variant **out, uint64_t *workspace_bytes, sp_error *err)
{
    sp_status st;
    sp_library_variant *v = sp_alloc(sizeof *v);
    if (!v)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while preparing %s", lib->path);
    v->dev = dev;
    v->path = lib->path;
    fill_host(v, dev);
    *workspace_bytes = 0;
    SP_TRY_GOTO(create_plugin(v, lib, of, call, tune_values, err));
    SP_TRY_GOTO(check_and_prepare(v, workspace_bytes, err));
    *out = v;
    v = NULL;
done:
    sp_library_variant_destroy(&v);
    return st;
}

void sp_library_variant_destroy(sp_library_variant **out)
{
    sp_library_variant *v = out ? *out : NULL;
    if (!v)
        return;
    if (v->plugin && v->plugin->destroy)
        v->plugin->destroy(v->plugin);
    sp_free(v);
    *out = NULL;
}

sp_status sp_library_variant_enqueue(sp_library_variant *v, const sp_range *buffers, sp_range work,
                                     const sp_dynamic *dyn, const char *name, sp_error *err)
{
    for (uint32_t i = 0; i < v->n_buffers; i++)
        v->buffers[i] = (sp_plugin_range){buffers[i].mem, buffers[i].at_bytes / 4};
    sp_plugin_launch launch = {.struct_size = sizeof launch,
                               .n_buffers = v->n_buffers,
                               .queue = v->dev->queue,
                               .buffers = v->buffers,
                               .work = {work.mem, work.at_bytes / 4}};
    if (dyn) {
        launch.first = dyn->first;
        launch.last = dyn->last;
        launch.iteration = dyn->iteration;
        launch.lr = dyn->lr;
        launch.bias1 = dyn->bias1;
        launch.bias2 = dyn->bias2;
    }
    sp_plugin_error why = {.struct_size = sizeof why};
    sp_device_span span = sp_device_span_begin(v->dev, name);
    launch.event = span.event;
    int32_t status = v->plugin->enqueue(v->plugin, &launch, &why);
    sp_device_span_end(v->dev, span);
    if (status != SP_OK)
        return sp_error_prefix(err, sp_library_fail(v->path, "enqueue", status, &why, err), "%s: ", name);
    v->dev->n_launches++;
    if (!v->dev->options.sync_debug)
        return SP_OK;
    sp_status st = sp_device_finish(v->dev, err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "%s: ", name);
}
