/* spikeport compile: the kernels that a recipe's plans launch, as files and binaries for devices without a
 * compiler. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/case_list.h"
#include "cli/session_options.h"
#include "registry/package.h"
#include "cli/verify.h"

typedef struct compile_options {
    sp_cli_session session;
    const char *target, *out, *as_type, *runs_on;
    bool json, no_data, inference;
    double batches[64];
    size_t n_batches;
    sp_target to;
} compile_options;

static bool is_case(const char *path)
{
    size_t n = strlen(path);
    return (n > 5 && strcmp(path + n - 5, ".json") == 0) || sp_path_is_folder(path);
}

/* Plans of a recipe: training and evaluation; evaluation in mini-batches of other sizes is recorded and not
 * kept. */
static sp_status plan_recipe(const char *path, const compile_options *o, const sp_session_options *so,
                             sp_session **s, sp_error *err)
{
    sp_recipe r = {0};
    SP_TRY(sp_recipe_load(path, o->session.sets.items, o->session.sets.n, &r, err));
    SP_TRY(sp_cli_shape_open(&r, o->no_data, so, s, err));
    for (size_t i = 0; i < o->n_batches; i++) {
        sp_plan_options po = sp_session_plan_options(*s, true);
        sp_plan *p = NULL;
        po.batch = (int64_t)o->batches[i];
        po.unlimited = true;
        sp_status st = sp_plan_create((*s)->graph, (*s)->model, (*s)->reg, &po, &p, err);
        sp_plan_destroy(&p);
        SP_TRY(st);
    }
    return SP_OK;
}

/* Reference cases are run as well: what is written then has been compared. */
static sp_status plan_cases(const sp_arg_list *rest, const sp_session_options *so, sp_device *dev,
                            sp_registry *reg, sp_error *err)
{
    sp_names cases = {0};
    sp_status st = SP_OK;
    SP_TRY_GOTO(sp_session_programs(reg, dev, so, err));
    SP_TRY_GOTO(sp_case_list_add(&cases, rest->items, rest->n, err));
    for (size_t i = 0; i < cases.n; i++) {
        sp_verify_case c;
        SP_TRY_GOTO(sp_verify_run(cases.items[i], dev, reg, 1e-4, (sp_verify_precision){0}, &c, err));
        bool passed = c.passed;
        sp_verify_free(&c);
        if (!passed)
            SP_TRY_GOTO(SP_FAIL(err, SP_E_MISMATCH,
                                "%s differs from its reference on this device; nothing is written (spikeport "
                                "verify shows more)",
                                cases.items[i]));
    }
done:
    sp_names_free(&cases);
    return st;
}

static sp_status write_package(sp_package *p, sp_device *dev, const compile_options *o, sp_error *err)
{
    sp_package_options po = {.folder = o->out, .target = o->to, .runs_on = o->runs_on, .version = SP_VERSION};
    sp_package_totals t;
    SP_TRY(sp_package_write(p, dev, &po, &t, err));
    if (o->json)
        return sp_cli_json_line(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "folder", o->out, "target",
                                          sp_target_name(o->to), "programs", (json_int_t)t.programs,
                                          "kernels", (json_int_t)t.kernels, "calls", (json_int_t)t.calls,
                                          "plans", (json_int_t)t.plans, "binary_bytes",
                                          (json_int_t)t.binary_bytes));
    printf("%s: %zu programs with %zu kernels for %zu calls of %zu plans", o->out, t.programs, t.kernels,
           t.calls, t.plans);
    if (o->to == SP_TARGET_OFFLINE)
        printf("; %.1f MiB of binaries for %s\nrun them: spikeport train|eval|verify ... --programs %s\n",
               (double)t.binary_bytes / 1048576.0, o->runs_on ? o->runs_on : dev->info.name, o->out);
    else
        printf("\nnow run %s/build.sh where the vendor's tools are, then spikeport train|eval ... --programs "
               "%s\n",
               o->out, o->out);
    return SP_OK;
}

