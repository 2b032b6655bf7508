/* The program: finds the command in the table of commands.inc and runs it. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/suggest.h"

typedef struct command {
    const char *name, *line;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
#define COMMAND(name, line) {#name, (line), sp_cmd_##name},
#include "cli/commands.inc"
#undef COMMAND
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fputs("usage: spikeport COMMAND [options]\n\n"
          "Trains spiking neural networks on any OpenCL device.\n\ncommands:\n",
          to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        sp_args_print_row(to, commands[i].name, 10, commands[i].line);
    fputs("\n\"spikeport COMMAND --help\" tells more about one. Results go to stdout,\neverything else to "
          "stderr.\n",
          to);
}

/* Names that commands had before. */
static const char *const former[][2] = {{"draw", "visualise"}};

static const command *find(const char *name)
{
    for (size_t i = 0; i < sizeof former / sizeof *former; i++)
        name = strcmp(former[i][0], name) == 0 ? former[i][1] : name;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *word)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = sp_suggest(word, names, N_COMMANDS);
    if (near)
        fprintf(stderr, "spikeport: unknown command \"%s\"; did you mean \"%s\"?\n", word, near);
    else
        fprintf(stderr, "spikeport: unknown command \"%s\"; \"spikeport --help\" lists them all\n", word);
    return sp_status_exit_code(SP_E_USAGE);
}

/* "help" alone, or "help devices" for "devices --help". */
static int help(int argc, char **argv)
{
    if (argc < 3) {
        print_help(stdout);
        return 0;
    }
    const command *c = find(argv[2]);
    char help_option[] = "--help";
    char *words[] = {argv[2], help_option, NULL};
    return c ? c->run(2, words) : unknown(argv[2]);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return sp_status_exit_code(SP_E_USAGE);
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help(argc, argv);
    if (strcmp(word, "--version") == 0)
        word = "version";
    const command *c = find(word);
    return c ? c->run(argc - 1, argv + 1) : unknown(word);
}

static bool finished;

/* A driver, or the compiler in it, that cannot go on ends the whole program. */
static void say_ended(void)
{
    if (finished)
        return;
    char *obstacle = sp_file_obstacle();
    fprintf(stderr,
            "spikeport: error: the OpenCL driver or its compiler has ended the program%s%s; what was saved "
            "is unchanged\n",
            obstacle ? ", perhaps because " : "", obstacle ? obstacle : "; its message stands above");
    sp_free(obstacle);
}

int main(int argc, char **argv)
{
    sp_cli_start();
    sp_cli_hold_ignored();
    atexit(say_ended);
    int code = run(argc, argv);
    finished = true;
    // A full disk shows here at the latest; a result that did not arrive is not a success.
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "spikeport: error: the output could not be written\n");
        return code ? code : sp_status_exit_code(SP_E_IO);
    }
    return code;
}
