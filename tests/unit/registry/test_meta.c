/* The metadata grammar: one good file read whole, and every way to get it wrong with the words that must be
 * said. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "registry/meta.h"

#define HEAD   "//@ plugin: p 1.0.0\n//@ abi: 1\n"
#define OP     HEAD "//@ op: gemm/1\n"
#define KERNEL OP "//@ kernel: k\n//@ global: M\n"
#define CODE   "\n__kernel void k(void) {}\n"

static const char good[] = HEAD "//@ op:     gemm/1\n"
                                "//@ kernel: k\n"
                                "//@ global: ceildiv(M, max(8, TILE)), N/VW\n"
                                "//@ local:  1, 1\n"
                                "//@ kernel: k2\n"
                                "//@ global: 1\n"
                                "//@ bake:   M K\n"
                                "//@ tune:   TILE = 8 4 16\n"
                                "//@ vendor: amd TILE=16\n"
                                "//@ registers: TILE*2\n"
                                "//@ define: VW = 4\n"
                                "//@ define: NAME = abc\n"
                                "//@ when:   K % TILE == 0 && !TA\n"
                                "//@ device: cpu gpu\n"
                                "//@ needs:  ext:cl_khr_fp16 fp64 amx_bf16 matrix_cdna\n"
                                "//@ by_name: not run yet\n"
                                "//@ workspace: M*N\n"
                                "//@ score:  20\n"
                                "//@ tol:    exact\n"
                                "//@ about:  words, more words: and these\n"
                                "__kernel void k(void) {}\n__kernel void k2(void) {}\n"
                                "//@ op: fill/1\n//@ kernel: k3\n//@ global: M\n__kernel void k3(void) {}\n";

Test(meta, reads_every_key)
{
    sp_meta m;
    sp_error err = {0};
    cr_assert_eq(sp_meta_read("a/p.cl", good, SP_ORIGIN_OUTSIDE, &m, &err), SP_OK, "%s", err.text);
    cr_assert_eq(m.n_variants, 2);
    const sp_variant *v = m.variants[0];
    cr_assert_str_eq(v->id, "p:k");
    cr_assert_str_eq(v->version, "1.0.0");
    cr_assert_str_eq(v->op->id, "gemm/1");
    cr_assert_eq(v->n_passes, 2);
    cr_assert_str_eq(v->passes[0].global[0], "ceildiv(M, max(8, TILE))");
    cr_assert_str_eq(v->passes[0].global[1], "N/VW");
    cr_assert_str_eq(v->passes[0].local[1], "1");
    cr_assert_eq(v->passes[0].dims, 2);
    cr_assert_eq(v->passes[1].dims, 1);
    cr_assert_null(v->passes[1].local[0]);
    cr_assert_eq(v->n_bakes, 2);
    cr_assert_eq(v->n_tunes, 1);
    cr_assert_eq(v->tunes[0].n_values, 3);
    cr_assert_eq(v->tunes[0].values[2], 16);
    cr_assert_eq(v->n_vendor_tunes, 1);
    cr_assert_eq(v->vendor_tunes[0].value, 16);
    cr_assert_str_eq(v->registers, "TILE*2");
    cr_assert_str_eq(v->defines, "-DVW=4 -DNAME=abc ");
    cr_assert_str_eq(v->needs_extensions, "cl_khr_fp16 cl_khr_fp64 amx_bf16 matrix_cdna");
    cr_assert_str_eq(v->by_name, "not run yet");
    cr_assert_null(m.variants[1]->by_name);
    cr_assert_eq(v->score, 20);
    cr_assert_eq(v->tolerance, 0);
    cr_assert_str_eq(v->about, "words, more words: and these");
    cr_assert_eq(m.variants[1]->score, 1, "a variant without a score beats the reference");
    cr_assert_eq(m.variants[1]->tolerance, m.variants[1]->op->tolerance);
    int64_t value;
    cr_assert(sp_variant_define(v, "VW", &value));
    cr_assert_eq(value, 4);
    cr_assert_not(sp_variant_define(v, "NAME", &value));
    cr_assert_not(sp_variant_define(v, "V", &value));
    sp_meta_fini(&m);
}

Test(meta, reads_fragments)
{
    sp_meta m;
    sp_error err = {0};
    const char *text = HEAD "//@ fragment: surrogate bump\r\n//@ param: width = 2.5\r\n//@ about: x\r\n";
    cr_assert_eq(sp_meta_read("p.cl", text, SP_ORIGIN_OUTSIDE, &m, &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(m.fragment->name, "bump");
    cr_assert_eq(m.fragment->kind, SP_FRAGMENT_SURROGATE);
    cr_assert_float_eq(m.fragment->width_default, 2.5, 1e-12);
    sp_meta_fini(&m);
    cr_assert_eq(sp_meta_read("p.cl", HEAD "//@ fragment: neuron n\n", SP_ORIGIN_OUTSIDE, &m, &err), SP_OK,
                 "%s", err.text);
    cr_assert_eq(m.fragment->uses, 0, "a model of six functions uses nothing more");
    sp_meta_fini(&m);
    cr_assert_eq(sp_meta_read("p.cl", HEAD "//@ fragment: neuron n\n//@ uses: learn aux threshold\n",
                              SP_ORIGIN_OUTSIDE, &m, &err),
                 SP_OK, "%s", err.text);
    cr_assert_eq(m.fragment->uses, SP_USES_AUX | SP_USES_THRESHOLD | SP_USES_LEARN);
    sp_meta_fini(&m);
}

Test(meta, reads_lowerings_and_libraries)
{
    sp_meta m;
    sp_error err = {0};
    const char *text = HEAD "//@ op: conv.forward/1\n//@ lower: im2col_gemm\n//@ score: 10\n"
                            "//@ op: gemm/1\n//@ library: lib\n//@ when: M > 0\n";
    cr_assert_eq(sp_meta_read("p.meta", text, SP_ORIGIN_OUTSIDE, &m, &err), SP_OK, "%s", err.text);
    cr_assert_eq(m.n_variants, 2);
    cr_assert_str_eq(m.variants[0]->id, "p:lower");
    cr_assert_eq(m.variants[0]->kind, SP_VARIANT_LOWER);
    cr_assert_str_eq(m.variants[1]->id, "p:lib");
    cr_assert_eq(m.variants[1]->kind, SP_VARIANT_LIBRARY);
    sp_meta_fini(&m);
}

static const struct {
    const char *text, *says, *path;
} bad[] = {
    {CODE, "declares nothing|no \"//@ plugin", NULL},
    {"//@ abi: 1\n//@ op: gemm/1\n", "must come before \"op\"", NULL},
    {"//@ plugin: p\n", "plugin: NAME VERSION", NULL},
    {"//@ plugin: p/q 1\n", "letters, digits", NULL},
    {"//@ plugin: reference 1\n", "cl_kernels/ alone", NULL},
    {"//@ plugin: p 1\n//@ abi: 2\n//@ nonsense: 1\n", "abi 2, but this spikeport reads abi 1", NULL},
    {"//@ plugin: p 1\n//@ abi: one\n", "\"one\" is not an integer", NULL},
    {HEAD "//@ abi: 1\n", "\"abi\" is given twice", NULL},
    {HEAD, "declares nothing", NULL},
    {HEAD "//@ scor: 1\n", "unknown key \"scor\"; did you mean \"score\"?", NULL},
    {HEAD "//@ score 1\n", "key: value", NULL},
    {HEAD "//@ op:\n", "\"op\" has no value", NULL},
    {HEAD "//@ op: gem/1\n", "unknown op \"gem/1\"; did you mean \"gemm/1\"?", NULL},
    {HEAD "//@ op: gemm/2\n", "has gemm/1 but not revision \"gemm/2\"", NULL},
    {HEAD "//@ op: gemm\n", "name the revision of the op: \"gemm/1\"", NULL},
    {HEAD "//@ score: 1\n", "must come after an \"op:\" line", NULL},
    {OP "//@ global: M\n", "must come after a \"kernel:\" line", NULL},
    {OP CODE, "no \"kernel:\" line", NULL},
    {OP "//@ kernel: 2k\n//@ global: M\n" CODE, "not the name of a kernel function", NULL},
    {OP "//@ kernel: k\n" CODE, "no \"global:\" line", NULL},
    {OP "//@ kernel: k\n//@ global: M, , N\n" CODE, "a size is missing", NULL},
    {OP "//@ kernel: k\n//@ global: M,M,M,M\n" CODE, "more than three", NULL},
    {OP "//@ kernel: k\n//@ global: M, N\n//@ local: 8\n" CODE, "dimensions", NULL},
    {KERNEL "//@ local: 8, 8\n" CODE, "dimensions", NULL},
    {OP "//@ kernel: k\n//@ global: Q*2\n" CODE, "unknown name \"Q\"", NULL},
    {OP "//@ kernel: k\n//@ global: M +\n" CODE, "the text ends here", NULL},
    {KERNEL "//@ when: WIDTH > 2\n" CODE, "when: ", NULL},
    {KERNEL "//@ when: 1\n//@ when: 1\n" CODE, "\"when\" is given twice", NULL},
    {KERNEL "//@ workspace: Z\n" CODE, "workspace: ", NULL},
    {KERNEL "//@ bake: M Q\n" CODE, "has no int \"Q\"", NULL},
    {HEAD "//@ op: neuron.forward/1\n//@ kernel: k\n//@ global: M\n//@ bake: first\n" CODE,
     "changes between launches", NULL},
    {KERNEL "//@ tune: T\n" CODE, "NAME = VALUE", NULL},
    {KERNEL "//@ tune: T =\n" CODE, "has no value", NULL},
    {KERNEL "//@ tune: T = 4 x\n" CODE, "\"x\" is not an integer", NULL},
    {KERNEL "//@ tune: M = 4\n" CODE, "\"M\" is taken already", NULL},
    {KERNEL "//@ tune: T = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n" CODE, "more than 16", NULL},
    {KERNEL "//@ tune: T = 1 2\n//@ vendor: acme T=1\n" CODE, "there are amd, intel, nvidia and narrow",
     NULL},
    {KERNEL "//@ tune: T = 1 2\n//@ vendor: amd T=3\n" CODE, "T=3 is no tune above with that value", NULL},
    {KERNEL "//@ vendor: amd T=1\n//@ tune: T = 1\n" CODE, "T=1 is no tune above", NULL},
    {KERNEL "//@ tune: T = 1\n//@ vendor: amd T\n" CODE, "NAME = VALUE", NULL},
    {KERNEL "//@ registers: Q\n" CODE, "registers: ", NULL},
    {KERNEL "//@ define: A B = 4\n" CODE, "one name", NULL},
    {KERNEL "//@ define: A = 4 5\n" CODE, "one value", NULL},
    {KERNEL "//@ define: A = \"-w\n" CODE, "must be a number or a name", NULL},
    {KERNEL "//@ define: TA = 1\n" CODE, "\"TA\" is taken already", NULL},
    {KERNEL "//@ device: tpu\n" CODE, "device \"tpu\"", NULL},
    {KERNEL "//@ needs: magic\n" CODE,
     "needs \"magic\": there are fp16, fp64, amx_bf16, avx512_bf16, matrix_nvidia, ", NULL},
    {KERNEL "//@ score: high\n" CODE, "\"high\" is not an integer", NULL},
    {KERNEL "//@ tol: 1\n" CODE, "looser than the contract's", NULL},
    {KERNEL "//@ tol: -1\n" CODE, "tol is", NULL},
    {KERNEL "//@ approximate: 0\n" CODE, "approximate is the error allowed", NULL},
    {KERNEL "//@ approximate: much\n" CODE, "approximate is the error allowed", NULL},
    {KERNEL "//@ compute: fp8\n" CODE, "compute is bf16 and the error allowed", NULL},
    {KERNEL "//@ compute: bf16 0.5\n" CODE, "the error allowed is above 0 and at most 0.03125", NULL},
    {HEAD "//@ op: fill/1\n//@ kernel: k\n//@ global: 1\n//@ compute: bf16\n" CODE, "fill/1 has no flag BF16",
     NULL},
    {KERNEL "//@ lower: im2col_gemm\n" CODE, "stands in .meta files", NULL},
    {KERNEL "//@ library: x\n" CODE, "stands in .meta files", NULL},
    {OP "//@ kernel: k\n", "a .meta file holds no kernels", "p.meta"},
    {OP "//@ score: 1\n", "neither a \"lower:\" nor a \"library:\"", "p.meta"},
    {OP "//@ lower: magic\n", "unknown lowering \"magic\"", "p.meta"},
    {OP "//@ library: ../x\n", "without folder", "p.meta"},
    {OP "//@ lower: im2col_gemm\n//@ tune: T = 1\n", "tune to kernels and libraries", "p.meta"},
    {OP "//@ library: x\n//@ bake: M\n", "belong to kernels", "p.meta"},
    {HEAD "//@ fragment: bump\n", "fragment: surrogate NAME", NULL},
    {HEAD "//@ fragment: surrogate a/b\n", "fragment: surrogate NAME", NULL},
    {KERNEL "//@ fragment: surrogate x\n" CODE, "file of its own", NULL},
    {HEAD "//@ fragment: surrogate x\n//@ op: gemm/1\n", "file of its own", NULL},
    {HEAD "//@ fragment: surrogate x\n//@ param: width = 0\n", "greater than 0", NULL},
    {HEAD "//@ fragment: surrogate x\n//@ param: height = 1\n", "\"width\" of a surrogate", NULL},
    {HEAD "//@ fragment: neuron x\n//@ param: width = 1\n", "\"width\" of a surrogate", NULL},
    {HEAD "//@ fragment: neuron x\n//@ uses: aux memory\n", "unknown word \"memory\"", NULL},
    {HEAD "//@ fragment: neuron x\n//@ uses: threshold\n", "needs one: write \"uses: aux threshold\"", NULL},
    {HEAD "//@ fragment: surrogate x\n//@ uses: aux\n", "about neuron models", NULL},
    {OP "//@ uses: aux\n", "must come after a \"fragment:\" line", NULL},
    {HEAD "//@ param: width = 1\n", "must come after a \"fragment:\" line", NULL},
};

/* says may hold alternatives, "a|b". */
static int said(const char *text, const char *says)
{
    char part[128];
    for (const char *at = says; *at;) {
        size_t n = strcspn(at, "|");
        snprintf(part, sizeof part, "%.*s", (int)n, at);
        if (strstr(text, part))
            return 1;
        at += n + (at[n] == '|');
    }
    return 0;
}

