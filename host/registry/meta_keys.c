/* The keys of the `//@` grammar: one function each, and the table that names them. A value comes as a copy
 * that may be cut up. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "registry/meta_internal.h"

char *sp_meta_next_word(char **at)
{
    char *word = *at + strspn(*at, " \t");
    if (*word == '\0')
        return NULL;
    char *end = word + strcspn(word, " \t");
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

bool sp_meta_is_identifier(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return *s == '\0';
}

/* Plugin, fragment and library names: they stand in file names, ids and on the command line. */
static bool is_plain_name(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == '\0';
}

sp_status sp_meta_copy(sp_meta_reader *r, const char *value, char **out)
{
    sp_free(*out);
    *out = sp_strdup(value);
    return *out ? SP_OK : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
}

sp_status sp_meta_read_integer(sp_meta_reader *r, const char *word, int64_t *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(word, &end, 0);
    if (end == word || *end || errno)
        return SP_META_FAIL(r, "\"%s\" is not an integer", word);
    *value = v;
    return SP_OK;
}

sp_status sp_meta_read_assignment(sp_meta_reader *r, char *value, char **name, char **rest)
{
    char *equals = strchr(value, '=');
    if (!equals)
        return SP_META_FAIL(r, "write it as NAME = VALUE, not \"%s\"", value);
    *equals = '\0';
    *rest = equals + 1;
    *name = sp_meta_next_word(&value);
    if (!*name || sp_meta_next_word(&value) || !sp_meta_is_identifier(*name))
        return SP_META_FAIL(r, "the part before \"=\" must be one name (letters, digits, _)");
    return SP_OK;
}

static sp_status key_plugin(sp_meta_reader *r, char *value)
{
    const char *name = sp_meta_next_word(&value), *version = sp_meta_next_word(&value);
    if (!name || !version || sp_meta_next_word(&value))
        return SP_META_FAIL(r, "write \"plugin: NAME VERSION\", for example \"plugin: my_conv 1.0.0\"");
    if (!is_plain_name(name))
        return SP_META_FAIL(r, "plugin name \"%s\": letters, digits, _ and - only", name);
    if (strcmp(name, "reference") == 0 && r->origin != SP_ORIGIN_REFERENCE)
        return SP_META_FAIL(r, "the plugin name \"reference\" is that of cl_kernels/ alone; choose another");
    SP_TRY(sp_meta_copy(r, name, &r->out->plugin));
    return sp_meta_copy(r, version, &r->out->version);
}

static sp_status key_abi(sp_meta_reader *r, char *value)
{
    int64_t abi = 0;
    SP_TRY(sp_meta_read_integer(r, value, &abi));
    if (abi != SP_META_ABI)
        return SP_META_FAIL(r,
                            "metadata grammar abi %lld, but this spikeport reads abi %d; get a version of "
                            "the plugin (or of spikeport) that matches",
                            (long long)abi, SP_META_ABI);
    r->abi_seen = true;
    return SP_OK;
}

static sp_status unknown_op(sp_meta_reader *r, const char *id)
{
    char family[64];
    size_t n = strcspn(id, "/");
    if (id[n] == '/' && n < sizeof family) {
        memcpy(family, id, n);
        family[n] = '\0';
        const sp_op *known = sp_op_find(family);
        if (known)
            return SP_META_FAIL(r,
                                "this spikeport has %s but not revision \"%s\"; get a matching version of "
                                "the plugin",
                                known->id, id);
    } else if (sp_op_find(id)) {
        return SP_META_FAIL(r, "name the revision of the op: \"%s\"", sp_op_find(id)->id);
    }
    const char *names[128];
    size_t count = 0;
    for (; count < sp_op_count() && count < 128; count++)
        names[count] = sp_op_at(count)->id;
    const char *near = sp_suggest(id, names, count);
    return SP_META_FAIL(r, "unknown op \"%s\"%s%s%s", id, near ? "; did you mean \"" : "", near ? near : "",
                        near ? "\"?" : "");
}

static sp_status key_op(sp_meta_reader *r, char *value)
{
    SP_TRY(sp_meta_finish_block(r));
    const sp_op *op = strchr(value, '/') ? sp_op_find(value) : NULL;
    if (!op)
        return unknown_op(r, value);
    return sp_meta_start_block(r, op);
}

