/* spikeport plugins: what kernels and fragments there are, why one is chosen, whether they are right, how
 * fast they are. This file reads the options and has list and show; the other subcommands are in plugins_*.c.
 */
#include "cli/plugins.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "check/check.h"
#include "registry/wisdom.h"

static const char *origin_name(sp_origin origin)
{
    static const char *const names[] = {"reference", "builtin", "outside"};
    return names[origin];
}

static const char *kind_name(sp_variant_kind kind)
{
    static const char *const names[] = {"kernel", "library", "lowering"};
    return names[kind];
}

static const char *fragment_kind_name(const sp_fragment *f)
{
    return f->kind == SP_FRAGMENT_NEURON ? "neuron" : "surrogate";
}

static json_t *variant_json(const sp_variant *v)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "what", "variant",
                     "op", v->op->id, "id", v->id, "plugin", v->plugin, "version", v->version, "kind",
                     kind_name(v->kind), "origin", origin_name(v->origin), "score", (json_int_t)v->score,
                     "device", v->needs_device ? v->needs_device : "", "when", v->when ? v->when : "",
                     "only_by_name", v->by_name ? v->by_name : "", "compute", v->bf16 ? "bf16" : "float",
                     "path", sp_cli_json_text(v->path));
}

/* What a neuron model has beyond its potential, as its file says it. */
static const char *uses_of(const sp_fragment *f, char out[32])
{
    snprintf(out, 32, "%s%s%s", f->uses & SP_USES_AUX ? "aux " : "",
             f->uses & SP_USES_THRESHOLD ? "threshold " : "", f->uses & SP_USES_LEARN ? "learn " : "");
    if (*out)
        out[strlen(out) - 1] = '\0';
    return out;
}

static json_t *fragment_json(const sp_fragment *f)
{
    char uses[32];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:s, s:s, s:o}", "what", "fragment", "kind",
                     fragment_kind_name(f), "name", f->name, "plugin", f->plugin, "version", f->version,
                     "origin", origin_name(f->origin), "width_default", f->width_default, "uses",
                     uses_of(f, uses), "about", f->about ? f->about : "", "path", sp_cli_json_text(f->path));
}

static sp_status list_json(const sp_registry *reg)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        SP_TRY(sp_cli_json_line(variant_json(reg->variants[i])));
    for (size_t i = 0; i < reg->n_fragments; i++)
        SP_TRY(sp_cli_json_line(fragment_json(reg->fragments[i])));
    for (size_t i = 0; i < reg->n_refusals; i++)
        SP_TRY(sp_cli_json_line(json_pack("{s:s, s:o, s:o}", "what", "refusal", "path",
                                          sp_cli_json_text(reg->refusals[i].path), "reason",
                                          sp_cli_json_text(reg->refusals[i].reason))));
    return SP_OK;
}

static sp_status list(const sp_cli_plugins *o, sp_error *err)
{
    const sp_registry *reg = o->reg;
    const sp_op *op = NULL;
    (void)err;
    if (o->json)
        return list_json(reg);
    for (size_t i = 0; i < reg->n_variants; i++) {
        const sp_variant *v = reg->variants[i];
        if (v->op != op)
            printf("%s%s\n", op ? "\n" : "", v->op->id);
        op = v->op;
        printf("  %-44s score %3" PRId64 "  %-9s%s%s%s%s%s%s%s\n", v->id, v->score, origin_name(v->origin),
               v->bf16 ? "  in bf16" : "", v->by_name ? "  only by name: " : "", v->by_name ? v->by_name : "",
               v->needs_device ? "  on " : "", v->needs_device ? v->needs_device : "",
               v->when ? "  when " : "", v->when ? v->when : "");
    }
    printf("\nfragments\n");
    for (size_t i = 0; i < reg->n_fragments; i++) {
        const sp_fragment *f = reg->fragments[i];
        printf("  %-9s %-24s %-9s  %s\n", fragment_kind_name(f), f->name, origin_name(f->origin),
               f->about ? f->about : "");
    }
    if (reg->n_refusals)
        printf("\nrefused\n");
    for (size_t i = 0; i < reg->n_refusals; i++)
        printf("  %s\n      %s\n", reg->refusals[i].path, reg->refusals[i].reason);
    return SP_OK;
}

static void show_line(const char *name, const char *value)
{
    if (value)
        printf("   %-11s %s\n", name, value);
}

