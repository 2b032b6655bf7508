/* Loading: what is built in, folders, refusals, names that clash; and forced choices. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "registry/registry.h"

#define FILE_OF(plugin, kernel)                                                                              \
    "//@ plugin: " plugin " 1.0.0\n//@ abi: 1\n//@ op: fill/1\n//@ kernel: " kernel                          \
    "\n//@ global: M\nkernel void " kernel "(void) {}\n"

static char folder[64];

static void quiet(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

static void make_folder(void)
{
    sp_log_install(quiet, NULL);
    unsetenv("SPIKEPORT_PLUGIN_PATH");
    snprintf(folder, sizeof folder, "/tmp/sp-registry-XXXXXX");
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
    char *slash = strrchr(path, '/');
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static sp_registry *load(const char *paths)
{
    sp_registry *reg = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_registry_create(paths, &reg, &err), SP_OK, "%s", err.text);
    return reg;
}

static const sp_variant *find(const sp_registry *reg, const char *id)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return reg->variants[i];
    return NULL;
}

TestSuite(registry, .init = make_folder, .fini = remove_folder);

Test(registry, built_in_files_are_all_good)
{
    sp_registry *reg = load(NULL);
    for (size_t i = 0; i < reg->n_refusals; i++)
        cr_expect_fail("%s: %s", reg->refusals[i].path, reg->refusals[i].reason);
    cr_assert_gt(reg->n_variants, 0);
    sp_registry_destroy(&reg);
    cr_assert_null(reg);
}

Test(registry, every_op_has_a_reference_kernel)
{
    sp_registry *reg = load(NULL);
    for (size_t i = 0; i < sp_op_count(); i++) {
        int n = 0;
        for (size_t k = 0; k < reg->n_variants; k++)
            n += reg->variants[k]->op == sp_op_at(i) && reg->variants[k]->origin == SP_ORIGIN_REFERENCE;
        cr_expect_gt(n, 0, "%s has none", sp_op_at(i)->id);
    }
    sp_registry_destroy(&reg);
}

Test(registry, variants_are_sorted_by_op_score_and_id)
{
    sp_registry *reg = load(NULL);
    for (size_t i = 1; i < reg->n_variants; i++) {
        const sp_variant *a = reg->variants[i - 1], *b = reg->variants[i];
        int op = strcmp(a->op->id, b->op->id);
        cr_expect(op < 0 || (op == 0 &&
                             (a->score > b->score || (a->score == b->score && strcmp(a->id, b->id) <= 0))),
                  "%s before %s", a->id, b->id);
    }
    sp_registry_destroy(&reg);
}

Test(registry, finds_files_in_a_folder_and_one_level_below)
{
    char paths[256];
    write_file("a.cl", FILE_OF("pa", "ka"));
    write_file("sub/b.cl", FILE_OF("pb", "kb"));
    write_file("c.txt", "not a plugin");
    write_file(".hidden.cl", FILE_OF("ph", "kh"));
    snprintf(paths, sizeof paths, ":%s::%s/sub:", folder, folder);
    sp_registry *reg = load(paths);
    cr_assert_not_null(find(reg, "pa:ka"));
    cr_assert_not_null(find(reg, "pb:kb"));
    cr_assert_eq(find(reg, "pb:kb")->origin, SP_ORIGIN_OUTSIDE);
    cr_assert_null(find(reg, "ph:kh"));
    cr_assert_eq(reg->n_refusals, 0, "the file seen twice must do no harm: %s",
                 reg->n_refusals ? reg->refusals[0].reason : "");
    sp_registry_destroy(&reg);
}

Test(registry, takes_the_path_from_the_environment_too)
{
    write_file("a.cl", FILE_OF("pa", "ka"));
    setenv("SPIKEPORT_PLUGIN_PATH", folder, 1);
    sp_registry *reg = load(NULL);
    cr_assert_not_null(find(reg, "pa:ka"));
    sp_registry_destroy(&reg);
}

Test(registry, bad_files_are_recorded_and_the_rest_is_loaded)
{
    char paths[256];
    write_file("a.cl", FILE_OF("pa", "ka"));
    write_file("bad.cl", "//@ plugin: p 1\n//@ abi: 1\n//@ speed: 9\n");
    write_file("empty.cl", "");
    snprintf(paths, sizeof paths, "%s:%s/nowhere", folder, folder);
    sp_registry *reg = load(paths);
    cr_assert_not_null(find(reg, "pa:ka"));
    cr_assert_eq(reg->n_refusals, 3);
    cr_assert_not_null(strstr(reg->refusals[0].path, "bad.cl"));
    cr_assert_eq(strncmp(reg->refusals[0].reason, "line 3: unknown key", 19), 0, "%s",
                 reg->refusals[0].reason);
    cr_assert_not_null(strstr(reg->refusals[1].reason, "no \"//@ plugin"));
    cr_assert_not_null(strstr(reg->refusals[2].reason, "no such file"));
    sp_registry_destroy(&reg);
}

Test(registry, two_outside_files_must_not_share_a_name)
{
    write_file("a.cl", FILE_OF("pa", "ka"));
    write_file("b.cl", FILE_OF("pa", "ka") "// another text\n");
    write_file("c.cl", FILE_OF("pa", "ka"));
    sp_registry *reg = load(folder);
    cr_assert_eq(reg->n_refusals, 1, "the copy with the same text is no clash, the other one is");
    cr_assert_not_null(strstr(reg->refusals[0].path, "b.cl"));
    cr_assert_not_null(strstr(reg->refusals[0].reason, "a.cl already"));
    sp_registry_destroy(&reg);
}

Test(registry, outside_files_replace_built_in_plugins_but_not_the_reference)
{
    sp_registry *reg = load(NULL);
    const sp_variant *old = find(reg, "im2col_gemm:lower");
    cr_assert_not_null(old);
    sp_registry_destroy(&reg);
    write_file("x.meta", "//@ plugin: im2col_gemm 9.9.9\n//@ abi: 1\n//@ op: conv.forward/1\n//@ lower: "
                         "im2col_gemm\n");
    reg = load(folder);
    int seen = 0;
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, "im2col_gemm:lower") == 0 &&
            strcmp(reg->variants[i]->op->id, "conv.forward/1") == 0) {
            cr_assert_str_eq(reg->variants[i]->version, "9.9.9");
            seen++;
        }
    cr_assert_eq(seen, 1);
    sp_registry_destroy(&reg);
    write_file("x.meta", FILE_OF("reference", "fill__naive"));
    write_file("y.cl", FILE_OF("reference", "fill__naive"));
    reg = load(folder);
    cr_assert_eq(reg->n_refusals, 2);
    sp_registry_destroy(&reg);
}

Test(registry, knows_fragments_by_name)
{
    sp_registry *reg = load(NULL);
    const char *names[64];
    size_t n = sp_fragment_names(reg, SP_FRAGMENT_SURROGATE, names, 64);
    cr_assert_gt(n, 1);
    for (size_t i = 0; i < n; i++)
        cr_assert_str_eq(sp_fragment_find(reg, SP_FRAGMENT_SURROGATE, names[i])->name, names[i]);
    cr_assert_not_null(sp_fragment_find(reg, SP_FRAGMENT_NEURON, "lif"));
    cr_assert_null(sp_fragment_find(reg, SP_FRAGMENT_SURROGATE, "lif"));
    cr_assert_eq(sp_fragment_names(reg, SP_FRAGMENT_SURROGATE, names, 1), 1);
    sp_registry_destroy(&reg);
}

Test(registry, survives_memory_running_out_anywhere)
{
    write_file("a.cl", FILE_OF("pa", "ka"));
    write_file("bad.cl", "//@ x: y\n");
    for (int64_t k = 1; k < 100000; k = k < 100 ? k + 1 : k + 37) {
        sp_registry *reg = NULL;
        sp_error err = {0};
        sp_mem_fail_at(k);
        sp_status st = sp_registry_create(folder, &reg, &err);
        sp_mem_fail_at(0);
        if (st == SP_OK) {
            sp_registry_destroy(&reg);
            return;
        }
        cr_assert_eq(st, SP_E_MEMORY, "k=%lld: %s", (long long)k, err.text);
        cr_assert_null(reg);
    }
    cr_assert_fail("never succeeded");
}

Test(registry, force_knows_its_words)
{
    static const struct {
        const char *text;
        sp_status st;
        const char *says;
    } cases[] = {
        {"conv.forward=reference", SP_OK, ""},
        {"conv.forward/1=im2col_gemm", SP_OK, ""},
        {"conv=im2col_gemm", SP_OK, ""},
        {"*=reference", SP_OK, ""},
        {"conv.forward=im2col_gemm:lower", SP_OK, ""},
        {"conv.forward", SP_E_USAGE, "OP=VARIANT"},
        {"=reference", SP_E_USAGE, "OP=VARIANT"},
        {"conv.forward=", SP_E_USAGE, "OP=VARIANT"},
        {"conv.forwad=reference", SP_E_USAGE, "no op or family of ops \"conv.forwad\""},
        {"con=reference", SP_E_USAGE, "no op or family of ops"},
        {"conv.forward=im2col_gem", SP_E_USAGE, "did you mean \"im2col_gemm\"?"},
        {"fill=im2col_gemm", SP_E_USAGE, "reference:fill__naive"},
    };
    sp_registry *reg = load(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_error err = {0};
        size_t before = reg->n_forced;
        cr_expect_eq(sp_registry_force(reg, cases[i].text, &err), cases[i].st, "%s: %s", cases[i].text,
                     err.text);
        cr_expect_not_null(strstr(err.text, cases[i].says), "%s: %s", cases[i].text, err.text);
        cr_expect_eq(reg->n_forced, before + (cases[i].st == SP_OK));
    }
    sp_registry_destroy(&reg);
}

static char heard[2048];
static void hear(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx, (void)level;
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s\n", text);
}

Test(registry, says_which_of_two_forced_kernels_for_an_op_is_taken)
{
    static const struct {
        const char *one, *two, *says;
    } cases[] = {
        {"gemm=gpu_gemm", "gemm=reference",
         "forced kernel gemm=gpu_gemm has no effect: for gemm/1, gemm=reference is taken, which is given "
         "last"},
        {"gemm/1=reference", "gemm=gpu_gemm", "gemm/1=reference is taken, which names the op more closely"},
        {"*=cpu_conv", "*=gpu_conv",
         "and others, *=gpu_conv is taken and not *=cpu_conv, as it is given last"},
        {"*=reference", "*=gpu_conv", NULL},
        {"conv=reference", "conv.forward=im2col_gemm", NULL},
        {"gemm=gpu_gemm", "gemm=gpu_gemm", NULL},
    };
    sp_log_install(hear, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_registry *reg = load(NULL);
        cr_assert_eq(sp_registry_force(reg, cases[i].one, NULL), SP_OK);
        cr_assert_eq(sp_registry_force(reg, cases[i].two, NULL), SP_OK);
        heard[0] = '\0';
        sp_registry_say_forced(reg);
        cr_expect(cases[i].says ? strstr(heard, cases[i].says) != NULL : !*heard, "case %zu: \"%s\"", i,
                  heard);
        sp_registry_destroy(&reg);
    }
    sp_log_install(NULL, NULL);
}
