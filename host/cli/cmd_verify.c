/* spikeport verify: runs reference cases and compares every tensor. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/case_list.h"
#include "cli/session_options.h"
#include "cli/verify.h"

static void print_case(const sp_verify_case *c, const sp_registry *reg, bool all_rows)
{
    printf("%-32s %s  worst %.2e", c->name, c->passed ? "pass" : "FAIL", c->worst);
    if (isfinite(c->cosine))
        printf("  cosine 1 - %.1e", fmax(1 - c->cosine, 0));
    printf("\n");
    for (size_t i = 0; i < c->n_rows; i++)
        if (all_rows || !c->rows[i].passed)
            printf("    %-36s %.2e%s\n", c->rows[i].name, c->rows[i].error,
                   c->rows[i].passed ? "" : "  FAIL");
    for (size_t i = 0; i < reg->n_forced; i++)
        if (all_rows && !c->used[i])
            printf("    --plugin %s=%s was not used\n", reg->forced[i].op, reg->forced[i].variant);
}

static sp_status case_json(const sp_verify_case *c, const sp_registry *reg)
{
    json_t *rows = json_object(), *unused = json_array();
    for (size_t i = 0; i < c->n_rows; i++)
        json_object_set_new(rows, c->rows[i].name,
                            isfinite(c->rows[i].error) ? json_real(c->rows[i].error) : json_null());
    for (size_t i = 0; i < reg->n_forced; i++)
        if (!c->used[i])
            json_array_append_new(unused, json_sprintf("%s=%s", reg->forced[i].op, reg->forced[i].variant));
    return sp_cli_json_line(
        json_pack("{s:s, s:b, s:o, s:o, s:o}", "case", c->name, "passed", c->passed, "errors", rows, "cosine",
                  isfinite(c->cosine) ? json_real(c->cosine) : json_null(), "unused", unused));
}

typedef struct verify_options {
    sp_cli_session session;
    bool json, brief;
    sp_verify_precision precision;
    const char *tolerance;
} verify_options;

/* A kernel that is forced does not fit this case: of an op of many cases it may serve some. */
static void say_skipped(const sp_verify_case *c, bool json, const sp_error *why)
{
    if (json)
        sp_cli_json_line(json_pack("{s:s, s:s}", "case", c->name, "skipped", why->text));
    else
        printf("%-32s skipped  %s\n", c->name, why->text);
}

static bool is_rounded(const verify_options *o)
{
    return o->precision.half || o->precision.bf16;
}

typedef struct results {
    size_t cases, failed, skipped;
    size_t *used; /* [n_forced]: how many cases ran a kernel of that forced choice */
} results;

/* A forced choice for an op, or all of them together, that no case used: what was to be verified was not. OP
 * * takes a plugin wherever it has something. */
static sp_status check_forced(const results *r, const sp_registry *reg, bool json, sp_error *err)
{
    const struct sp_forced *unused = NULL;
    const size_t ran = r->cases - r->skipped;
    size_t any = 0;
    for (size_t i = 0; i < reg->n_forced; i++) {
        const struct sp_forced *f = &reg->forced[i];
        any += r->used[i];
        if (r->used[i] < ran && !json)
            printf("--plugin %s=%s was used in %zu of %zu cases\n", f->op, f->variant, r->used[i], ran);
        if (!r->used[i] && (!unused || strcmp(f->op, "*") != 0))
            unused = f;
    }
    if (!unused || (any && strcmp(unused->op, "*") == 0))
        return SP_OK;
    return SP_FAIL(err, SP_E_UNFIT,
                   "none of %zu cases used --plugin %s=%s, so nothing was verified of it; take cases whose "
                   "networks have such an op, or leave the option out",
                   ran, unused->op, unused->variant);
}

static sp_status conclude(const results *r, const sp_device *dev, const sp_registry *reg,
                          const verify_options *o, double tolerance, sp_error *err)
{
    const size_t ran = r->cases - r->skipped;
    char without[48] = "";
    if (r->skipped)
        snprintf(without, sizeof without, "; %zu skipped", r->skipped);
    if (r->failed && is_rounded(o))
        return SP_FAIL(err, SP_E_MISMATCH,
                       "with %s%s%s, the gradients of %zu of %zu cases point elsewhere: cosine below 1 - "
                       "%g%s",
                       o->precision.half ? "activations stored as half" : "",
                       o->precision.half && o->precision.bf16 ? " and " : "",
                       o->precision.bf16 ? "products in bf16" : "", r->failed, ran, tolerance, without);
    if (r->failed)
        return SP_FAIL(err, SP_E_MISMATCH, "%zu of %zu cases differ from the reference by more than %g%s",
                       r->failed, ran, tolerance, without);
    if (!ran)
        return sp_error_prefix(err, SP_E_UNFIT, "none of %zu cases was run: ", r->cases);
    SP_TRY(check_forced(r, reg, o->json, err));
    if (!o->json)
        printf("%zu cases pass at %g on %s%s\n", ran, tolerance, dev->info.name, without);
    return SP_OK;
}

