/* Reading options against a table. getopt_long is not used: it accepts abbreviations, cannot suggest a name,
 * and its messages say neither what is allowed nor what to do. */
#include "base/number.h"
#include "cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/suggest.h"
#include "spikeport/status.h"

typedef struct reading {
    const sp_args *a;
    int argc, at;
    char **argv;
    bool help, verbose, quiet;
    sp_arg common[3];
    sp_arg_list *rest;
    size_t n_rest;
} reading;

int sp_args_wrong(const sp_args *a, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "spikeport %s: ", a->command);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nusage: spikeport %s %s\nTry \"spikeport %s --help\".\n", a->command, a->synopsis,
            a->command);
    return sp_status_exit_code(SP_E_USAGE);
}

static bool takes_value(const sp_arg *arg)
{
    return arg->kind != SP_ARG_FLAG && arg->kind != SP_ARG_SWITCH;
}

/* COLUMNS, else the terminal's, else 80. */
static int width(void)
{
    const char *set = getenv("COLUMNS");
    struct winsize size = {0};
    int columns = set ? atoi(set) : 0;
    if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    return columns <= 0 ? 80 : columns < 40 ? 40 : columns;
}

/* Words of text from column `at` on; further lines begin at `indent`. A line feed in the text is kept. */
static void print_wrapped(FILE *to, const char *text, int at, int indent)
{
    const int right = width();
    for (bool first = true; *text; first = false) {
        int n = (int)strcspn(text, " \n");
        if (!first && at + 1 + n > right) {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
        } else if (!first && at > indent) {
            fputc(' ', to);
            at++;
        }
        fwrite(text, 1, (size_t)n, to);
        at += n;
        text += n;
        if (*text == '\n') {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
        }
        text += *text != '\0';
    }
    fputc('\n', to);
}

void sp_args_print_row(FILE *to, const char *left, int column, const char *text)
{
    int at = fprintf(to, "  %-*s ", column, left);
    print_wrapped(to, text, at, column + 3);
}

static void print_option(const sp_arg *arg)
{
    char left[64], text[400];
    snprintf(left, sizeof left, "%c%c%c --%s%s%s%s", arg->letter ? '-' : ' ', arg->letter ? arg->letter : ' ',
             arg->letter ? ',' : ' ', arg->kind == SP_ARG_SWITCH ? "[no-]" : "", arg->name,
             arg->placeholder ? " " : "", arg->placeholder ? arg->placeholder : "");
    snprintf(text, sizeof text, "%s%s", arg->help, arg->kind == SP_ARG_LIST ? " (may be repeated)" : "");
    sp_args_print_row(stdout, left, 28, text);
}

static void print_help(const reading *r)
{
    const sp_args *a = r->a;
    printf("usage: spikeport %s ", a->command);
    print_wrapped(stdout, a->synopsis, (int)strlen(a->command) + 18, 7);
    putchar('\n');
    print_wrapped(stdout, a->about, 0, 0);
    puts("\noptions:");
    for (size_t i = 0; i < a->n_args; i++)
        print_option(&a->args[i]);
    for (size_t i = 0; i < 3; i++)
        print_option(&r->common[i]);
    if (a->notes) {
        putchar('\n');
        print_wrapped(stdout, a->notes, 0, 0);
    }
}

static const sp_arg *arg_at(const reading *r, size_t i)
{
    if (i < r->a->n_args)
        return &r->a->args[i];
    i -= r->a->n_args;
    return i < 3 ? &r->common[i] : NULL;
}

static bool unknown_option(const reading *r, const char *name, size_t n)
{
    const char *names[SP_ARGS_MAX];
    char word[64];
    size_t n_names = 0;
    const sp_arg *arg;
    for (size_t i = 0; (arg = arg_at(r, i)) != NULL && n_names < SP_ARGS_MAX; i++)
        names[n_names++] = arg->name;
    snprintf(word, sizeof word, "%.*s", (int)(n < 63 ? n : 63), name);
    const char *near = sp_suggest(word, names, n_names);
    if (near)
        sp_args_wrong(r->a, "unknown option \"--%s\"; did you mean \"--%s\"?", word, near);
    else
        sp_args_wrong(r->a, "unknown option \"--%s\"", word);
    return false;
}

static bool store_integer(const reading *r, const sp_arg *arg, const char *text)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno == ERANGE || v < arg->low || v > arg->high) {
        sp_args_wrong(r->a, "--%s %s: a whole number from %lld to %lld is wanted", arg->name, text,
                      (long long)arg->low, (long long)arg->high);
        return false;
    }
    *(int64_t *)arg->out = v;
    return true;
}

static bool store_list(const reading *r, const sp_arg *arg, const char *text)
{
    sp_arg_list *list = arg->out;
    if (list->n == SP_ARGS_MAX) {
        sp_args_wrong(r->a, "--%s is given more than %d times", arg->name, SP_ARGS_MAX);
        return false;
    }
    list->items[list->n++] = text;
    return true;
}