static void show_variant(const sp_variant *v)
{
    printf("%s (%s %s, %s)\n", v->id, v->plugin, v->version, kind_name(v->kind));
    show_line("op", v->op->id);
    show_line("about", v->about);
    show_line("file", v->path);
    show_line("device", v->needs_device);
    show_line("needs", v->needs_extensions);
    show_line("by name", v->by_name);
    show_line("compute", v->bf16 ? "bf16, where precision.compute of the recipe allows it" : NULL);
    show_line("when", v->when);
    for (int p = 0; p < v->n_passes; p++) {
        const sp_pass *s = &v->passes[p];
        printf("   %-11s %s over", "pass", s->kernel);
        for (int d = 0; d < s->dims; d++)
            printf("%s %s", d ? "," : "", s->global[d]);
        for (int d = 0; d < s->dims && s->local[0]; d++)
            printf("%s %s", d ? "," : " in groups of", s->local[d]);
        printf("\n");
    }
    for (int i = 0; i < v->n_tunes; i++) {
        printf("   %-11s %s =", "tune", v->tunes[i].name);
        for (int k = 0; k < v->tunes[i].n_values; k++)
            printf(" %" PRId64, v->tunes[i].values[k]);
        printf("\n");
    }
    for (int i = 0; i < v->n_vendor_tunes; i++)
        printf("   %-11s %s: %s = %" PRId64 "\n", "vendor", v->vendor_tunes[i].vendor,
               v->tunes[v->vendor_tunes[i].tune].name, v->vendor_tunes[i].value);
    show_line("registers", v->registers);
    if (v->n_bakes)
        printf("   %-11s", "bake");
    for (int i = 0; i < v->n_bakes; i++)
        printf(" %s%s", v->bake[i], i + 1 == v->n_bakes ? "\n" : "");
    show_line("define", v->defines);
    show_line("workspace", v->workspace);
    printf("   %-11s %" PRId64 "\n", "score", v->score);
    if (v->tolerance > 0)
        printf("   %-11s %g%s\n\n", "tolerance", v->tolerance, v->approximate ? " (approximate)" : "");
    else
        printf("   %-11s exact\n\n", "tolerance");
}

