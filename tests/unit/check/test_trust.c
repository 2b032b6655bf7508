/* Trust and its memory: the file is written once, read again, forgives garbage, and is not needed. Every step
 * is a process of its own, because results are also kept in the process. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "check/case.h"

#define FIXTURE SP_TEST_SOURCE_DIR "/tests/unit/check/fixtures/broken"
enum { TRUSTED = 0, REFUSED = 1, OTHER_REASON = 2, NO_DEVICE = 77 };

static char folder[256], file[300];

static void use_folder(const char *name)
{
    snprintf(folder, sizeof folder, "%s/trust-%s-%ld", SP_TEST_BINARY_DIR, name, (long)getpid());
    snprintf(file, sizeof file, "%s/conformance.jsonl", folder);
    setenv("SPIKEPORT_CACHE_DIR", folder, 1);
}

/* Asks in a new process whether `kernel` is trusted for the call; words must be in the reason. */
static int ask_of(const char *kernel, const sp_op_call *call, const char *words)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        sp_device *dev = NULL;
        sp_registry *reg = NULL;
        sp_error err = {0};
        sp_log_set_level(SP_LOG_ERROR);
        if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
            _exit(NO_DEVICE);
        if (sp_registry_create(FIXTURE, &reg, &err) != SP_OK)
            _exit(99);
        for (size_t i = 0; i < reg->n_variants; i++) {
            sp_variant *v = reg->variants[i];
            if (strncmp(v->id, "broken:", 7) != 0 || strcmp(v->id + 7, kernel) != 0)
                continue;
            sp_status st = sp_check_trust(reg, dev, v, call, &err);
            uint64_t launches = dev->n_launches;
            if (st == SP_E_INTERRUPTED)
                _exit(strstr(err.text, words) ? REFUSED : OTHER_REASON);
            if (sp_check_trust(reg, dev, v, call, NULL) != st || dev->n_launches != launches)
                _exit(98); /* asked twice, checked twice */
            _exit(st == SP_OK ? TRUSTED : !words || strstr(err.text, words) ? REFUSED : OTHER_REASON);
        }
        _exit(97);
    }
    int status;
    waitpid(pid, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 96;
    if (code == NO_DEVICE)
        cr_skip_test("no OpenCL device");
    return code;
}

/* The same of add/1 with so many columns. */
static int ask(const char *kernel, int64_t columns, const char *words)
{
    sp_op_call call = sp_op_call_make("add");
    sp_call_set_int(&call, "M", 2);
    sp_call_set_int(&call, "C", columns);
    return ask_of(kernel, &call, words);
}

