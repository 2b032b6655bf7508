/* Choices forced by the user, as select.c asks for them. Private to host/registry. */
#ifndef SP_REGISTRY_FORCE_H
#define SP_REGISTRY_FORCE_H

#include "registry/registry.h"

/* The name (variant id, plugin or "reference") forced for op; NULL none. */
const char *sp_forced_find(const sp_registry *reg, const sp_op *op);
/* Whether name means v. */
bool sp_forced_names(const char *name, const sp_variant *v);

#endif
