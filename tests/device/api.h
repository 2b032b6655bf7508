/* What the tests of the library share: a context, networks of a small recipe, and a folder that is removed.
 */
#ifndef TESTS_DEVICE_API_H
#define TESTS_DEVICE_API_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"

#define RECIPE SP_FIXTURES "/../../../recipes/synthetic_tiny.yaml"
enum { C = 2, H = 8, W = 8, K = 4, T = 3, EACH = C * H * W };

static sp_context *ctx;
static char folder[32];
static sp_error err;

static void setup(void)
{
    strcpy(folder, "/tmp/spikeport-api-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    if (sp_context_create(NULL, &ctx, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    sp_context_destroy(&ctx);
    cr_assert_eq(system(command), 0);
}

TestSuite(api, .init = setup, .fini = teardown);

#define OK(call) cr_assert_eq((call), SP_OK, "%s", err.text)

static void expect(sp_status st, sp_status wanted, const char *text)
{
    cr_expect_eq(st, wanted, "%s", err.text);
    cr_expect(strstr(err.text, text), "\"%s\" is not in \"%s\"", text, err.text);
}

static sp_net *open_net(const char *const *sets, size_t n)
{
    sp_net *net = NULL;
    const sp_net_options o = {.struct_size = sizeof o, .sets = sets, .n_sets = n};
    OK(sp_net_open(ctx, RECIPE, &o, &net, &err));
    return net;
}

static float *numbers(size_t n, unsigned seed)
{
    float *x = sp_alloc_array(n, sizeof *x);
    srand(seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rand() / (float)RAND_MAX * 2 - 0.5f;
    return x;
}

static inline void path_of(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", folder, name);
}

#endif