static int count_lines(void)
{
    FILE *f = fopen(file, "r");
    int n = 0;
    for (int c; f && (c = getc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

/* Replaces the first `from` of the file by `to`, so that a later answer shows where it came from. */
static void forge(const char *from, const char *to)
{
    static char text[8192], forged[8192];
    FILE *f = fopen(file, "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    char *at = strstr(text, from);
    cr_assert_not_null(at, "no \"%s\" in %s", from, text);
    snprintf(forged, sizeof forged, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    f = fopen(file, "w");
    fputs(forged, f);
    fclose(f);
}

Test(trust, is_remembered_in_the_file)
{
    use_folder("remembered");
    cr_assert_eq(ask("add__good", 7, NULL), TRUSTED);
    cr_assert_eq(count_lines(), 2, "one line for the call's setting, one that some setting has passed");
    cr_assert_eq(ask("add__good", 9, NULL), TRUSTED);
    cr_assert_eq(count_lines(), 2, "the second process must not check again");
    forge("\"ok\"", "\"moon in the seventh house\"");
    cr_assert_eq(ask("add__good", 7, "seventh house"), REFUSED);
}

Test(trust, refusal_is_remembered_with_its_reason)
{
    use_folder("refused");
    cr_assert_eq(ask("add__inaccurate", 7, "of the largest value"), REFUSED);
    cr_assert_eq(count_lines(), 1);
    cr_assert_eq(ask("add__inaccurate", 7, "of the largest value"), REFUSED);
    cr_assert_eq(count_lines(), 1);
}

/* A signal may have ended the compiler: the failure is not the kernel's. */
Test(trust, what_fails_in_a_program_that_is_about_to_end_is_not_remembered)
{
    static volatile int asked;
    sp_interrupt_by(&asked);
    use_folder("interrupted");
    for (asked = 1; asked >= 0; asked--) {
        cr_assert_eq(ask("add__inaccurate", 7, asked ? "interrupted while" : "of the largest value"),
                     REFUSED);
        cr_assert_eq(count_lines(), 1 - asked);
    }
    asked = 1;
    use_folder("interrupted_good");
    cr_assert_eq(ask("add__good", 7, NULL), TRUSTED);
    cr_assert_eq(count_lines(), 2);
}

/* A compiler whose temporary files were removed may find them next time, but not for ever. */
Test(trust, what_misses_files_is_tried_in_three_processes)
{
    use_folder("lost");
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(ask("add__no_files", 7, "No such file"), REFUSED);
        cr_assert_eq(count_lines(), i);
    }
    cr_assert_eq(ask("add__no_files", 7, "No such file"), REFUSED);
    cr_assert_eq(count_lines(), 3, "the fourth process must not try again");
}

Test(trust, garbage_in_the_file_is_skipped)
{
    use_folder("garbage");
    cr_assert_eq(mkdir(folder, 0777), 0);
    FILE *f = fopen(file, "w");
    fputs("not json\n{\"key\": 3}\n\n[1,2]\n{\"key\":\"x\",\"result\":\"ok\"}\n\xff\xfe\n{\"key\":", f);
    fclose(f);
    cr_assert_eq(ask("add__good", 7, NULL), TRUSTED);
    cr_assert_eq(ask("add__inaccurate", 7, NULL), REFUSED);
}

Test(trust, a_folder_that_cannot_be_made_is_no_failure)
{
    use_folder("blocked");
    FILE *f = fopen(folder, "w"); /* a file where the folder should be */
    fclose(f);
    cr_assert_eq(ask("add__good", 7, NULL), TRUSTED);
    cr_assert_eq(ask("add__inaccurate", 7, NULL), REFUSED);
    unlink(folder);
}

/* The quick shapes would be compiled for nothing, and say nothing of the program that the run needs. */
Test(trust, variant_with_sizes_baked_in_is_tried_on_the_call_at_hand)
{
    use_folder("baked");
    cr_assert_eq(ask("add__baked", 5, NULL), TRUSTED);
    cr_assert_eq(count_lines(), 1);
    cr_assert_eq(ask("add__baked", 77, "C=77"), REFUSED);
    cr_assert_eq(count_lines(), 2);
}

/* With every size in the program, the quick shapes are tried as well, once. */
Test(trust, variant_with_all_sizes_baked_in_is_tried_on_the_call_at_hand_too)
{
    use_folder("baked-whole");
    cr_assert_eq(ask("add__baked_whole", 5, NULL), TRUSTED);
    cr_assert_eq(count_lines(), 3, "the setting, that some setting has passed, and the call");
    cr_assert_eq(ask("add__baked_whole", 77, "C=77"), REFUSED);
    cr_assert_eq(count_lines(), 4);
    cr_assert_eq(ask("add__baked_whole", 77, "C=77"), REFUSED);
    cr_assert_eq(count_lines(), 4);
}

/* Also where the reference would take long: it computes some rows of what the device computes whole. */
Test(trust, variant_with_all_sizes_baked_in_is_tried_on_a_large_call_itself)
{
    use_folder("baked-large");
    sp_op_call call = sp_op_call_make("gemm");
    sp_call_set_int(&call, "M", 640), sp_call_set_int(&call, "N", 512), sp_call_set_int(&call, "K", 1000);
    cr_assert_eq(ask_of("gemm__baked", &call, NULL), TRUSTED);
    sp_call_set_int(&call, "M", 641);
    cr_assert_eq(ask_of("gemm__baked", &call, "M=641"), REFUSED);
    cr_assert_eq(ask_of("gemm__baked", &call, "M=641"), REFUSED);
}

Test(trust, variant_that_no_quick_call_fits_is_tried_on_the_call_itself)
{
    use_folder("rare");
    cr_assert_eq(ask("add__rare", 12345, "C=12345"), REFUSED);
    cr_assert_eq(ask("add__rare_good", 12345, NULL), TRUSTED);
    int lines = count_lines();
    cr_assert_eq(ask("add__rare", 12345, "C=12345"), REFUSED);
    cr_assert_eq(ask("add__rare_good", 12345, NULL), TRUSTED);
    cr_assert_eq(count_lines(), lines);
}

/* What `spikeport tune` compares, and a run that uses its result: fewer samples where the call is large, but
 * not another program than the one that is used. */
Test(trust, a_large_call_is_tried_with_fewer_samples_unless_that_is_another_program)
{
    sp_device *dev = NULL;
    sp_registry *reg = NULL;
    sp_error err = {0};
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device");
    cr_assert_eq(sp_registry_create(FIXTURE, &reg, &err), SP_OK, "%s", err.text);
    sp_op_call call = sp_op_call_make("add");
    sp_call_set_int(&call, "C", 64);
    for (int64_t rows = 20000; rows <= 2000000; rows *= 10) {
        sp_call_set_int(&call, "M", rows);
        for (size_t i = 0; i < reg->n_variants; i++) {
            const sp_variant *v = reg->variants[i];
            const bool whole = strcmp(v->id, "broken:add__baked_whole") == 0;
            if (!whole && strcmp(v->id, "broken:add__good") != 0)
                continue;
            const sp_op_call tried = sp_check_shrink(v, dev, &call, NULL);
            cr_assert_eq(sp_call_int(&tried, "M") == rows, whole && rows < 2000000, "%s with %lld rows",
                         v->id, (long long)rows);
        }
    }
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
}
