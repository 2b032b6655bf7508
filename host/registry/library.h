/* Library plugins: shared objects behind spikeport/plugin.h. Private to host/registry. */
#ifndef SP_REGISTRY_LIBRARY_H
#define SP_REGISTRY_LIBRARY_H

#include "registry/launch.h"
#include "registry/store.h"
#include "spikeport/plugin.h"

/* The opened library of v: opened on first use, kept by the registry. Whatever is wrong with it is
 * SP_E_PLUGIN. [setup] */
sp_status sp_library_get(sp_registry *reg, const sp_variant *v, sp_library **out, sp_error *err);
/* deinit. The object stays mapped: driver threads may still run its code. */
void sp_library_close(sp_library **lib);

/* A variant made by a library for one call. */
typedef struct sp_library_variant sp_library_variant;
sp_status sp_library_variant_create(sp_library *lib, sp_device *dev, const sp_variant *v,
                                    const sp_op_call *call, const int64_t *tune_values,
                                    sp_library_variant **out, uint64_t *workspace_bytes, sp_error *err);
void sp_library_variant_destroy(sp_library_variant **v);
sp_status sp_library_variant_enqueue(sp_library_variant *v, const sp_range *buffers, sp_range work,
                                     const sp_dynamic *dyn, const char *name, sp_error *err);

#endif
