/* Errors and JSON lines, the same for every command. */
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

int sp_cli_fail(const char *command, const sp_error *err)
{
    fprintf(stderr, "spikeport %s: error: %s\n", command,
            err->text[0] ? err->text : sp_status_text(err->status));
    return sp_status_exit_code(err->status);
}

void sp_cli_say(const char *fmt, ...)
{
    if (!sp_log_wants(SP_LOG_INFO))
        return;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
}

static volatile int stop_asked;

/* A program whose reader has gone gets SIGPIPE for each line that it still writes: that is no second wish. */
static void on_signal(int number)
{
    if (stop_asked && number != SIGPIPE)
        _exit(130);
    stop_asked = 1;
}

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

/* What is ignored, as SIGINT is in a script's background, is kept from all threads and from the programs that
 * they start: LLVM, in a driver, has a handler of its own that removes the files it is writing. */
void sp_cli_hold_ignored(void)
{
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction a;
        if (sigaction(numbers[i], NULL, &a) == 0 && a.sa_handler == SIG_IGN)
            sigaddset(&held, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, NULL);
}

const volatile int *sp_cli_catch_signals(void)
{
    sigset_t caught;
    sigemptyset(&caught);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction a, before;
        memset(&a, 0, sizeof a);
        a.sa_handler = on_signal;
        sigemptyset(&a.sa_mask);
        sigaction(numbers[i], &a, &before);
        if (numbers[i] == SIGHUP && before.sa_handler == SIG_IGN)
            sigaction(SIGHUP, &before, NULL);
        else
            sigaddset(&caught, numbers[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &caught, NULL);
    sp_interrupt_by(&stop_asked);
    return &stop_asked;
}

json_t *sp_cli_json_text(const char *s)
{
    if (!s)
        return json_null();
    sp_text t = {0};
    sp_text_escape(&t, s, true);
    json_t *text = t.failed ? NULL : json_string(t.s);
    sp_text_free(&t);
    return text;
}

sp_status sp_cli_json_line(json_t *object)
{
    char *line = sp_json_text(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    if (!line) {
        fprintf(stderr, "spikeport: error: out of memory for JSON output\n");
        return SP_E_MEMORY;
    }
    puts(line);
    fflush(stdout); // a reader of the pipe sees each event when it happens
    sp_free(line);
    return SP_OK;
}
