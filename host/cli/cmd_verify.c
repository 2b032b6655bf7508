/* spikeport verify: runs reference cases and compares every tensor. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/case_list.h"
#include "cli/session_options.h"
#include "cli/verify.h"

static void print_case(const sp_verify_case *c, bool all_rows)
{
    printf("%-32s %s  worst %.2e", c->name, c->passed ? "pass" : "FAIL", c->worst);
    if (isfinite(c->cosine))
        printf("  cosine 1 - %.1e", fmax(1 - c->cosine, 0));
    printf("\n");
    for (size_t i = 0; i < c->n_rows; i++)
        if (all_rows || !c->rows[i].passed)
            printf("    %-36s %.2e%s\n", c->rows[i].name, c->rows[i].error,
                   c->rows[i].passed ? "" : "  FAIL");
}

static sp_status case_json(const sp_verify_case *c)
{
    json_t *rows = json_object();
    for (size_t i = 0; i < c->n_rows; i++)
        json_object_set_new(rows, c->rows[i].name,
                            isfinite(c->rows[i].error) ? json_real(c->rows[i].error) : json_null());
    return sp_cli_json_line(json_pack("{s:s, s:b, s:o, s:o}", "case", c->name, "passed", c->passed, "errors",
                                      rows, "cosine",
                                      isfinite(c->cosine) ? json_real(c->cosine) : json_null()));
}

typedef struct verify_options {
    sp_cli_session session;
    bool json, brief, half;
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

static sp_status conclude(size_t cases, size_t failed, size_t skipped, const sp_device *dev,
                          const verify_options *o, double tolerance, sp_error *err)
{
    const size_t ran = cases - skipped;
    char without[48] = "";
    if (skipped)
        snprintf(without, sizeof without, "; %zu skipped", skipped);
    if (failed && o->half)
        return SP_FAIL(err, SP_E_MISMATCH,
                       "with activations stored as half, the gradients of %zu of %zu cases point elsewhere: "
                       "cosine below 1 - %g%s",
                       failed, ran, tolerance, without);
    if (failed)
        return SP_FAIL(err, SP_E_MISMATCH, "%zu of %zu cases differ from the reference by more than %g%s",
                       failed, ran, tolerance, without);
    if (!ran)
        return sp_error_prefix(err, SP_E_UNFIT, "none of %zu cases was run: ", cases);
    if (!o->json)
        printf("%zu cases pass at %g on %s%s\n", ran, tolerance, dev->info.name, without);
    return SP_OK;
}

static sp_status run_cases(const sp_names *p, sp_device *dev, sp_registry *reg, const verify_options *o,
                           double tolerance, sp_error *err)
{
    size_t failed = 0, skipped = 0;
    for (size_t i = 0; i < p->n; i++) {
        sp_verify_case c;
        fflush(stdout); /* a list of cases takes minutes: what has passed shows in a file too */
        const sp_status st = sp_verify_run(p->items[i], dev, reg, tolerance, o->half, &c, err);
        if (st == SP_E_UNFIT) {
            say_skipped(&c, o->json, err);
            skipped++;
            continue;
        }
        SP_TRY(st);
        failed += !c.passed;
        if (o->json)
            case_json(&c);
        else
            print_case(&c, !o->brief);
        sp_verify_free(&c);
    }
    return conclude(p->n, failed, skipped, dev, o, tolerance, err);
}

static sp_status verify(const sp_arg_list *rest, const verify_options *o, sp_error *err)
{
    sp_names p = {0};
    sp_device *dev = NULL;
    sp_registry *reg = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    double tolerance = o->half ? 1e-3 : 1e-4;
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
    st = run_cases(&p, dev, reg, o, tolerance, err);
    sp_cli_say_programs(dev, reg);
done:
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
        SP_FLAG("half", 0, &o.half,
                "store activations as half (precision.activations of a recipe); then only the cosine between "
                "the gradients and the reference's is judged: at least 1 - tolerance (default 1e-3)"),
        SP_FLAG("brief", 0, &o.brief, "one line a case"),
        SP_FLAG("json", 0, &o.json, "one JSON object a case and line"),
    };
    const sp_args a = {.command = "verify",
                       .synopsis = "PATH... [options]",
                       .about = "Runs reference cases (NAME.json with NAME.safetensors, or folders of them) "
                                "on a device and compares gradients, outputs and running statistics.",
                       SP_ARGS(args, 1, SP_ARGS_MAX),
                       .notes = "A case that a kernel forced with --plugin does not fit is skipped, with the "
                                "reason. Exit code 0: all other cases pass; 1: a difference; 5: no case was "
                                "left, or a kernel was refused."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return verify(&rest, &o, &err) == SP_OK ? 0 : sp_cli_fail("verify", &err);
}