static sp_status key_kernel(sp_meta_reader *r, char *value)
{
    sp_variant *v = r->block;
    if (r->is_meta)
        return SP_META_FAIL(r, "a .meta file holds no kernels; put the block into a .cl file");
    if (!sp_meta_is_identifier(value))
        return SP_META_FAIL(r, "\"%s\" is not the name of a kernel function", value);
    if (v->n_passes == SP_VARIANT_MAX_PASSES)
        return SP_META_FAIL(r, "more than %d passes (kernel lines) in one block", SP_VARIANT_MAX_PASSES);
    v->kind = SP_VARIANT_KERNEL;
    r->pass = &v->passes[v->n_passes++];
    return sp_meta_copy(r, value, &r->pass->kernel);
}

/* Splits at commas outside parentheses into at most three expressions. */
static sp_status read_sizes(sp_meta_reader *r, char *value, char *out[3], int *n)
{
    *n = 0;
    for (char *at = value; at;) {
        int depth = 0;
        char *end = at;
        for (; *end && (*end != ',' || depth > 0); end++)
            depth += (*end == '(') - (*end == ')');
        char *next = *end ? end + 1 : NULL;
        *end = '\0';
        at += strspn(at, " \t");
        if (*at == '\0')
            return SP_META_FAIL(r, "a size is missing before or after a comma");
        if (*n == 3)
            return SP_META_FAIL(r, "more than three dimensions");
        SP_TRY(sp_meta_expression(r, at, &out[(*n)++]));
        at = next;
    }
    return SP_OK;
}

static sp_status key_global(sp_meta_reader *r, char *value)
{
    return read_sizes(r, value, r->pass->global, &r->pass->dims);
}

static sp_status key_local(sp_meta_reader *r, char *value)
{
    int dims;
    SP_TRY(read_sizes(r, value, r->pass->local, &dims));
    if (r->pass->dims && dims != r->pass->dims)
        return SP_META_FAIL(r, "local has %d dimensions, global %d", dims, r->pass->dims);
    return SP_OK;
}

static sp_status key_bake(sp_meta_reader *r, char *value)
{
    sp_variant *v = r->block;
    for (char *word; (word = sp_meta_next_word(&value)) != NULL;) {
        int known = strcmp(word, "*") == 0;
        for (int i = 0; i < SP_OP_MAX_INTS && v->op->ints[i]; i++)
            known |= strcmp(v->op->ints[i], word) == 0;
        if (!known)
            return SP_META_FAIL(r, "bake: %s has no int \"%s\"", v->op->id, word);
        if (sp_op_scalar_is_dynamic(word))
            return SP_META_FAIL(r, "bake: \"%s\" changes between launches; take it as a kernel argument",
                                word);
        if (v->n_bakes == SP_VARIANT_MAX_BAKES)
            return SP_META_FAIL(r, "more than %d baked names", SP_VARIANT_MAX_BAKES);
        SP_TRY(sp_meta_copy(r, word, &v->bake[v->n_bakes++]));
    }
    return SP_OK;
}

static sp_status key_when(sp_meta_reader *r, char *value)
{
    SP_TRY(sp_meta_copy(r, value, &r->block->when_written));
    return sp_meta_expression(r, value, &r->block->when);
}

static sp_status key_workspace(sp_meta_reader *r, char *value)
{
    return sp_meta_expression(r, value, &r->block->workspace);
}

static sp_status key_score(sp_meta_reader *r, char *value)
{
    SP_TRY(sp_meta_read_integer(r, value, &r->block->score));
    if (r->origin == SP_ORIGIN_REFERENCE && r->block->score != 0)
        return SP_META_FAIL(r, "reference kernels have score 0");
    return SP_OK;
}

