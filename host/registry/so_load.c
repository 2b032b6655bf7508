/* Opens the shared object of a library plugin when it is chosen, and checks every number at the border before
 * a function of it is called. Never unloads one. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/library.h"
#include "registry/library_internal.h"

static void log_write(const sp_plugin_host *host, int32_t level, const char *text)
{
    (void)host;
    if (text)
        sp_log(level < SP_LOG_ERROR || level > SP_LOG_DEBUG ? SP_LOG_INFO : (sp_log_level)level, "%s", text);
}

const sp_plugin_log sp_library_log = {.struct_size = sizeof(sp_plugin_log), .write = log_write};

static const void *init_extension(const sp_plugin_host *host, const char *id)
{
    (void)host;
    return strcmp(id, SP_PLUGIN_EXT_LOG) == 0 ? &sp_library_log : NULL;
}

/* Of init: it knows the log, no device. */
static const sp_plugin_host init_host = {.struct_size = sizeof(sp_plugin_host),
                                         .abi_major = SP_PLUGIN_ABI_MAJOR,
                                         .abi_minor = SP_PLUGIN_ABI_MINOR,
                                         .get_extension = init_extension};

sp_status sp_library_fail(const char *path, const char *what, int32_t status, const sp_plugin_error *why,
                          sp_error *err)
{
    char text[sizeof why->text]; // the plugin may have forgotten the final NUL
    snprintf(text, sizeof text, "%.*s", (int)sizeof why->text - 1, why->text);
    return sp_error_set(err, SP_E_PLUGIN, why->cl_code, __FILE__, __LINE__,
                        "%s: %s failed (status %d%s%s): %s", path, what, (int)status,
                        why->cl_code ? ", " : "", why->cl_code ? sp_cl_error_name(why->cl_code) : "",
                        text[0] ? text : "the plugin gives no reason");
}

static sp_status check_entry(const char *path, const sp_plugin_interface *e, sp_error *err)
{
    if (!SP_PLUGIN_HAS(e, sp_plugin_interface, abi_minor))
        return SP_FAIL(err, SP_E_PLUGIN,
                       "%s: struct_size of its entry is %u, too small to hold the ABI numbers", path,
                       e->struct_size);
    if (e->abi_major != SP_PLUGIN_ABI_MAJOR)
        return SP_FAIL(err, SP_E_PLUGIN,
                       "%s: built for plugin ABI %u.%u, this spikeport has %u.%u; rebuild the plugin "
                       "with this spikeport's plugin.h",
                       path, e->abi_major, e->abi_minor, SP_PLUGIN_ABI_MAJOR, SP_PLUGIN_ABI_MINOR);
    if (!SP_PLUGIN_HAS(e, sp_plugin_interface, get_factory))
        return SP_FAIL(err, SP_E_PLUGIN, "%s: struct_size of its entry is %u, ABI %u.%u has at least %zu",
                       path, e->struct_size, e->abi_major, e->abi_minor, sizeof *e);
    if (!e->init || !e->deinit || !e->get_factory)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: init, deinit and get_factory must all be there", path);
    return SP_OK;
}

static sp_status check_factory(const char *path, const sp_plugin_factory *f, sp_error *err)
{
    if (!f)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: has no factory \"%s\"", path, SP_PLUGIN_VARIANT_FACTORY);
    if (!SP_PLUGIN_HAS(f, sp_plugin_factory, create))
        return SP_FAIL(err, SP_E_PLUGIN, "%s: struct_size of its factory is %u, at least %zu is needed", path,
                       f->struct_size, sizeof *f);
    if (!f->count || !f->get_descriptor || !f->create)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: count, get_descriptor and create must all be there", path);
    return SP_OK;
}

/* Opens path and calls init. lib->entry is set only when init succeeded, so that deinit stays balanced. */
static sp_status open_library(sp_library *lib, sp_error *err)
{
    void *handle = dlopen(lib->path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return SP_FAIL(err, SP_E_PLUGIN, "the shared object cannot be opened: %s", dlerror());
    const sp_plugin_interface *entry = dlsym(handle, SP_PLUGIN_ENTRY_SYMBOL);
    if (!entry)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: exports no symbol \"%s\"; see spikeport/plugin.h", lib->path,
                       SP_PLUGIN_ENTRY_SYMBOL);
    SP_TRY(check_entry(lib->path, entry, err));
    sp_plugin_error why = {.struct_size = sizeof why};
    int32_t status = entry->init(&init_host, &why);
    if (status != SP_OK)
        return sp_library_fail(lib->path, "init", status, &why, err);
    lib->entry = entry;
    lib->factory = entry->get_factory(SP_PLUGIN_VARIANT_FACTORY);
    return check_factory(lib->path, lib->factory, err);
}

/* "<folder of the .meta>/<library>.so" */
static char *library_path(const sp_variant *v)
{
    const char *slash = strrchr(v->path, '/');
    int n = slash ? (int)(slash - v->path) : 1;
    return sp_format("%.*s/%s.so", n, slash ? v->path : ".", v->library);
}

sp_status sp_library_get(sp_registry *reg, const sp_variant *v, sp_library **out, sp_error *err)
{
    sp_registry_store *store = reg->store;
    sp_status st;
    sp_library *lib = sp_alloc(sizeof *lib);
    if (!lib || !(lib->path = library_path(v))) {
        sp_library_close(&lib);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening plugin %s", v->id);
    }
    for (size_t i = 0; i < store->n_libraries; i++)
        if (strcmp(store->libraries[i]->path, lib->path) == 0) {
            sp_library_close(&lib);
            *out = store->libraries[i];
            return SP_OK;
        }
    SP_TRY_GOTO(open_library(lib, err));
    sp_library **added = sp_array_push(&store->libraries, store->n_libraries, sizeof *added);
    SP_TRY_GOTO(added ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while opening %s", lib->path));
    *added = *out = lib;
    store->n_libraries++;
    lib = NULL;
done:
    sp_library_close(&lib);
    return st;
}

void sp_library_close(sp_library **out)
{
    sp_library *lib = out ? *out : NULL;
    if (!lib)
        return;
    if (lib->entry)
        lib->entry->deinit();
    sp_free(lib->path);
    sp_free(lib);
    *out = NULL;
}
