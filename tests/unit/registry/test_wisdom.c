/* Wisdom: what is written is read back and chosen; what no longer holds is not; damaged files are told by
 * line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "registry/wisdom.h"

#define V(kernel, keys)                                                                                      \
    "//@ op: fill/1\n//@ kernel: " kernel "\n//@ global: M\n" keys "kernel void " kernel "(void) {}\n"
#define SLOW_AND_FAST(text)                                                                                  \
    "//@ plugin: t 1.0.0\n//@ abi: 1\n" text V("k_score", "//@ score: 90\n")                                 \
        V("k_fast", "//@ score: 10\n//@ tune: T = 16 8 4\n//@ when: M % T == 0\n")

static char folder[] = "/tmp/sp-wisdom-XXXXXX", plugin_path[64];
static sp_registry *reg;
static sp_device dev;
static sp_op_call call;
static char last[2048];
static int warnings, notes;

static void keep(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    warnings += level == SP_LOG_WARNING;
    notes += level == SP_LOG_INFO;
    snprintf(last, sizeof last, "%s", text);
}

static void write_file(const char *path, const char *text, const char *mode)
{
    FILE *f = fopen(path, mode);
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void load(const char *plugin)
{
    write_file(plugin_path, plugin, "w");
    sp_registry_destroy(&reg);
    cr_assert_eq(sp_registry_create(plugin_path, &reg, NULL), SP_OK);
    cr_assert_eq(sp_wisdom_open(reg, &dev, NULL), SP_OK);
}

static void setup(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(plugin_path, sizeof plugin_path, "%s/t.cl", folder);
    setenv("SPIKEPORT_CACHE_DIR", folder, 1);
    unsetenv("SPIKEPORT_WISDOM_PATH");
    sp_log_install(keep, NULL);
    sp_log_set_level(SP_LOG_INFO);
    memset(&dev, 0, sizeof dev);
    dev.info.type = SP_DEVICE_CPU;
    dev.info.extensions = (char *)"";
    strcpy(dev.info.name, "a device, 3 GHz");
    strcpy(dev.info.driver, "1.0");
    call = sp_op_call_make("fill/1");
    sp_call_set_int(&call, "M", 8);
    load(SLOW_AND_FAST(""));
    warnings = notes = 0;
}

static void teardown(void)
{
    char command[128];
    sp_registry_destroy(&reg);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(wisdom, .init = setup, .fini = teardown);

static sp_variant *variant(const char *id)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return reg->variants[i];
    cr_assert_fail("no %s", id);
    return NULL;
}

/* k_fast with T = 4 was 2.5 times faster than what the score chooses. */
static sp_wisdom_entry *entry(void)
{
    const int64_t four = 4, eight = 8;
    sp_wisdom_entry *e = sp_wisdom_entry_new(&dev, &call);
    sp_wisdom_add_row(e, variant("t:k_score"), NULL)->ms = 5;
    sp_wisdom_add_row(e, variant("t:k_fast"), &eight)->ms = 3;
    sp_wisdom_add_row(e, variant("t:k_fast"), &four)->ms = 2;
    strcpy(sp_wisdom_add_row(e, variant("reference:fill__naive"), NULL)->reason, "left out: \"slow\"");
    e->baseline = 0;
    e->best = 2;
    strcpy(e->date, "2026-11-23");
    return e;
}

static const char *chosen(char *why, size_t size)
{
    sp_variant *v = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_select(reg, &dev, &call, &v, why, size, &err), SP_OK, "%s", err.text);
    return v->id;
}

