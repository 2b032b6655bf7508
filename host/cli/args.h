/* Options of a command, described by a table. `--name value` and `--name=value` are the same; a switch has
 * --no-name;
 * `--` ends the options; options and positional arguments may be mixed. Nothing is abbreviated: a name that
 * is wrong is an error with the nearest one suggested. Every command also has --help, --verbose and --quiet.
 */
#ifndef SP_CLI_ARGS_H
#define SP_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SP_ARGS_MAX = 4096 };

typedef enum {
    SP_ARG_FLAG,    /* bool *: --name sets it */
    SP_ARG_SWITCH,  /* bool *: --name sets it, --no-name clears it */
    SP_ARG_TEXT,    /* const char **: the last one counts */
    SP_ARG_INTEGER, /* int64_t *: within low..high */
    SP_ARG_LIST,    /* sp_arg_list *: may be given again and again */
} sp_arg_kind;

/* Strings belong to argv. */
typedef struct sp_arg_list {
    const char *items[SP_ARGS_MAX];
    size_t n;
} sp_arg_list;

typedef struct sp_arg {
    const char *name; /* "device" for --device */
    char letter;      /* 'd' for -d, 0 none */
    sp_arg_kind kind;
    void *out;               /* by kind; keeps its value when the option is not given */
    const char *placeholder; /* "SEL", for the help; NULL for flags */
    const char *help;
    int64_t low, high; /* of SP_ARG_INTEGER */
} sp_arg;

/* Rows of a table. */
#define SP_FLAG(name, letter, out, help)                                                                     \
    {                                                                                                        \
        name, letter, SP_ARG_FLAG, out, NULL, help, 0, 0                                                     \
    }
#define SP_SWITCH(name, letter, out, help)                                                                   \
    {                                                                                                        \
        name, letter, SP_ARG_SWITCH, out, NULL, help, 0, 0                                                   \
    }
#define SP_TEXT(name, letter, out, placeholder, help)                                                        \
    {                                                                                                        \
        name, letter, SP_ARG_TEXT, out, placeholder, help, 0, 0                                              \
    }
#define SP_LIST(name, letter, out, placeholder, help)                                                        \
    {                                                                                                        \
        name, letter, SP_ARG_LIST, out, placeholder, help, 0, 0                                              \
    }
#define SP_INTEGER(name, letter, out, placeholder, help, low, high)                                          \
    {                                                                                                        \
        name, letter, SP_ARG_INTEGER, out, placeholder, help, low, high                                      \
    }

typedef struct sp_args {
    const char *command;  /* "devices" */
    const char *synopsis; /* "[--json] [--device SEL]" */
    const char *about;    /* a sentence or a paragraph */
    const sp_arg *args;
    size_t n_args;
    size_t min_rest, max_rest; /* how many positional arguments */
    const char *notes;         /* after the options, or NULL */
} sp_args;
/* The members of sp_args about a table and the number of positional arguments. */
#define SP_ARGS(table, least, most)                                                                          \
    .args = table, .n_args = sizeof(table) / sizeof *(table), .min_rest = least, .max_rest = most

/* Reads argv (argv[0] is the command). True: go on. False: help was printed or the use was wrong; end with
 * *exit_code. `rest` takes the positional arguments; NULL where there are none. */
bool sp_args_parse(const sp_args *a, int argc, char **argv, sp_arg_list *rest, int *exit_code);

/* Reads "1,2.5,4": one to `most` numbers from low to high, whole ones where that is asked for. */
bool sp_args_numbers(const char *text, double low, double high, bool whole, size_t most, double *out,
                     size_t *n);

/* A row of a table of help: `left` in a column of that width, and the text beside it, wrapped at the width of
 * the terminal (COLUMNS, else what the terminal says, else 80). */
void sp_args_print_row(FILE *to, const char *left, int column, const char *text);

/* Wrong use found by the command itself: prints the message and where the help is, returns the exit code (2).
 */
int sp_args_wrong(const sp_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
