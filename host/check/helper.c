#include "check/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/scope.h"

/* One at a time in a process. The first plan to be made has it. */
static pid_t helper;   /* 0: none */
static int wake = -1;  /* in this process: a byte begins, closing it dismisses */
static int going = -1; /* in the helper: the other end */
static bool awake;

/* Whether this is the only thread: the others of a process would be missing in its copy, with what they hold.
 */
static bool alone(void)
{
    sp_lines lines = {0};
    int n = 0;
    if (sp_lines_open(&lines, "/proc/self", "status", NULL))
        while (n == 0 && sp_lines_next(&lines))
            if (strncmp(lines.text, "Threads:", 8) == 0)
                n = (int)strtol(lines.text + 8, NULL, 10);
    sp_lines_close(&lines);
    return n == 1;
}

static void silence(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int to = 0; fd >= 0 && to <= 2; to++)
        dup2(fd, to);
}

bool sp_helper_fork(void)
{
    const char *set = sp_setting("SPIKEPORT_COMPILE_HELPER");
    int ends[2];
    char byte;
    if (helper || (set && strcmp(set, "off") == 0) || sysconf(_SC_NPROCESSORS_ONLN) < 2 || !alone() ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    pid_t child = fork();
    if (child != 0) {
        close(ends[0]);
        if (child < 0)
            close(ends[1]);
        helper = child < 0 ? 0 : child;
        wake = child < 0 ? -1 : ends[1];
        awake = false;
        return false;
    }
    close(ends[1]);
    going = ends[0];
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (read(going, &byte, 1) != 1)
        sp_helper_exit();
    silence();
    return true;
}

void sp_helper_exit(void)
{
    _exit(0); /* buffers and handlers are the other process's */
}

bool sp_helper_wake(const sp_device *dev)
{
    if (wake < 0)
        return going >= 0;
    if (!awake && (dev->info.type == SP_DEVICE_CPU || dev->info.type == SP_DEVICE_GPU)) {
        sp_log(SP_LOG_INFO, "a second process compiles and checks kernels beside this one (process %ld)",
               (long)helper);
        awake = send(wake, "", 1, MSG_NOSIGNAL) == 1;
    }
    return awake;
}

void sp_helper_go_on(void)
{
    struct pollfd p = {.fd = going, .events = 0};
    if (going >= 0 && poll(&p, 1, 0) > 0)
        sp_helper_exit();
}

void sp_helper_dismiss(void)
{
    if (wake >= 0)
        close(wake);
    wake = -1;
}

void sp_helper_wait(void)
{
    sp_helper_dismiss();
    while (helper && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
        ;
    helper = 0;
}