static sp_status key_tol(sp_meta_reader *r, char *value)
{
    double most = r->block->op->tolerance;
    char *end;
    double tolerance = strcmp(value, "exact") == 0 ? 0 : strtod(value, &end);
    if (strcmp(value, "exact") != 0 && (end == value || *end || !(tolerance >= 0)))
        return SP_META_FAIL(r, "tol is \"exact\" or a number, not \"%s\"", value);
    if (tolerance > most)
        return SP_META_FAIL(r, "tol %g is looser than the contract's %g; a plugin may only tighten it",
                            tolerance, most);
    if (r->block->bf16)
        return SP_META_FAIL(r, "%s", "tol: compute says the error of this kernel");
    r->block->tolerance = tolerance;
    return SP_OK;
}

/* bf16, and the error allowed where what is rounded are not the factors themselves. */
static sp_status key_compute(sp_meta_reader *r, char *value)
{
    const char *word = sp_meta_next_word(&value), *number = sp_meta_next_word(&value);
    char *end;
    if (!word || strcmp(word, "bf16") != 0)
        return SP_META_FAIL(r, "compute is bf16 and the error allowed, or bf16 alone, not \"%s\"",
                            word ? word : "");
    if (!sp_op_has_flag(r->block->op, "BF16"))
        return SP_META_FAIL(r, "compute: %s has no flag BF16", r->block->op->id);
    if (r->origin == SP_ORIGIN_REFERENCE)
        return SP_META_FAIL(r, "%s", "a reference kernel computes in float32");
    if (r->block->approximate || r->block->tolerance < r->block->op->tolerance)
        return SP_META_FAIL(r, "%s",
                            "compute: this kernel has tol or approximate already, which say its error");
    const double tolerance = number ? strtod(number, &end) : r->block->op->tolerance;
    if (number && (end == number || *end || !(tolerance > 0) || !(tolerance <= SP_BF16_MOST_ERROR)))
        return SP_META_FAIL(r, "compute: the error allowed is above 0 and at most %g, not \"%s\"",
                            SP_BF16_MOST_ERROR, number);
    r->block->tolerance = fmax(tolerance, r->block->op->tolerance);
    r->block->bf16 = true;
    return SP_OK;
}

static sp_status key_lower(sp_meta_reader *r, char *value)
{
    if (!r->is_meta)
        return SP_META_FAIL(r, "lower: stands in .meta files");
    if (strcmp(value, "im2col_gemm") != 0)
        return SP_META_FAIL(r, "unknown lowering \"%s\"; there is im2col_gemm", value);
    r->block->kind = SP_VARIANT_LOWER;
    r->kind_seen = true;
    return SP_OK;
}

static sp_status key_library(sp_meta_reader *r, char *value)
{
    if (!r->is_meta)
        return SP_META_FAIL(r, "library: stands in .meta files");
    if (!is_plain_name(value))
        return SP_META_FAIL(r, "library \"%s\": name the file without folder and ending", value);
    r->block->kind = SP_VARIANT_LIBRARY;
    r->kind_seen = true;
    return sp_meta_copy(r, value, &r->block->library);
}

static sp_status key_about(sp_meta_reader *r, char *value)
{
    return sp_meta_copy(r, value, r->block ? &r->block->about : &r->out->fragment->about);
}

static sp_status key_fragment(sp_meta_reader *r, char *value)
{
    const char *kind = sp_meta_next_word(&value), *name = sp_meta_next_word(&value);
    bool neuron = kind && strcmp(kind, "neuron") == 0;
    if (!name || sp_meta_next_word(&value) || (!neuron && strcmp(kind, "surrogate") != 0) ||
        !is_plain_name(name))
        return SP_META_FAIL(r, "write \"fragment: surrogate NAME\" or \"fragment: neuron NAME\"");
    if (r->block || r->out->fragment || r->is_meta)
        return SP_META_FAIL(r, "a fragment has a .cl file of its own, without op lines");
    sp_fragment *f = r->out->fragment = sp_alloc(sizeof *f);
    if (!f)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
    f->kind = neuron ? SP_FRAGMENT_NEURON : SP_FRAGMENT_SURROGATE;
    f->origin = r->origin;
    f->source = r->text;
    f->width_default = 1;
    SP_TRY(sp_meta_copy(r, r->out->plugin, &f->plugin));
    SP_TRY(sp_meta_copy(r, r->out->version, &f->version));
    SP_TRY(sp_meta_copy(r, r->path, &f->path));
    return sp_meta_copy(r, name, &f->name);
}