static sp_status run_cases(const sp_names *p, sp_device *dev, sp_registry *reg, const verify_options *o,
                           double tolerance, results *r, sp_error *err)
{
    for (r->cases = 0; r->cases < p->n; r->cases++) {
        sp_verify_case c;
        fflush(stdout); /* a list of cases takes minutes: what has passed shows in a file too */
        const sp_status st = sp_verify_run(p->items[r->cases], dev, reg, tolerance, o->precision, &c, err);
        if (st == SP_E_UNFIT) {
            say_skipped(&c, o->json, err);
            r->skipped++;
            continue;
        }
        SP_TRY(st);
        r->failed += !c.passed;
        for (size_t i = 0; i < reg->n_forced; i++)
            r->used[i] += c.used[i];
        if (o->json)
            case_json(&c, reg);
        else
            print_case(&c, reg, !o->brief);
        sp_verify_free(&c);
    }
    return SP_OK;
}

static sp_status verify(const sp_arg_list *rest, const verify_options *o, sp_error *err)
{
    sp_names p = {0};
    results r = {0};
    sp_device *dev = NULL;
    sp_registry *reg = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    double tolerance = is_rounded(o) ? 1e-3 : 1e-4;
    char *end = NULL;
    sp_status st = SP_OK;
    if (o->tolerance) {
        tolerance = strtod(o->tolerance, &end);
        if (*end || !(tolerance > 0))
            return SP_FAIL(err, SP_E_USAGE, "--tolerance must be a positive number, not \"%s\"",
                           o->tolerance);
    }
    SP_TRY_GOTO(sp_case_list_add(&p, rest->items, rest->n, err));
    SP_TRY_GOTO(sp_device_open(so.device, &so.device_options, &dev, err));
    SP_TRY_GOTO(sp_registry_create(so.plugins_path, &reg, err));
    for (size_t i = 0; i < so.n_force; i++)
        SP_TRY_GOTO(sp_registry_force(reg, so.force[i], err));
    so.no_wisdom = true; /* the same kernels on every machine */
    SP_TRY_GOTO(sp_session_programs(reg, dev, &so, err));
    sp_cli_say_device(dev, reg);
    r.used = sp_alloc_array(reg->n_forced + 1, sizeof *r.used);
    st = r.used ? run_cases(&p, dev, reg, o, tolerance, &r, err)
                : SP_FAIL(err, SP_E_MEMORY, "out of memory for the results");
    if (st == SP_OK)
        st = conclude(&r, dev, reg, o, tolerance, err);
    sp_cli_say_programs(dev, reg);
done:
    sp_free(r.used);
    sp_names_free(&p);
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
    return st;
}

int sp_cmd_verify(int argc, char **argv)
{
    verify_options o = {.json = false};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
        SP_TEXT("tolerance", 't', &o.tolerance, "X",
                "largest error over the largest value of a tensor (default 1e-4)"),
        SP_FLAG("half", 0, &o.precision.half,
                "store activations as half (precision.activations of a recipe); then only the cosine between "
                "the gradients and the reference's is judged: at least 1 - tolerance (default 1e-3)"),
        SP_FLAG("bf16", 0, &o.precision.bf16,
                "allow products in bf16 (precision.compute of a recipe), where the device has kernels for "
                "them; judged as "
                "with --half"),
        SP_FLAG("brief", 0, &o.brief, "one line a case"),
        SP_FLAG("json", 0, &o.json, "one JSON object a case and line"),
    };
    const sp_args a = {.command = "verify",
                       .synopsis = "PATH... [options]",
                       .about = "Runs reference cases (NAME.json with NAME.safetensors, or folders of them) "
                                "on a device and compares gradients, outputs and running statistics.",
                       SP_ARGS(args, 1, SP_ARGS_MAX),
                       .notes = "A case that a kernel forced with --plugin does not fit is skipped, with the "
                                "reason, and how many cases used a forced kernel is told where not all did. "
                                "Exit code 0: all other cases pass; 1: a difference; 5: no case was left, no "
                                "case used a kernel that was forced for an op, or a kernel was refused."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return verify(&rest, &o, &err) == SP_OK ? 0 : sp_cli_fail("verify", &err);
}
