/* Building programs; skipped, loudly, where there is no device. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cl/program.h"

static sp_device *open_device(void)
{
    sp_device *dev = NULL;
    sp_error err = {0};
    sp_status st = sp_device_open(NULL, NULL, &dev, &err);
    if (st == SP_E_DEVICE)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(st, SP_OK, "%s", err.text);
    return dev;
}

static const char helper[] = "inline int helped(int x)\n{\n    return x + 1;\n}";
static const char good[] = "__kernel void k(__global int *out, const int n) { out[0] = helped(n) * SCALE; "
                           "}\n";

Test(program, same_text_and_options_build_once)
{
    sp_device *dev = open_device();
    const sp_source pieces[] = {{"helper.clh", helper}, {"good.cl", good}};
    cl_program a = NULL, b = NULL, c = NULL, d = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "good", pieces, 2, "-DSCALE=2", &a, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_program_get(dev, "good again", pieces, 2, "-DSCALE=2", &b, &err), SP_OK, "%s", err.text);
    cr_assert_eq(a, b);
    cr_assert_eq(dev->n_builds, 1u);
    cr_assert_eq(sp_program_get(dev, "good", pieces, 2, "-DSCALE=3", &c, &err), SP_OK, "%s", err.text);
    cr_assert_neq(a, c);
    const sp_source renamed[] = {{"helper.clh", helper}, {"other.cl", good}};
    cr_assert_eq(sp_program_get(dev, "good", renamed, 2, "-DSCALE=2", &d, &err), SP_OK, "%s", err.text);
    cr_assert_eq(dev->n_builds, 3u);
    sp_device_close(&dev);
}

Test(program, many_programs_fit_in_the_table)
{
    sp_device *dev = open_device();
    const sp_source piece = {"many.cl", "__kernel void k(__global int *out) { out[0] = V; }\n"};
    cl_program first = NULL, p = NULL;
    for (int i = 0; i < 40; i++) {
        char options[32];
        snprintf(options, sizeof options, "-DV=%d", i);
        cr_assert_eq(sp_program_get(dev, "many", &piece, 1, options, &p, NULL), SP_OK);
        if (i == 0)
            first = p;
    }
    cr_assert_eq(sp_program_get(dev, "many", &piece, 1, "-DV=0", &p, NULL), SP_OK);
    cr_assert_eq(p, first);
    cr_assert_eq(dev->n_builds, 40u);
    sp_device_close(&dev);
}

Test(program, argument_names_can_be_asked_for)
{
    sp_device *dev = open_device();
    const sp_source pieces[] = {{"helper.clh", helper}, {"good.cl", good}};
    cl_program p = NULL;
    char name[32] = "";
    cl_int code;
    cr_assert_eq(sp_program_get(dev, "good", pieces, 2, "-DSCALE=2", &p, NULL), SP_OK);
    cl_kernel k = clCreateKernel(p, "k", &code);
    cr_assert_eq(code, CL_SUCCESS);
    cr_assert_eq(clGetKernelArgInfo(k, 1, CL_KERNEL_ARG_NAME, sizeof name, name, NULL), CL_SUCCESS);
    cr_assert_str_eq(name, "n");
    clReleaseKernel(k);
    sp_device_close(&dev);
}

Test(program, a_build_failure_names_label_file_and_line)
{
    sp_device *dev = open_device();
    const sp_source pieces[] = {{"helper.clh", helper},
                                {"plugins/\"odd\\name\".cl", "\n\n__kernel void k(__global int *out) { "
                                                             "out[0] = wrong_word; }\n"}};
    cl_program p = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "odd:k", pieces, 2, NULL, &p, &err), SP_E_BUILD);
    cr_assert_null(p);
    cr_assert(strstr(err.text, "odd:k does not build: "), "%s", err.text);
    cr_assert(strstr(err.text, "wrong_word"), "%s", err.text);
    cr_assert_lt(strstr(err.text, "wrong_word"), strstr(err.text, dev->info.name), "%s", err.text);
    // either the marker worked, or the map of pieces stands below
    cr_assert(strstr(err.text, "name/.cl:3:") || strstr(err.text, "helper.clh from 2"), "%s", err.text);
    cr_assert_neq(err.cl_code, 0);
    cr_assert_eq(sp_program_get(dev, "good", (const sp_source[]){{"h", helper}, {"g", good}}, 2, "-DSCALE=1",
                                &p, &err),
                 SP_OK);
    sp_device_close(&dev);
}

static void on_signal(int number)
{
    (void)number;
}

/* LLVM, in PoCL and others, removes the files that it is writing in a handler of its own. */
Test(program, the_handlers_of_signals_stay_the_programs)
{
    const struct sigaction mine = {.sa_handler = on_signal};
    struct sigaction now;
    cr_assert_eq(sigaction(SIGINT, &mine, NULL), 0);
    sp_device *dev = open_device();
    const sp_source pieces[] = {{"helper.clh", helper}, {"good.cl", good}};
    cl_program p = NULL;
    for (int scale = 11; scale < 14; scale++) {
        char options[32];
        snprintf(options, sizeof options, "-DSCALE=%d", scale);
        cr_assert_eq(sp_program_get(dev, "good", pieces, 2, options, &p, NULL), SP_OK);
        cr_assert_eq(sigaction(SIGINT, NULL, &now), 0);
        cr_assert_eq(now.sa_handler, on_signal);
    }
    sigset_t held;
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, NULL, &held), 0);
    cr_assert_eq(sigismember(&held, SIGINT), 0);
    sp_device_close(&dev);
}

/* As of LLVM's files in a signal's handler: it is built again, but not for ever. */
Test(program, a_compiler_that_misses_files_is_asked_three_times)
{
    sp_device *dev = open_device();
    const sp_source piece = {"lost.cl", "#error No such file or directory\n__kernel void k(void) { }\n"};
    cl_program p = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "lost", &piece, 1, "", &p, &err), SP_E_IO);
    cr_assert(strstr(err.text, "does not build"), "%s", err.text);
    cr_assert_null(p);
    sp_device_close(&dev);
}

Test(program, many_warnings_do_not_hide_the_error)
{
    sp_device *dev = open_device();
    sp_text t = {0};
    for (int i = 0; i < 40; i++)
        sp_text_add(&t, "#warning look at number %d\n", i);
    sp_text_add(&t, "__kernel void k(__global int *out) { out[0] = wrong_word; }\n");
    const sp_source piece = {"noisy.cl", t.s};
    cl_program p = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "noisy", &piece, 1, "", &p, &err), SP_E_BUILD);
    cr_assert(strstr(err.text, "wrong_word"), "%s", err.text);
    sp_text_free(&t);
    sp_device_close(&dev);
}

Test(program, survives_every_failing_allocation)
{
    sp_device *dev = open_device();
    const sp_source pieces[] = {{"helper.clh", helper}, {"good.cl", good}};
    sp_status st = SP_E_MEMORY;
    for (int k = 1; st != SP_OK; k++) {
        cl_program p = NULL;
        sp_error err = {0};
        cr_assert_lt(k, 50);
        sp_mem_fail_at(k);
        st = sp_program_get(dev, "good", pieces, 2, "-DSCALE=2", &p, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK ? p != NULL : st == SP_E_MEMORY && !p, "%s", err.text);
    }
    cr_assert_eq(dev->n_builds, 1u);
    sp_device_close(&dev);
}