static sp_status compile(const sp_arg_list *rest, const compile_options *o, sp_error *err)
{
    sp_package *p = NULL;
    sp_session *s = NULL;
    sp_device *dev = NULL;
    sp_registry *reg = NULL;
    sp_status st = SP_OK;
    SP_TRY(sp_package_create(&p, err));
    sp_session_options so = sp_cli_session_options(&o->session);
    so.recorder = p;
    so.unlimited = true;
    so.no_train = o->inference;
    so.device_options.records = true;
    so.device_options.as_type = o->as_type ? o->as_type : o->to == SP_TARGET_OFFLINE ? NULL : "accelerator";
    if (!is_case(rest->items[0])) {
        SP_TRY_GOTO(plan_recipe(rest->items[0], o, &so, &s, err));
    } else {
        SP_TRY_GOTO(sp_device_open(so.device, &so.device_options, &dev, err));
        SP_TRY_GOTO(sp_registry_create(so.plugins_path, &reg, err));
        for (size_t i = 0; i < so.n_force; i++)
            SP_TRY_GOTO(sp_registry_force(reg, so.force[i], err));
        SP_TRY_GOTO(plan_cases(rest, &so, dev, reg, err));
    }
    sp_cli_say_device(s ? s->dev : dev, s ? s->reg : reg);
    st = write_package(p, s ? s->dev : dev, o, err);
done:
    sp_session_close(&s);
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
    sp_package_destroy(&p);
    return st;
}

static bool read_target(compile_options *o)
{
    for (int t = SP_TARGET_OFFLINE; t <= SP_TARGET_AMD_FPGA; t++)
        if (o->target && strcmp(o->target, sp_target_name((sp_target)t)) == 0) {
            o->to = (sp_target)t;
            return true;
        }
    return false;
}

int sp_cmd_compile(int argc, char **argv)
{
    compile_options o = {.json = false};
    const char *batches = NULL;
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("target", 't', &o.target, "NAME",
                "intel-fpga, amd-fpga, or offline: binaries of the device at hand"),
        SP_TEXT("out", 'o', &o.out, "DIR", "folder to write"),
        SP_CLI_AS_ARG(o.as_type),
        SP_TEXT("runs-on", 0, &o.runs_on, "TEXT",
                "a part of the name or platform of the device that will run it"),
        SP_FLAG("inference", 0, &o.inference, "only what evaluation launches"),
        SP_TEXT("batches", 0, &batches, "N,N,...", "evaluation in mini-batches of these sizes as well"),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_FLAG("no-data", 0, &o.no_data, "do not look for the data set's files; known sets only"),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "compile",
                       .synopsis = "RECIPE|CASE... --target NAME --out DIR [options]",
                       .about = "Writes every kernel that training and evaluating a recipe (or running "
                                "reference cases) needs as self-contained OpenCL C with all constants, a "
                                "manifest, and binaries or the vendor's build script. train, eval and verify "
                                "run from them with --programs DIR.",
                       SP_ARGS(args, 1, SP_ARGS_MAX),
                       .notes = "Kernels are built, and checked where they never were, on --device; the "
                                "target's own tools are not needed. docs/FPGA.md has the whole path."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (!read_target(&o))
        return sp_args_wrong(&a, "--target must be intel-fpga, amd-fpga or offline%s%s%s",
                             o.target ? ", not \"" : "", o.target ? o.target : "", o.target ? "\"" : "");
    if (!o.out)
        return sp_args_wrong(&a, "name the folder to write with --out");
    if (!sp_cli_is_type(o.as_type))
        return sp_args_wrong(&a, SP_CLI_NOT_A_TYPE, o.as_type);
    if (rest.n > 1 && !is_case(rest.items[0]))
        return sp_args_wrong(&a, "one recipe at a time (or several reference cases)");
    if (is_case(rest.items[0]) && (o.inference || batches))
        return sp_args_wrong(&a, "--inference and --batches are for a recipe, not for reference cases");
    if (batches && !sp_args_numbers(batches, 1, 1 << 20, true, sizeof o.batches / sizeof *o.batches,
                                    o.batches, &o.n_batches))
        return sp_args_wrong(&a,
                             "--batches \"%s\": sizes of mini-batches from 1 to 1048576, separated by commas",
                             batches);
    return compile(&rest, &o, &err) == SP_OK ? 0 : sp_cli_fail("compile", &err);
}