/* A kernel that was forced when it was timed has its values where it is forced, though another is faster. */
Test(wisdom, a_slower_kernel_keeps_its_own_values)
{
    const int64_t four = 4, two = 2;
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    sp_error err = {0};
    load(SLOW_AND_FAST("") V("k_named", "//@ by_name: for this test\n//@ tune: U = 8 4 2\n"));
    sp_wisdom_entry *e = entry();
    sp_wisdom_add_row(e, variant("t:k_named"), NULL)->ms = 9;
    sp_wisdom_add_row(e, variant("t:k_named"), &four)->ms = 7;
    sp_wisdom_add_row(e, variant("t:k_named"), &two)->ms = 8;
    cr_assert_eq(sp_wisdom_put(reg->wisdom, e, NULL), SP_OK);
    cr_assert(sp_wisdom_tunes(reg, variant("t:k_named"), &call, tunes));
    cr_assert_eq(tunes[0], 4);
    char why[256];
    cr_assert_str_eq(chosen(why, sizeof why), "t:k_fast");
    e->rows[0].ms = 2, e->rows[2].ms = 4,
    e->rows[4].ms = 1; /* the score's choice is the best, k_named faster */
    e->best = 0;
    cr_assert_str_eq(chosen(why, sizeof why), "t:k_score");
    cr_assert_str_eq(why, "wisdom: 1.50 times faster than t:k_fast, measured on 2026-11-23");
    cr_assert_eq(sp_registry_force(reg, "fill=t:k_named", &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(chosen(why, sizeof why), "t:k_named");
}

Test(wisdom, is_read_back_and_chosen)
{
    char why[256];
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    cr_assert_str_eq(chosen(why, sizeof why), "t:k_score");
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), NULL), SP_OK);
    for (int pass = 0; pass < 2; pass++) { /* in memory, then from the file */
        cr_assert_str_eq(chosen(why, sizeof why), "t:k_fast");
        cr_assert_str_eq(why, "wisdom: 2.50 times faster than t:k_score, measured on 2026-11-23 with T=4");
        cr_assert(sp_wisdom_tunes(reg, variant("t:k_fast"), &call, tunes));
        cr_assert_eq(tunes[0], 4);
        cr_assert_not(sp_wisdom_tunes(reg, variant("t:k_score"), &call, tunes));
        load(SLOW_AND_FAST(""));
    }
    const sp_wisdom_entry *e = sp_wisdom_find(reg, &call);
    cr_assert(e && e->own && e->n_rows == 4);
    cr_assert_str_eq(e->rows[3].reason, "left out: \"slow\"");
    sp_call_set_int(&call, "M", 16); /* another call: nothing is known */
    cr_assert_str_eq(chosen(why, sizeof why), "t:k_score");
}

/* A pass for two ops stays one where the reference kernel for it was the fastest: that was never compared
 * with two passes. */
Test(wisdom, a_measurement_does_not_part_what_is_fused)
{
    sp_call_set_int(&call, "M", 7); /* k_fast does not fit */
    const sp_op_call *const two[] = {&call, &call};
    const char *const apart[] = {"add", "add"};
    cr_assert(sp_select_fuses(reg, &dev, two, apart));
    sp_wisdom_entry *e = sp_wisdom_entry_new(&dev, &call);
    sp_wisdom_add_row(e, variant("t:k_score"), NULL)->ms = 2;
    sp_wisdom_add_row(e, variant("reference:fill__naive"), NULL)->ms = 1;
    e->baseline = 0, e->best = 1;
    strcpy(e->date, "2026-12-01");
    cr_assert_eq(sp_wisdom_put(reg->wisdom, e, NULL), SP_OK);
    char why[256];
    cr_assert_str_eq(chosen(why, sizeof why), "reference:fill__naive");
    cr_assert(sp_select_fuses(reg, &dev, two, apart));
    sp_op_call correct = sp_op_call_make("metrics.correct/1"); /* for which nobody wrote another kernel */
    const sp_op_call *const one[] = {&call, &correct};
    cr_assert_not(sp_select_fuses(reg, &dev, one, apart));
}

Test(wisdom, explanation_tells_what_was_measured)
{
    sp_candidate all[8];
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), NULL), SP_OK);
    size_t n = sp_select_explain(reg, &dev, &call, all, 8);
    for (size_t i = 0; i < n; i++) {
        const char *expected = strcmp(all[i].variant->id, "t:k_fast") == 0    ? "wisdom: 2.50 times"
                               : strcmp(all[i].variant->id, "t:k_score") == 0 ? "2.50 times slower (5 ms, "
                                                                                "measured on"
                                                                              : "passed over: not timed";
        cr_assert(strncmp(all[i].reason, expected, strlen(expected)) == 0, "%s: %s", all[i].variant->id,
                  all[i].reason);
        cr_assert_eq(all[i].chosen, strcmp(all[i].variant->id, "t:k_fast") == 0);
    }
    cr_assert_eq(sp_registry_force(reg, "fill=reference", NULL),
                 SP_OK); /* what a person forces comes first */
    cr_assert_str_eq(chosen(NULL, 0), "reference:fill__naive");
}