static sp_status not_found(const sp_cli_plugins *o, sp_error *err)
{
    const char **names = sp_alloc_array(2 * o->reg->n_variants + o->reg->n_fragments + 1, sizeof *names);
    size_t n = 0;
    if (!names)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the names of plugins");
    for (size_t i = 0; i < o->reg->n_variants; i++) {
        names[n++] = o->reg->variants[i]->id;
        names[n++] = o->reg->variants[i]->plugin;
    }
    for (size_t i = 0; i < o->reg->n_fragments; i++)
        names[n++] = o->reg->fragments[i]->name;
    const char *near = sp_suggest(o->target, names, n);
    sp_free(names);
    return SP_FAIL(err, SP_E_USAGE, "no plugin, variant, fragment or op is called \"%s\"%s%s%s", o->target,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Everything that a plugin, variant, fragment or op name means. */
static sp_status show(const sp_cli_plugins *o, sp_error *err)
{
    bool found = false;
    if (!o->target)
        return SP_FAIL(err, SP_E_USAGE, "name a plugin, a variant, a fragment or an op");
    const sp_op *op = sp_op_find(o->target);
    for (size_t i = 0; i < o->reg->n_variants; i++) {
        const sp_variant *v = o->reg->variants[i];
        if (v->op != op && strcmp(o->target, v->id) != 0 && strcmp(o->target, v->plugin) != 0)
            continue;
        found = true;
        if (!o->json)
            show_variant(v);
        else
            SP_TRY(sp_cli_json_line(variant_json(v)));
    }
    for (size_t i = 0; i < o->reg->n_fragments; i++) {
        const sp_fragment *f = o->reg->fragments[i];
        if (strcmp(o->target, f->name) != 0 && strcmp(o->target, f->plugin) != 0)
            continue;
        found = true;
        if (o->json) {
            SP_TRY(sp_cli_json_line(fragment_json(f)));
            continue;
        }
        printf("%s %s (%s %s)\n", fragment_kind_name(f), f->name, f->plugin, f->version);
        show_line("about", f->about);
        show_line("file", f->path);
        char uses[32];
        if (f->uses)
            show_line("uses", uses_of(f, uses));
        if (f->kind == SP_FRAGMENT_SURROGATE)
            printf("   %-11s %g\n\n", "width", f->width_default);
    }
    return found ? SP_OK : not_found(o, err);
}

static const struct {
    const char *name;
    bool device;
    sp_status (*run)(const sp_cli_plugins *o, sp_error *err);
} subcommands[] = {
    {"list", false, list},
    {"show", false, show},
    {"why", true, sp_cli_plugins_why},
    {"check", true, sp_cli_plugins_check},
    {"bench", true, sp_cli_plugins_bench},
};
enum { N_SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

/* A path as the target of check is loaded like a folder of --plugins: whatever exists, and what looks like
 * one. */
static sp_status load(sp_cli_plugins *o, bool target_may_be_path, sp_error *err)
{
    char folders[4096];
    bool looks_like_path =
        o->target && (strchr(o->target, '/') || strchr(o->target, '.')) && !sp_op_find(o->target);
    bool is_path = target_may_be_path && o->target && (looks_like_path || access(o->target, F_OK) == 0);
    snprintf(folders, sizeof folders, "%s:%s", o->folders ? o->folders : "", is_path ? o->target : "");
    SP_TRY(sp_registry_create(folders, &o->reg, err));
    for (size_t i = 0; i < o->force.n; i++)
        SP_TRY(sp_registry_force(o->reg, o->force.items[i], err));
    sp_registry_say_forced(o->reg);
    sp_check_install(o->reg);
    return SP_OK;
}

static int run(sp_cli_plugins *o, size_t which)
{
    sp_error err = {0};
    bool is_check = subcommands[which].run == sp_cli_plugins_check;
    sp_status st = load(o, is_check, &err);
    if (st == SP_OK && subcommands[which].device)
        st = sp_device_open(o->device, NULL, &o->dev, &err);
    if (st == SP_OK && o->dev)
        sp_registry_suit(o->reg, o->dev);
    if (st == SP_OK)
        st = sp_cli_plugins_prefer(o, &err);
    if (st == SP_OK && o->dev && !is_check && !o->no_wisdom)
        st = sp_wisdom_open(o->reg, o->dev, &err);
    if (st == SP_OK)
        st = subcommands[which].run(o, &err);
    fflush(stdout);
    sp_registry_destroy(&o->reg);
    sp_device_close(&o->dev);
    return st == SP_OK ? 0 : sp_cli_fail("plugins", &err);
}

int sp_cmd_plugins(int argc, char **argv)
{
    sp_cli_plugins o = {.neuron = "lif", .surrogate = "triangle", .seed = 1, .ms = 300, .density = 25};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_FLAG("json", 0, &o.json, "one JSON object a line"),
        SP_TEXT("device", 'd', &o.device, "SEL", "device: number, type, or part of a name (default auto)"),
        SP_TEXT("plugins", 0, &o.folders, "DIRS", "folders with plugins, colon separated"),
        SP_LIST("plugin", 'p', &o.force, "OP=NAME", "use this variant for an op; \"*=reference\" for all"),
        SP_TEXT("shape", 0, &o.shape, "\"N=32 ...\"",
                "the integers of the op, by name; check: compare this call alone"),
        SP_LIST("flag", 0, &o.flags, "NAME", "a flag of the op that is set, with --shape"),
        SP_LIST("tune", 0, &o.tunes, "NAME=VALUE", "why, check, bench: the default of a tunable"),
        SP_TEXT("neuron", 0, &o.neuron, "NAME", "for ops with a neuron, with --shape (default lif)"),
        SP_TEXT("surrogate", 0, &o.surrogate, "NAME", "for ops with one, with --shape (default triangle)"),
        SP_FLAG("no-wisdom", 0, &o.no_wisdom, "why, bench: as if nothing had been measured"),
        SP_FLAG("full", 0, &o.full, "check: all shapes, not a handful"),
        SP_INTEGER("seed", 0, &o.seed, "N", "check, bench: of the inputs (default 1)", 0, INT64_MAX),
        SP_INTEGER("ms", 0, &o.ms, "N", "bench: time per candidate (default 300)", 1, 600000),
        SP_INTEGER("density", 0, &o.density, "PERCENT", "bench: neurons that fire (default 25)", 0, 100),
    };
    const sp_args a = {.command = "plugins",
                       .synopsis = "list | show NAME | why OP | check [PATH|NAME] | bench OP [options]",
                       .about = "list: every variant and fragment, and the files that were refused. show: "
                                "one of them in full. why: which variant a call gets and what became of the "
                                "others. check: compares variants with the C reference of their op, or of an "
                                "op "
                                "at one call (--shape). bench: "
                                "checks the candidates for a call, then times them.",
                       SP_ARGS(args, 1, 2),
                       .notes = "Example: spikeport plugins why conv.forward --shape \"N=32 H=28 W=28 C=64 "
                                "O=64 KH=3 KW=3 PH=1 PW=1\" --flag X_BITS"};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    o.target = rest.n > 1 ? rest.items[1] : NULL;
    const char *names[N_SUBCOMMANDS];
    for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
        if (strcmp(rest.items[0], names[i]) == 0)
            return run(&o, i);
    }
    const char *near = sp_suggest(rest.items[0], names, N_SUBCOMMANDS);
    return sp_args_wrong(&a, "there is no \"plugins %s\"; %s%s%s", rest.items[0],
                         near ? "did you mean \"" : "there are list, show, why, check and bench",
                         near ? near : "", near ? "\"?" : "");
}
