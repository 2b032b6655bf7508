/* The `//@ key: value` metadata of a .cl or .meta file; docs/PLUGIN_HOWTO.md has the grammar. */
#ifndef SP_REGISTRY_META_H
#define SP_REGISTRY_META_H

#include "registry/registry.h"

enum { SP_META_ABI = 1 };

/* What one file declares: variants, or one fragment. Owned by the caller until moved to a registry. */
typedef struct sp_meta {
    char *plugin, *version;
    sp_variant **variants;
    size_t n_variants;
    sp_fragment *fragment;
    char *includes; /* names of files to put in front of the text, space separated; NULL none */
    int include_line;
} sp_meta;

/* Reads and checks the metadata of text, which must outlive the result. Whatever is wrong refuses the whole
 * file: SP_E_PLUGIN with "path:line: ...". On failure *out is empty. [setup] */
sp_status sp_meta_read(const char *path, const char *text, sp_origin origin, sp_meta *out, sp_error *err);
void sp_meta_fini(sp_meta *m);

void sp_variant_destroy(sp_variant **v);
void sp_fragment_destroy(sp_fragment **f);

/* The `-DNAME=VALUE` of a variant's defines as an integer; false when there is no such name or it is not an
 * integer. */
bool sp_variant_define(const sp_variant *v, const char *name, int64_t *value);

#endif
