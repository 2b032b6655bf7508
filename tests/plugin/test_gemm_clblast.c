/* CLBlast's GEMM through the border: all transpositions and accumulation, at offsets, against the C
 * reference. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "support.h"

TestSuite(clblast, .init = setup, .fini = teardown, .timeout = 280);

static void fill_random(float *x, size_t n, uint64_t stream)
{
    sp_rng r = sp_rng_make(7, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = sp_rng_uniform(&r) * 2 - 1;
}

enum { AT = 64, N_ELEMS = 4096 };

static const int64_t *set; /* of parameters; NULL: the default */

static void run_case(sp_variant *v, int64_t m, int64_t n, int64_t k, int ta, int tb, int acc)
{
    static float a[N_ELEMS], b[N_ELEMS], c[N_ELEMS], want[N_ELEMS], got[N_ELEMS];
    sp_op_call call = sp_op_call_make("gemm/1");
    sp_call_set_int(&call, "M", m);
    sp_call_set_int(&call, "N", n);
    sp_call_set_int(&call, "K", k);
    sp_call_set_flag(&call, "TA", ta);
    sp_call_set_flag(&call, "TB", tb);
    sp_call_set_flag(&call, "ACC", acc);
    fill_random(a, N_ELEMS, 1);
    fill_random(b, N_ELEMS, 2);
    fill_random(c, N_ELEMS, 3);
    memcpy(want, c, sizeof c);
    call.op->reference(&call, (void *const[]){a + AT, b + AT, want + AT});
    sp_error err = {0};
    sp_launch *l = NULL;
    cr_assert_eq(sp_launch_create(reg, dev, v, &call, set, &l, &err), SP_OK, "%s", err.text);
    sp_range r[3], work = {0};
    const float *const from[3] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        r[i].at_bytes = 0;
        cr_assert_eq(sp_device_alloc(dev, sizeof c, "test", &r[i].mem, &err), SP_OK);
        cr_assert_eq(sp_device_write(dev, r[i], from[i], sizeof c, true, &err), SP_OK);
        r[i].at_bytes = AT * 4;
    }
    if (sp_launch_workspace(l))
        cr_assert_eq(sp_device_alloc(dev, sp_launch_workspace(l), "work", &work.mem, &err), SP_OK);
    cr_assert_eq(sp_launch_enqueue(l, r, work, NULL, "gemm", &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_read(dev, (sp_range){r[2].mem, 0}, got, sizeof got, &err), SP_OK);
    for (int i = 0; i < N_ELEMS; i++)
        if (fabsf(got[i] - want[i]) > 1e-4f) {
            cr_expect_fail("M=%d N=%d K=%d TA=%d TB=%d ACC=%d: [%d] is %g, must be %g", (int)m, (int)n,
                           (int)k, ta, tb, acc, i - AT, (double)got[i], (double)want[i]);
            break;
        }
    for (int i = 0; i < 3; i++)
        sp_device_free(dev, &r[i].mem);
    sp_device_free(dev, &work.mem);
    sp_launch_destroy(&l);
}

static sp_variant *find_for_device(void)
{
    const char *type = sp_device_type_name(dev->info.type);
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->plugin, "gemm_clblast") == 0 &&
            strcmp(reg->variants[i]->needs_device, type) == 0)
            return reg->variants[i];
    cr_skip_test("CLBlast is not for devices of type %s", type);
    return NULL;
}

Test(clblast, agrees_with_the_reference)
{
    static const int64_t shapes[][3] = {{1, 1, 1}, {33, 17, 29}, {7, 64, 3}, {50, 1, 40}};
    load(NULL);
    sp_variant *v = find_for_device();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int combo = 0; combo < 8; combo++)
            run_case(v, shapes[i][0], shapes[i][1], shapes[i][2], combo & 1, combo >> 1 & 1, combo >> 2);
}

/* Sets of parameters that the tuner tries, and the default after them: CLBlast cannot give back what it had.
 * Each takes PoCL's compiler half a minute: the first and the last of them, and all with
 * SPIKEPORT_TEST_ALL_SETS (slow tier). */
Test(clblast, agrees_with_every_set_of_parameters)
{
    load(NULL);
    sp_variant *v = find_for_device();
    cr_assert_eq(v->n_tunes, 1);
    const sp_tune *sets = &v->tunes[0];
    cr_assert_str_eq(sets->name, "SET");
    for (int i = 1; i <= sets->n_values; i++) {
        if (i > 1 && i < sets->n_values - 1 && !getenv("SPIKEPORT_TEST_ALL_SETS"))
            continue;
        set = i < sets->n_values ? &sets->values[i] : NULL;
        run_case(v, 33, 17, 29, 0, 1, 1);
        run_case(v, 50, 1, 40, 1, 0, 0);
    }
    set = NULL;
}

Test(clblast, can_be_forced_by_family_name)
{
    load(NULL);
    find_for_device();
    sp_error err = {0};
    cr_assert_eq(sp_registry_force(reg, "gemm=gemm_clblast", &err), SP_OK, "%s", err.text);
    sp_op_call call = sp_op_call_make("gemm/1");
    sp_call_set_int(&call, "M", 4);
    sp_call_set_int(&call, "N", 4);
    sp_call_set_int(&call, "K", 4);
    sp_variant *v = NULL;
    cr_assert_eq(sp_select(reg, dev, &call, &v, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(v->id, "gemm_clblast:gemm_clblast");
    sp_call_set_int(&call, "K", 0);
    cr_assert_eq(sp_select(reg, dev, &call, &v, NULL, 0, &err), SP_E_UNFIT);
    cr_assert_not_null(strstr(err.text, "K=0"), "%s", err.text);
}
