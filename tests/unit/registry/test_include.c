/* What plugin files share: included files, defaults of every block, named parts of expressions. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "registry/registry.h"

static char folder[64];

static void quiet(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

static void make_folder(void)
{
    sp_log_install(quiet, NULL);
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    snprintf(folder, sizeof folder, "/tmp/sp-include-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static sp_registry *load(void)
{
    sp_registry *reg = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_registry_create(folder, &reg, &err), SP_OK, "%s", err.text);
    return reg;
}

static const sp_variant *variant_of(const sp_registry *reg, const char *id)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return reg->variants[i];
    cr_assert_fail("there is no %s (%s)", id, reg->n_refusals ? reg->refusals[0].reason : "nothing refused");
    return NULL;
}

/* Loads p.cl with these lines and says why it is refused. */
static void expect_refusal(const char *lines, const char *reason)
{
    char text[1024];
    snprintf(text, sizeof text, "//@ plugin: p 1\n//@ abi: 1\n%s", lines);
    write_file("p.cl", text);
    sp_registry *reg = load();
    cr_assert_eq(reg->n_refusals, 1, "%s", lines);
    cr_assert_not_null(strstr(reg->refusals[0].reason, reason), "%s: %s", lines, reg->refusals[0].reason);
    sp_registry_destroy(&reg);
}

#define HEAD  "//@ plugin: p 1\n//@ abi: 1\n"
#define BLOCK "//@ op: fill/1\n//@ kernel: f\n//@ global: M\n"

TestSuite(include, .init = make_folder, .fini = remove_folder);

Test(include, text_stands_in_front_and_counts_in_the_hash)
{
    write_file("mine.clh", "#define MINE 1 // U_HALF\n");
    write_file("p.cl", HEAD "//@ include: mine.clh lanes.clh\n" BLOCK "kernel void f(void) {}\n");
    sp_registry *reg = load();
    const sp_variant *v = variant_of(reg, "p:f");
    const char *mine = strstr(v->source, "#define MINE"), *lanes = strstr(v->source, "sp_load_lanes");
    const char *body = strstr(v->source, "kernel void f");
    cr_assert(mine && lanes && body && mine < lanes && lanes < body);
    cr_assert_not_null(strstr(v->source, "#line 1 \"mine.clh\"")); /* messages name the right file */
    cr_assert_null(strstr(v->own, "U_HALF")); /* what an included file can do, the kernels need not */
    uint64_t before = sp_variant_hash(v);
    sp_registry_destroy(&reg);
    write_file("mine.clh", "#define MINE 2\n");
    reg = load();
    cr_assert_neq(sp_variant_hash(variant_of(reg, "p:f")), before);
    sp_registry_destroy(&reg);
}

Test(include, file_beside_goes_before_the_common_one)
{
    write_file("lanes.clh", "#define OWN_LANES 1\n");
    write_file("p.cl", HEAD "//@ fragment: surrogate s\n//@ include: lanes.clh\n");
    sp_registry *reg = load();
    const sp_fragment *f = sp_fragment_find(reg, SP_FRAGMENT_SURROGATE, "s");
    cr_assert_not_null(f);
    cr_assert(strstr(f->source, "OWN_LANES") && !strstr(f->source, "sp_load_lanes"));
    sp_registry_destroy(&reg);
}

Test(include, refusals)
{
    expect_refusal("//@ include: none.clh\n" BLOCK, "line 3: the included file none.clh is neither beside");
    expect_refusal("//@ include: ../x.clh\n" BLOCK, "line 3: include: \"../x.clh\"");
    expect_refusal("//@ include: x.cl\n" BLOCK, "line 3: include: \"x.cl\"");
    write_file("meta.clh", "//@ bake: *\n");
    expect_refusal("//@ include: meta.clh\n" BLOCK, "has a \"//@\" line");
}

Test(include, defaults_of_every_block)
{
    write_file("p.cl", HEAD "//@ all: device: gpu\n//@ all: score: 7\n//@ all: bake: *\n//@ all: define: VW "
                            "= 4\n"
                            "//@ all: tune: T = 1 2\n//@ all: global: M, VW\n//@ all: local: 1, VW\n//@ all: "
                            "when: M > 1\n"
                            "//@ op: fill/1\n//@ kernel: h\n//@ tune: T = 3\n//@ score: 9\n//@ device: "
                            "cpu\n//@ when: M > 2\n"
                            "//@ op: fill/1\n//@ kernel: f\n//@ kernel: g\n//@ global: 2*M, VW\n");
    sp_registry *reg = load();
    const sp_variant *f = variant_of(reg, "p:f"), *h = variant_of(reg, "p:h");
    cr_assert_str_eq(f->needs_device, "gpu");
    cr_assert_str_eq(h->needs_device, "cpu");
    cr_assert_eq(f->score, 7);
    cr_assert_eq(h->score, 9);
    cr_assert_str_eq(f->when, "M > 1");
    cr_assert_str_eq(h->when, "M > 2");
    cr_assert_str_eq(f->passes[0].global[0], "M");
    cr_assert_str_eq(f->passes[1].global[0], "2*M");
    cr_assert_str_eq(f->passes[1].local[1], "VW");
    cr_assert_str_eq(h->defines, "-DVW=4 ");
    cr_assert(f->n_tunes == 1 && f->tunes[0].values[0] == 1 && f->tunes[0].n_values == 2);
    cr_assert(h->n_tunes == 1 && h->tunes[0].values[0] == 3 && h->tunes[0].n_values == 1);
    cr_assert_str_eq(h->bake[0], "*");
    sp_registry_destroy(&reg);
    expect_refusal(BLOCK "//@ all: score: 3\n", "line 6: \"all\" must come before the first \"op:\" line");
    expect_refusal("//@ all: kernel: f\n" BLOCK, "line 3: write \"all: KEY: VALUE\"");
    expect_refusal("//@ all: device: tpu\n" BLOCK, "line 3: device \"tpu\"");
    expect_refusal("//@ all: score: 3\n//@ fragment: surrogate s\n", "not for a fragment");
}

Test(include, named_parts_of_expressions)
{
    write_file("p.cl", HEAD "//@ let: ROWS = M + 1\n//@ let: EVEN = ROWS % 2 == 0\n"
                            "//@ op: fill/1\n//@ kernel: f\n//@ global: 2*ROWS\n//@ when: EVEN && M > 1\n");
    sp_registry *reg = load();
    const sp_variant *v = variant_of(reg, "p:f");
    cr_assert_str_eq(v->passes[0].global[0], "2*(M + 1)");
    cr_assert_str_eq(v->when, "((M + 1) % 2 == 0) && M > 1");
    sp_registry_destroy(&reg);
    expect_refusal("//@ let: M = 3\n" BLOCK, "\"let: M\" hides");
    expect_refusal("//@ let: A = 3\n//@ let: A = 4\n" BLOCK, "line 4: \"let: A\" is given twice");
    expect_refusal("//@ let: A 3\n" BLOCK, "line 3: write it as");
}