/* value is what stood after '=' or NULL; the next word of argv is taken where one is needed. */
static bool store(reading *r, const sp_arg *arg, const char *value, bool negated)
{
    if (!takes_value(arg)) {
        if (value) {
            sp_args_wrong(r->a, "--%s takes no value", arg->name);
            return false;
        }
        *(bool *)arg->out = !negated;
        return true;
    }
    if (!value && r->at < r->argc)
        value = r->argv[r->at++];
    if (!value) {
        sp_args_wrong(r->a, "--%s needs a value: --%s %s", arg->name, arg->name, arg->placeholder);
        return false;
    }
    if (arg->kind == SP_ARG_INTEGER)
        return store_integer(r, arg, value);
    if (arg->kind == SP_ARG_LIST)
        return store_list(r, arg, value);
    *(const char **)arg->out = value;
    return true;
}

static bool read_long(reading *r, const char *word)
{
    size_t n = strcspn(word, "=");
    const char *value = word[n] == '=' ? word + n + 1 : NULL;
    const sp_arg *arg;
    for (size_t i = 0; (arg = arg_at(r, i)) != NULL; i++) {
        size_t length = strlen(arg->name);
        if (length == n && strncmp(arg->name, word, n) == 0)
            return store(r, arg, value, false);
        if (arg->kind == SP_ARG_SWITCH && n == length + 3 && strncmp(word, "no-", 3) == 0 &&
            strncmp(arg->name, word + 3, length) == 0)
            return store(r, arg, value, true);
    }
    return unknown_option(r, word, n);
}

static bool read_short(reading *r, const char *word)
{
    const sp_arg *arg;
    for (size_t i = 0; (arg = arg_at(r, i)) != NULL; i++)
        if (arg->letter && arg->letter == word[0])
            return store(r, arg, word[1] ? word + 1 : NULL, false);
    sp_args_wrong(r->a, "unknown option \"-%c\"", word[0]);
    return false;
}

static bool add_rest(reading *r, const char *word)
{
    if (!r->rest || r->n_rest == r->a->max_rest || r->n_rest == SP_ARGS_MAX) {
        sp_args_wrong(r->a, "\"%s\" is one argument too many", word);
        return false;
    }
    r->rest->items[r->n_rest++] = word;
    return true;
}

static bool read_all(reading *r)
{
    bool options = true;
    while (r->at < r->argc) {
        const char *word = r->argv[r->at++];
        bool good;
        if (options && strcmp(word, "--") == 0) {
            options = false;
            good = true;
        } else if (options && word[0] == '-' && word[1] == '-') {
            good = read_long(r, word + 2);
        } else if (options && word[0] == '-' && word[1] != '\0') {
            good = read_short(r, word + 1);
        } else {
            good = add_rest(r, word);
        }
        if (!good)
            return false;
        if (r->help)
            return true; // whatever follows, help is what is wanted
    }
    return true;
}

bool sp_args_parse(const sp_args *a, int argc, char **argv, sp_arg_list *rest, int *exit_code)
{
    reading r = {.a = a, .argc = argc, .at = 1, .argv = argv, .rest = rest};
    r.common[0] = (sp_arg){"help", 'h', SP_ARG_FLAG, &r.help, NULL, "print this and end", 0, 0};
    r.common[1] = (sp_arg){"verbose", 'v', SP_ARG_FLAG, &r.verbose, NULL, "say more on stderr", 0, 0};
    r.common[2] =
        (sp_arg){"quiet", 'q', SP_ARG_FLAG, &r.quiet, NULL, "only warnings and errors on stderr", 0, 0};
    *exit_code = sp_status_exit_code(SP_E_USAGE);
    if (!read_all(&r))
        return false;
    if (r.help) {
        print_help(&r);
        *exit_code = 0;
        return false;
    }
    if (r.n_rest < a->min_rest) {
        sp_args_wrong(a, "%zu more argument%s needed", a->min_rest - r.n_rest,
                      a->min_rest - r.n_rest == 1 ? " is" : "s are");
        return false;
    }
    if (rest)
        rest->n = r.n_rest;
    if (r.verbose)
        sp_log_set_level(SP_LOG_DEBUG);
    else if (r.quiet)
        sp_log_set_level(SP_LOG_WARNING);
    return true;
}

bool sp_args_numbers(const char *text, double low, double high, bool whole, size_t most, double *out,
                     size_t *n)
{
    *n = 0;
    for (char *end;; text = end + 1) {
        double v = sp_number_read(text, &end);
        if (end == text || (*end && *end != ',') || !(v >= low) || !(v <= high) || (whole && v != floor(v)) ||
            *n == most)
            return false;
        out[(*n)++] = v;
        if (!*end)
            return true;
    }
}
