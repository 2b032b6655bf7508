/* The program of a variant for one call: spikeport.clh, the fragments the call names, the file (both with
 * what they include); and what is -D. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "registry/embedded.h"
#include "registry/launch_internal.h"

#define PRELUDE    "cl_kernels/common/spikeport.clh"
#define MAX_PIECES 4

static sp_status add_fragment(const sp_registry *reg, sp_fragment_kind kind, const char *name,
                              sp_source *pieces, size_t *n, sp_error *err)
{
    const char *what = kind == SP_FRAGMENT_NEURON ? "neuron" : "surrogate";
    if (!name)
        return SP_FAIL(err, SP_E_CONFIG, "the op needs a %s, but none is named", what);
    const sp_fragment *f = sp_fragment_find(reg, kind, name);
    if (!f) {
        const char *names[64];
        size_t count = sp_fragment_names(reg, kind, names, 64);
        const char *near = sp_suggest(name, names, count);
        return SP_FAIL(err, SP_E_CONFIG,
                       "there is no %s \"%s\"%s%s%s (`spikeport plugins list` shows those there are)", what,
                       name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (f->refused)
        return SP_FAIL(err, SP_E_PLUGIN, "%s \"%s\" (%s) was refused: %s", what, name, f->path, f->refused);
    pieces[(*n)++] = (sp_source){f->path, f->source};
    return SP_OK;
}

/* Flags as 0 or 1, baked ints, tunes, defines. */
static sp_status write_options(const sp_variant *v, const sp_op_call *call, const int64_t *tune_values,
                               sp_text *t, sp_error *err)
{
    const sp_op *op = call->op;
    for (int i = 0; i < SP_OP_MAX_FLAGS && op->flags[i]; i++)
        sp_text_add(t, "-D%s=%d ", op->flags[i], call->flags[i] != 0);
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        if (sp_variant_bakes(v, op->ints[i]))
            sp_text_add(t, call->ints[i] < 0 ? "-D%s=(%" PRId64 ") " : "-D%s=%" PRId64 " ", op->ints[i],
                        call->ints[i]);
    for (int i = 0; i < v->n_tunes; i++)
        sp_text_add(t, "-D%s=%" PRId64 " ", v->tunes[i].name, tune_values[i]);
    sp_text_add(t, "%s", v->defines ? v->defines : "");
    return t->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory while building %s", v->id) : SP_OK;
}

static sp_status collect(const sp_registry *reg, const sp_launch *l, sp_source pieces[MAX_PIECES], size_t *n,
                         sp_text *options, sp_error *err)
{
    const sp_op_call *call = &l->call;
    *n = 0;
    pieces[(*n)++] = (sp_source){PRELUDE, sp_embedded_text(PRELUDE)};
    if (call->op->takes_neuron)
        SP_TRY(add_fragment(reg, SP_FRAGMENT_NEURON, call->neuron, pieces, n, err));
    if (call->op->takes_surrogate)
        SP_TRY(add_fragment(reg, SP_FRAGMENT_SURROGATE, call->surrogate, pieces, n, err));
    pieces[(*n)++] = (sp_source){l->variant->path, l->variant->source};
    return write_options(l->variant, call, l->tune_values, options, err);
}

sp_status sp_launch_source(const sp_registry *reg, const sp_launch *l, sp_text *text, sp_text *options,
                           sp_error *err)
{
    sp_source pieces[MAX_PIECES];
    size_t n;
    SP_TRY(collect(reg, l, pieces, &n, options, err));
    for (size_t i = 0; i < n; i++)
        sp_text_add(text, "%s\n", pieces[i].text);
    return text->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the source of %s", l->variant->id)
                        : SP_OK;
}

sp_status sp_launch_key(const sp_registry *reg, const sp_launch *l, char key[17], sp_error *err)
{
    sp_text text = {0}, options = {0};
    sp_status st = sp_launch_source(reg, l, &text, &options, err);
    snprintf(key, 17, "%016" PRIx64,
             sp_hash_text(sp_hash_text(sp_hash_text(SP_HASH_START, l->variant->passes[0].kernel), text.s),
                          options.s));
    sp_text_free(&text);
    sp_text_free(&options);
    return st;
}

sp_status sp_launch_program(sp_registry *reg, sp_launch *l, cl_program *out, sp_error *err)
{
    sp_status st;
    sp_source pieces[MAX_PIECES];
    size_t n = 0;
    sp_text options = {0};
    if (reg->package) {
        char key[17];
        SP_TRY(sp_launch_key(reg, l, key, err));
        return sp_package_program(reg->package, l->dev, l->variant, &l->call, key, &l->packed, out, err);
    }
    SP_TRY_GOTO(collect(reg, l, pieces, &n, &options, err));
    SP_TRY_GOTO(sp_program_get(l->dev, l->variant->id, pieces, n, options.s, out, err));
done:
    sp_text_free(&options);
    return st;
}
