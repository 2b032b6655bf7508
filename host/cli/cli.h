/* What the commands of the program share. Results go to stdout, everything else to stderr; the exit code is
 * that of the sp_status (spikeport/status.h). */
#ifndef SP_CLI_CLI_H
#define SP_CLI_CLI_H

#include <jansson.h>
#include "cli/args.h"
#include "spikeport/status.h"

/* sp_cmd_devices and so on: argv[0] is the command's name, the result the exit code of the program. */
#define COMMAND(name, line) int sp_cmd_##name(int argc, char **argv);
#include "cli/commands.inc"
#undef COMMAND

/* Prints "spikeport <command>: error: <text>" to stderr; returns the exit code. */
int sp_cli_fail(const char *command, const sp_error *err);

/* For the start of main: opens the null device in place of standard streams that are closed, so that no file
 * gets their text; a too large file becomes an error of write; and text that goes to stdout and stderr loses
 * its control characters. */
void sp_cli_start(void);

/* What a person may want to know while a command runs: to stderr, dropped with --quiet. */
void sp_cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Before any thread is started: signals that this program ignores do not reach drivers and compilers. */
void sp_cli_hold_ignored(void);
/* From now on the first Ctrl-C, SIGTERM, SIGHUP (unless nohup ignores it) or SIGPIPE sets the result to 1, so
 * that the command saves and ends; the second ends the program at once with 130. */
const volatile int *sp_cli_catch_signals(void);

/* Version of CLBlast that the program was built with. */
extern const char sp_cli_clblast[];

/* Prints an object as one line to stdout and frees it. A NULL object (memory ran out) is reported; returns
 * SP_OK or SP_E_MEMORY. */
sp_status sp_cli_json_line(json_t *object);

/* A JSON string of any bytes, escaped as by sp_text_escape (names of files, classes, drivers). NULL gives
 * null. */
json_t *sp_cli_json_text(const char *s);

#endif
