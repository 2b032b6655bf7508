/* What a variant's results depend on, as one number: results kept on disk count only while it is the same. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/embedded.h"
#include "registry/registry.h"

static uint64_t hash_text(uint64_t h, const char *text)
{
    return text ? sp_hash(h, text, strlen(text) + 1) : h;
}

/* The shared object beside the .meta file. */
static uint64_t hash_object(uint64_t h, const sp_variant *v)
{
    const char *slash = strrchr(v->path, '/');
    char *path =
        sp_format("%.*s/%s.so", slash ? (int)(slash - v->path) : 1, slash ? v->path : ".", v->library);
    FILE *f = path ? sp_file_stream(path, NULL) : NULL;
    unsigned char block[4096];
    for (size_t n; f && (n = fread(block, 1, sizeof block, f)) > 0;)
        h = sp_hash(h, block, n);
    if (f)
        fclose(f);
    sp_free(path);
    return h;
}

static uint64_t hash_with_prelude(const char *source)
{
    return hash_text(hash_text(SP_HASH_START, sp_embedded_text("cl_kernels/common/spikeport.clh")), source);
}

uint64_t sp_fragment_hash(const sp_fragment *f)
{
    return hash_with_prelude(f->source);
}

uint64_t sp_variant_hash(const sp_variant *v)
{
    uint64_t h = hash_with_prelude(v->source);
    h = hash_text(h, v->when); /* two blocks of one file may share an id */
    h = hash_text(h, v->defines);
    return v->kind == SP_VARIANT_LIBRARY && v->path && v->library ? hash_object(h, v) : h;
}