static sp_status key_param(sp_meta_reader *r, char *value)
{
    sp_fragment *f = r->out->fragment;
    char *name, *rest, *end;
    SP_TRY(sp_meta_read_assignment(r, value, &name, &rest));
    if (f->kind != SP_FRAGMENT_SURROGATE || strcmp(name, "width") != 0)
        return SP_META_FAIL(r, "the one parameter there is: \"width\" of a surrogate");
    const char *word = sp_meta_next_word(&rest);
    f->width_default = word ? strtod(word, &end) : 0;
    if (!word || *end || sp_meta_next_word(&rest) || !(f->width_default > 0 && f->width_default < 1e30))
        return SP_META_FAIL(r, "width must be one number greater than 0");
    return SP_OK;
}

static sp_status key_uses(sp_meta_reader *r, char *value)
{
    static const char *const words[] = {"aux", "threshold", "learn"}; /* order of the SP_USES_ bits */
    sp_fragment *f = r->out->fragment;
    if (f->kind != SP_FRAGMENT_NEURON)
        return SP_META_FAIL(r, "\"uses\" is about neuron models");
    for (const char *word = sp_meta_next_word(&value); word; word = sp_meta_next_word(&value)) {
        size_t i = 0;
        while (i < sizeof words / sizeof *words && strcmp(words[i], word) != 0)
            i++;
        if (i == sizeof words / sizeof *words)
            return SP_META_FAIL(r, "unknown word \"%s\"; a neuron model uses aux, threshold, learn", word);
        f->uses |= 1 << i;
    }
    if (!f->uses)
        return SP_META_FAIL(r, "name what the model uses: aux, threshold, learn");
    if ((f->uses & SP_USES_THRESHOLD) && !(f->uses & SP_USES_AUX))
        return SP_META_FAIL(r, "a threshold that follows a second state needs one: write \"uses: aux "
                               "threshold\"");
    return SP_OK;
}

const sp_meta_key sp_meta_keys[] = {
    {"plugin", SP_IN_FILE, false, key_plugin},
    {"abi", SP_IN_FILE, false, key_abi},
    {"op", SP_IN_FILE, true, key_op},
    {"include", SP_IN_FILE, false, sp_meta_key_include},
    {"all", SP_IN_FILE, true, sp_meta_key_all},
    {"let", SP_IN_FILE, true, sp_meta_key_let},
    {"fragment", SP_IN_FILE, false, key_fragment},
    {"kernel", SP_IN_BLOCK, true, key_kernel},
    {"global", SP_IN_PASS, false, key_global},
    {"local", SP_IN_PASS, false, key_local},
    {"bake", SP_IN_BLOCK, false, key_bake},
    {"tune", SP_IN_BLOCK, true, sp_meta_key_tune},
    {"vendor", SP_IN_BLOCK, true, sp_meta_key_vendor},
    {"registers", SP_IN_BLOCK, false, sp_meta_key_registers},
    {"define", SP_IN_BLOCK, true, sp_meta_key_define},
    {"when", SP_IN_BLOCK, false, key_when},
    {"device", SP_IN_BLOCK, false, sp_meta_key_device},
    {"needs", SP_IN_BLOCK, false, sp_meta_key_needs},
    {"workspace", SP_IN_BLOCK, false, key_workspace},
    {"score", SP_IN_BLOCK, false, key_score},
    {"tol", SP_IN_BLOCK, false, key_tol},
    {"approximate", SP_IN_BLOCK, false, sp_meta_key_approximate},
    {"by_name", SP_IN_BLOCK, false, sp_meta_key_by_name},
    {"compute", SP_IN_BLOCK, false, key_compute},
    {"lower", SP_IN_BLOCK, false, key_lower},
    {"library", SP_IN_BLOCK, false, key_library},
    {"about", SP_IN_ANY, false, key_about},
    {"param", SP_IN_FRAGMENT, false, key_param},
    {"uses", SP_IN_FRAGMENT, false, key_uses},
};
const int sp_meta_n_keys = sizeof sp_meta_keys / sizeof *sp_meta_keys;