Test(meta, refuses_with_reason_and_line)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sp_meta m;
        sp_error err = {0};
        const char *path = bad[i].path ? bad[i].path : "p.cl";
        sp_status st = sp_meta_read(path, bad[i].text, SP_ORIGIN_OUTSIDE, &m, &err);
        cr_expect_eq(st, SP_E_PLUGIN, "case %zu was taken:\n%s", i, bad[i].text);
        cr_expect(said(err.text, bad[i].says), "case %zu: \"%s\" not in \"%s\"", i, bad[i].says, err.text);
        cr_expect_eq(strncmp(err.text, path, strlen(path)), 0, "no path in \"%s\"", err.text);
        cr_expect_null(m.variants);
    }
}

/* KERNEL has five lines. Most of this can only be known when the block is whole. */
Test(meta, names_the_line_of_the_mistake)
{
    static const struct {
        const char *text;
        int line;
    } at[] = {
        {HEAD "\n// comment\n//@ scor: 1\n", 5},
        {"// comment\n" CODE, 1},
        {"\n" HEAD "// comment\n" CODE, 2},
        {HEAD "//@ all: device: cpu\n//@ fragment: surrogate x\n" CODE, 3},
        {HEAD "//@ let: A = 1\n//@ fragment: surrogate x\n" CODE, 3},
        {OP "//@ score: 2\n//@ kernel: k\n//@ bake: M\n" CODE, 5},
        {OP "//@ kernel: k\n//@ score: 2\n//@ global: Q\n" CODE, 6},
        {KERNEL "//@ score: 2\n//@ local: Q\n" CODE, 7},
        {OP "//@ kernel: k\n//@ local: 8\n//@ score: 2\n//@ global: M, N\n" CODE, 5},
        {KERNEL "//@ kernel: l\n//@ score: 2\n//@ global: M, Q\n" CODE, 8},
        {KERNEL "//@ score: 2\n//@ registers: Q\n" CODE, 7},
        {KERNEL "//@ score: 2\n//@ workspace: Q\n" CODE, 7},
        {KERNEL "//@ score: 2\n//@ when: M >\n//@ tune: T = 1\n" CODE, 7},
        {KERNEL "//@ registers: Q\n//@ op: gemm/1\n//@ kernel: l\n//@ global: M\n" CODE, 6},
        {HEAD "//@ all: when: Q > 2\n//@ op: gemm/1\n//@ kernel: k\n//@ global: M\n" CODE, 3},
        {HEAD "//@ all: local: Q\n//@ op: gemm/1\n//@ kernel: k\n//@ global: M\n" CODE, 3},
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        sp_meta m;
        sp_error err = {0};
        char start[32];
        snprintf(start, sizeof start, "p.cl:%d: ", at[i].line);
        cr_expect_eq(sp_meta_read("p.cl", at[i].text, SP_ORIGIN_OUTSIDE, &m, &err), SP_E_PLUGIN, "case %zu",
                     i);
        cr_expect_eq(strncmp(err.text, start, strlen(start)), 0, "case %zu: %sin \"%s\"", i, start, err.text);
    }
}

Test(meta, survives_memory_running_out_anywhere)
{
    for (int64_t k = 1; k < 1000; k++) {
        sp_meta m;
        sp_error err = {0};
        sp_mem_fail_at(k);
        sp_status st = sp_meta_read("a/p.cl", good, SP_ORIGIN_OUTSIDE, &m, &err);
        sp_mem_fail_at(0);
        sp_meta_fini(&m);
        if (st == SP_OK) {
            cr_assert_gt(k, 20, "the fault was never injected");
            return;
        }
        cr_assert_eq(st, SP_E_MEMORY, "k=%lld: %s", (long long)k, err.text);
    }
    cr_assert_fail("never succeeded");
}

Test(meta, never_crashes_on_damaged_text)
{
    char text[sizeof good];
    for (size_t cut = 0; cut + 1 < sizeof good; cut++)
        for (int how = 0; how < 4; how++) {
            sp_meta m;
            memcpy(text, good, sizeof good);
            text[cut] = "\0:,="[how];
            sp_meta_read("p.cl", text, SP_ORIGIN_OUTSIDE, &m, NULL);
            sp_meta_fini(&m);
        }
}
