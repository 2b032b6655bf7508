/* The standard streams, made safe before anything else runs. */
#define _GNU_SOURCE // fopencookie
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"

/* Read-only, so that a result that has nowhere to go is an error when it is written. */
static void fill_closed_streams(void)
{
    int fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDONLY);
    if (fd >= 0)
        close(fd);
}

#ifdef __GLIBC__ /* elsewhere stdout cannot be replaced */
typedef struct stream {
    int fd;
    char last; /* byte written */
} stream;

/* A carriage return at the start of a write to stderr is the progress line's. */
static ssize_t write_printable(void *cookie, const char *text, size_t n)
{
    stream *s = cookie;
    char part[4096];
    for (size_t done = 0; done < n;) {
        size_t more = n - done < sizeof part ? n - done : sizeof part;
        memcpy(part, text + done, more);
        sp_text_make_printable(part, more, s->last);
        if (done == 0 && text[0] == '\r' && s->fd == STDERR_FILENO)
            part[0] = '\r';
        ssize_t written = write(s->fd, part, more);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return (ssize_t)done;
        done += (size_t)written;
        s->last = text[done - 1];
    }
    return (ssize_t)n;
}

static FILE *filtered(FILE *plain, stream *s, int buffering)
{
    FILE *f = fopencookie(s, "w", (cookie_io_functions_t){.write = write_printable});
    if (f)
        setvbuf(f, NULL, buffering, BUFSIZ);
    return f ? f : plain;
}

static void filter_output(void)
{
    static stream out = {STDOUT_FILENO, 0}, err = {STDERR_FILENO, 0};
    stdout = filtered(stdout, &out, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    stderr = filtered(stderr, &err, _IONBF);
}
#else
static void filter_output(void) {}
#endif

void sp_cli_start(void)
{
    fill_closed_streams();
    signal(SIGXFSZ, SIG_IGN); // before a driver's threads exist, so that they have it too
    filter_output();
    sp_log_set_level(SP_LOG_INFO);
}
