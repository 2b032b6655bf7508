/* The "monitor" section of a recipe: what is measured beside training and changes nothing in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/recipe_keys.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const references[] = {"bptt", "sltt"};

static const char *const suffixes[] = {"", "-bf16-gradients", "-bf16"}; /* of SP_BF16_ */

bool sp_compared_parse(const char *text, sp_compared *out)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_OTTT, SP_METHOD_NDOT, SP_METHOD_RATE,
                                        SP_METHOD_BPTT};
    char name[32];
    size_t n = strlen(text);
    *out = (sp_compared){.method = SP_METHOD_SLTT_K};
    for (sp_bf16 k = SP_BF16_GRADIENTS; k <= SP_BF16_ALL && !out->bf16; k++) {
        const size_t more = strlen(suffixes[k]);
        if (n > more && strcmp(text + n - more, suffixes[k]) == 0)
            out->bf16 = k, n -= more;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    for (size_t i = 0; i < COUNT(methods); i++)
        if (strcmp(name, sp_method_name(methods[i])) == 0) {
            out->method = methods[i];
            return true;
        }
    if (strncmp(name, "sltt-k", 6) != 0)
        return false;
    if (name[6] == 0)
        return true;
    char *end;
    out->k = strtol(name + 7, &end, 10);
    return name[6] == ':' && name[7] >= '0' && name[7] <= '9' && *end == 0 && out->k >= 1 && out->k <= 4096;
}

void sp_compared_name(const sp_compared *c, char *out, size_t out_size)
{
    const char *suffix = suffixes[c->bf16];
    if (c->k)
        snprintf(out, out_size, "%s:%lld%s", sp_method_name(c->method), (long long)c->k, suffix);
    else
        snprintf(out, out_size, "%s%s", sp_method_name(c->method), suffix);
}

static sp_status add_method(sp_recipe *r, const sp_yaml *item, sp_error *err)
{
    sp_compared *c = &r->monitor.methods[r->monitor.n_methods];
    if (item->kind != SP_YAML_STRING || !sp_compared_parse(item->text, c))
        return sp_yaml_fail(item, err,
                            "a method to compare is sltt, sltt-k:K with a number of steps K, sltt-k for the "
                            "steps that this run draws, ottt, ndot, rate, or bptt; with -bf16 behind it, "
                            "such as "
                            "sltt-bf16 or sltt-bf16-gradients, it multiplies in bf16");
    if (c->method == SP_METHOD_SLTT_K && c->k > r->time_steps)
        return sp_yaml_fail(item, err, "%s wants %lld steps, but there are only %lld time steps", item->text,
                            (long long)c->k, (long long)r->time_steps);
    if (c->method == SP_METHOD_SLTT_K && c->k == 0 && r->method != SP_METHOD_SLTT_K)
        return sp_yaml_fail(item, err,
                            "\"sltt-k\" stands for the steps that this run draws, but its method is %s; "
                            "write sltt-k:K",
                            sp_method_name(r->method));
    r->monitor.n_methods++;
    return SP_OK;
}

/* Nothing said: SLTT, and the method of the run where it is another. */
static void default_methods(sp_recipe *r)
{
    r->monitor.methods[r->monitor.n_methods++] = (sp_compared){.method = SP_METHOD_SLTT};
    if (r->method != SP_METHOD_SLTT && r->method != SP_METHOD_BPTT)
        r->monitor.methods[r->monitor.n_methods++] = (sp_compared){.method = r->method};
}

sp_status spi_recipe_read_similarity(void *base, const sp_yaml *m, sp_error *err)
{
    sp_recipe *r = base;
    static const char *const known[] = {"every", "methods", "reference"};
    int reference = 0;
    if (m->kind == SP_YAML_NULL)
        return SP_OK;
    if (m->kind == SP_YAML_INT) { /* gradient_similarity: 100 */
        if (m->integer < 0 || m->integer > 1000000000)
            return sp_yaml_fail(m, err,
                                "\"gradient_similarity\" is a number of mini-batches, 0 to 1000000000");
        r->monitor.every = m->integer;
        default_methods(r);
        return SP_OK;
    }
    if (m->kind != SP_YAML_MAP)
        return sp_yaml_fail(m, err,
                            "\"gradient_similarity\" is a number of mini-batches, or a map such as {every: "
                            "100, methods: [sltt, \"sltt-k:2\"]}");
    r->monitor.every = 100;
    SP_TRY(sp_yaml_check_keys(m, known, COUNT(known), "gradient_similarity", err));
    SP_TRY(sp_yaml_read_int(m, "every", 0, 1000000000, &r->monitor.every, err));
    SP_TRY(sp_yaml_read_choice(m, "reference", references, COUNT(references), &reference, err));
    r->monitor.reference = reference == 1 ? SP_METHOD_SLTT : SP_METHOD_BPTT;
    const sp_yaml *list = sp_yaml_get(m, "methods");
    if (!list) {
        default_methods(r);
        return SP_OK;
    }
    if (list->kind != SP_YAML_LIST || list->n == 0 || list->n > SP_COMPARED_MOST)
        return sp_yaml_fail(list, err,
                            "\"methods\" is a list of one to %d methods, such as [sltt, \"sltt-k:2\", ottt]",
                            SP_COMPARED_MOST);
    r->monitor.given = true;
    for (size_t i = 0; i < list->n; i++)
        SP_TRY(add_method(r, list->items[i], err));
    return SP_OK;
}

void spi_recipe_print_similarity(const void *base, sp_text *t)
{
    const sp_recipe *r = base;
    sp_text_add(t, "{every: %lld, reference: %s", (long long)r->monitor.every,
                sp_method_name(r->monitor.reference));
    for (int i = 0; i < r->monitor.n_methods && r->monitor.given; i++) {
        char name[32];
        sp_compared_name(&r->monitor.methods[i], name, sizeof name);
        sp_text_add(t, "%s\"%s\"", i ? ", " : ", methods: [", name);
    }
    sp_text_add(t, r->monitor.given ? "]}" : "}");
}
