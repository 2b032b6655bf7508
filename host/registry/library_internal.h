/* Shared by so_load.c (opening) and library_variant.c (variants of an opened library). */
#ifndef SP_REGISTRY_LIBRARY_INTERNAL_H
#define SP_REGISTRY_LIBRARY_INTERNAL_H

#include "registry/library.h"

struct sp_library {
    char *path;
    const sp_plugin_interface *entry; /* NULL until init succeeded */
    const sp_plugin_factory *factory;
};

extern const sp_plugin_log sp_library_log;

/* SP_E_PLUGIN from a status and reason that came over the border. */
sp_status sp_library_fail(const char *path, const char *what, int32_t status, const sp_plugin_error *why,
                          sp_error *err);

#endif