Test(wisdom, of_another_source_is_ignored_with_a_note)
{
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), NULL), SP_OK);
    load(SLOW_AND_FAST("// the kernels changed\n"));
    notes = 0;
    cr_assert_str_eq(chosen(NULL, 0), "t:k_score");
    cr_assert_str_eq(chosen(NULL, 0), "t:k_score");
    cr_assert_eq(notes, 1, "once, not %d times", notes);
    cr_assert(strstr(last, "its source has changed") && strstr(last, "t:k_fast"), "%s", last);
}

Test(wisdom, of_another_driver_is_another_file)
{
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), NULL), SP_OK);
    strcpy(dev.info.driver, "2.0");
    load(SLOW_AND_FAST(""));
    cr_assert_str_eq(chosen(NULL, 0), "t:k_score");
}

Test(wisdom, damaged_lines_are_told_and_skipped)
{
    static const char *const bad[] = {
        "not json", "{\"schema\":1}", "[]", "{\"schema\":99}", "{\"schema\":1,\"schema\":1}", "{"};
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), NULL), SP_OK);
    char *path = sp_wisdom_path(dev.info.name, dev.info.driver);
    FILE *f = fopen(path, "r");
    static char good[8192];
    cr_assert_not_null(fgets(good, sizeof good, f));
    fclose(f);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        static char text[20000], place[200];
        snprintf(text, sizeof text, "\n%s\n%s", bad[i], good);
        write_file(path, text, "w");
        snprintf(place, sizeof place, "%s:2: not an entry", path);
        warnings = 0;
        load(SLOW_AND_FAST(""));
        cr_assert_eq(warnings, 1);
        cr_assert(strstr(last, place), "%s", last);
        cr_assert_str_eq(chosen(NULL, 0), "t:k_fast");
    }
    for (size_t cut = 1; cut < strlen(good) - 2; cut += 7) { /* a file that was cut off anywhere */
        write_file(path, "", "w");
        f = fopen(path, "w");
        fwrite(good, 1, cut, f);
        fclose(f);
        warnings = 0;
        load(SLOW_AND_FAST(""));
        cr_assert_eq(warnings, 1);
        cr_assert_str_eq(chosen(NULL, 0), "t:k_score");
    }
    free(path);
}

Test(wisdom, users_own_wins_over_shared_and_shared_over_score)
{
    char index[128], shared[128];
    sp_wisdom_entry *e = entry();
    snprintf(index, sizeof index, "%s/index.json", folder);
    snprintf(shared, sizeof shared, "%s/shared.jsonl", folder);
    strcpy(e->driver, "0.9"); /* shared files need not be of the same driver */
    cr_assert_eq(sp_wisdom_write(shared, &e, 1, NULL), SP_OK);
    write_file(index, "{\"a device, 3 GHz\": [\"shared.jsonl\", \"missing.jsonl\"], \"other\": [\"x\"]}",
               "w");
    setenv("SPIKEPORT_WISDOM_PATH", folder, 1);
    load(SLOW_AND_FAST(""));
    cr_assert(strstr(last, "missing.jsonl"), "%s", last);
    cr_assert_str_eq(chosen(NULL, 0), "t:k_fast");
    cr_assert_not(sp_wisdom_find(reg, &call)->own);
    strcpy(e->driver, "1.0");
    e->best = 0;
    cr_assert_eq(sp_wisdom_put(reg->wisdom, e, NULL), SP_OK);
    load(SLOW_AND_FAST(""));
    cr_assert_str_eq(chosen(NULL, 0), "t:k_score");
    cr_assert(sp_wisdom_find(reg, &call)->own);
    write_file(index, "{\"a device", "w");
    load(SLOW_AND_FAST(""));
    cr_assert(strstr(last, "index.json:1"), "%s", last);
}

Test(wisdom, folder_that_cannot_be_written_is_an_error)
{
    char file[128];
    sp_error err = {0};
    snprintf(file, sizeof file, "%s/t.cl/below", folder); /* below a file */
    setenv("SPIKEPORT_CACHE_DIR", file, 1);
    cr_assert_eq(sp_wisdom_put(reg->wisdom, entry(), &err), SP_E_IO);
    cr_assert(strstr(err.text, "wisdom cannot be written"), "%s", err.text);
}
