/* Which files of the cache folder are believed, and what becomes of control characters in texts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static int warnings;

static void count(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    (void)text;
    warnings += level == SP_LOG_WARNING;
}

static bool opens(const char *path)
{
    FILE *f = sp_cache_open(path);
    if (f)
        fclose(f);
    return f != NULL;
}

Test(cache_open, only_files_that_no_other_user_could_have_written)
{
    char folder[] = "/tmp/spikeport-own-XXXXXX", path[64], line[128];
    sp_log_install(count, NULL);
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f", folder);
    cr_assert_not(opens(path));
    cr_assert_eq(warnings, 0, "a file that is not there is no reason for a warning");
    fclose(fopen(path, "w"));
    cr_assert_eq(chmod(path, 0644), 0);
    cr_expect(opens(path));
    for (int bit = S_IWOTH; bit <= S_IWGRP; bit *= S_IWGRP / S_IWOTH) {
        chmod(path, (mode_t)(0600 | bit));
        cr_expect_not(opens(path), "a file that others may write");
        chmod(path, 0600);
        chmod(folder, (mode_t)(0700 | bit));
        cr_expect_not(opens(path), "a folder that others may write");
        chmod(folder, (mode_t)(01700 | bit));
        cr_expect(opens(path), "a sticky folder keeps files from others");
        chmod(folder, 0700);
    }
    cr_expect_eq(warnings, 1, "%d warnings", warnings);
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 65534, 65534), 0);
        cr_expect_not(opens(path), "another user's file");
        cr_assert_eq(chown(path, 0, 0) | chown(folder, 65534, 65534), 0);
        cr_expect_not(opens(path), "another user's folder");
    }
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    cr_assert_eq(system(line), 0);
}

Test(cache_open, folders_are_made_for_the_user_alone)
{
    char folder[] = "/tmp/spikeport-own-XXXXXX", path[64];
    struct stat s;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a", folder);
    mode_t before = umask(0);
    sp_folder_make(path, 0700, NULL);
    umask(before);
    cr_assert_eq(stat(path, &s), 0);
    cr_expect_eq(s.st_mode & 0777, 0700);
    rmdir(path);
    rmdir(folder);
}

static char heard[256];

static void hear(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    snprintf(heard, sizeof heard, "%s", text);
}

Test(printable, control_characters_of_files_are_replaced_everywhere)
{
    const char *raw = "a\033[31mb\rc\177d\tline\n\302\2331mé \303\233";
    const char *shown = "a?[31mb?c?d\tline\n\302?1mé \303\233"; // U+00DB is no control character
    char text[64];
    snprintf(text, sizeof text, "%s", raw);
    sp_text_make_printable(text, strlen(text), 0);
    cr_expect_str_eq(text, shown);
    char second = '\233';
    sp_text_make_printable(&second, 1, '\302');
    cr_expect_eq(second, '?', "also when the two bytes come one by one");
    sp_error err = {0};
    SP_FAIL(&err, SP_E_DATA, "%s", raw);
    cr_expect_str_eq(err.text, shown);
    sp_error_prefix(&err, SP_E_DATA, "%s", "\033]0;title");
    cr_expect_str_eq(err.text + 9, shown);
    cr_expect_eq(err.text[0], '?');
    sp_log_install(hear, NULL);
    sp_log(SP_LOG_WARNING, "%s", raw);
    cr_expect_str_eq(heard, shown);
}

Test(printable, names_of_any_bytes_stay_apart)
{
    static const struct {
        const char *name, *shown, *json;
    } names[] = {{"caf\303\251 1", "caf\303\251 1", "caf\303\251 1"},
                 {"a\nb", "a\\x0ab", "a\nb"},
                 {"a\377", "a\\xff", "a\\xff"},
                 {"a\\xff", "a\\x5cxff", "a\\x5cxff"},
                 {"a\\b", "a\\b", "a\\b"},
                 {"\342\200\256x", "\\xe2\\x80\\xaex", "\\xe2\\x80\\xaex"},
                 {"\302\233x\177", "\\xc2\\x9bx\\x7f", "\\xc2\\x9bx\\x7f"},
                 {"\355\240\200", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},
                 {"cut\342\200", "cut\\xe2\\x80", "cut\\xe2\\x80"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sp_text shown = {0}, json = {0};
        sp_text_escape(&shown, names[i].name, false);
        sp_text_escape(&json, names[i].name, true);
        cr_expect_str_eq(shown.s, names[i].shown);
        cr_expect_str_eq(json.s, names[i].json);
        sp_text_free(&shown);
        sp_text_free(&json);
    }
    char text[] = "a\342\200\256b";
    sp_text_make_printable(text, strlen(text), 0);
    cr_expect_str_eq(text, "a???b");
}
