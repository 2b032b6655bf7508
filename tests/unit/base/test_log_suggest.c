#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/suggest.h"

typedef struct heard {
    int n;
    sp_log_level level;
    char text[8192];
} heard;

static void listen(void *ctx, sp_log_level level, const char *text)
{
    heard *h = ctx;
    h->n++;
    h->level = level;
    snprintf(h->text, sizeof h->text, "%s", text);
}

Test(log, installed_function_hears_what_is_important_enough)
{
    heard h = {0};
    sp_log_install(listen, &h);
    sp_log(SP_LOG_DEBUG, "unheard");
    cr_assert_eq(h.n, 0);
    sp_log(SP_LOG_WARNING, "%d left", 3);
    cr_assert_eq(h.n, 1);
    cr_assert_eq(h.level, SP_LOG_WARNING);
    cr_assert_str_eq(h.text, "3 left");
    sp_log_set_level(SP_LOG_DEBUG);
    sp_log(SP_LOG_DEBUG, "heard");
    cr_assert_eq(h.n, 2);
    sp_log_set_level(SP_LOG_ERROR);
    sp_log(SP_LOG_WARNING, "unheard");
    cr_assert_eq(h.n, 2);
    sp_log_install(NULL, NULL);
}

Test(log, long_text_is_cut_with_dots)
{
    heard h = {0};
    sp_log_install(listen, &h);
    sp_log(SP_LOG_ERROR, "%06000d", 1);
    cr_assert_eq(strlen(h.text), 4095u);
    cr_assert_str_eq(h.text + 4092, "...");
    sp_log_install(NULL, NULL);
}

static const char *const names[] = {"tau", "threshold", "reset", "devices", "train", "lr", NULL};

Test(suggest, near_names_are_found)
{
    static const struct {
        const char *word, *want;
    } cases[] = {{"tua", "tau"},        {"TAU", "tau"},     {"treshold", "threshold"},
                 {"device", "devices"}, {"trian", "train"}, {"rest", "reset"},
                 {"l", NULL},           {"banana", NULL},   {"", NULL},
                 {"xyz", NULL},         {"lrr", "lr"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = sp_suggest(cases[i].word, names, sizeof names / sizeof *names);
        if (cases[i].want)
            cr_assert(got && strcmp(got, cases[i].want) == 0, "%s -> %s", cases[i].word,
                      got ? got : "(none)");
        else
            cr_assert_null(got, "%s -> %s", cases[i].word, got);
    }
}

Test(suggest, long_words_and_empty_lists_are_harmless)
{
    char word[5000];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    const char *const long_name[] = {word};
    cr_assert_null(sp_suggest(word, names, 3));
    cr_assert_null(sp_suggest("aaa", long_name, 1));
    cr_assert_null(sp_suggest("tau", NULL, 0));
}
