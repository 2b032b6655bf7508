/* Faults on demand: SPIKEPORT_LAYER_FAULT=KIND:N:WHAT makes the N-th call of a kind fail. WHAT is a code by
 * name or number ("CL_OUT_OF_RESOURCES", "-5"), with "+" behind it for that call and all after it; "lost"
 * (every call from then on fails with CL_DEVICE_NOT_AVAILABLE); or "delay=SECONDS". Also the counts and the
 * report of the process. */
#include "layer.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const fault_names[N_FAULTS] = {"create", "alloc", "build",  "arg",  "enqueue",
                                                  "write",  "read",  "finish", "info", "any"};
static const char *const object_names[N_OBJECTS] = {"contexts", "queues",  "buffers",
                                                    "programs", "kernels", "events"};

static struct {
    bool on, stays, lost;
    fault_kind kind;
    long at;
    cl_int code;
    unsigned delay_s;
} fault;
static atomic_long calls[N_FAULTS], live[N_OBJECTS], made[N_OBJECTS], injected, refused, unaligned;
static bool verbose;

static cl_int code_of(const char *text)
{
    static const struct {
        const char *name;
        cl_int code;
    } codes[] = {
        {"CL_DEVICE_NOT_FOUND", -1},       {"CL_DEVICE_NOT_AVAILABLE", -2},
        {"CL_COMPILER_NOT_AVAILABLE", -3}, {"CL_MEM_OBJECT_ALLOCATION_FAILURE", -4},
        {"CL_OUT_OF_RESOURCES", -5},       {"CL_OUT_OF_HOST_MEMORY", -6},
        {"CL_BUILD_PROGRAM_FAILURE", -11}, {"CL_INVALID_VALUE", -30},
        {"CL_INVALID_COMMAND_QUEUE", -36}, {"CL_INVALID_KERNEL", -48},
        {"CL_INVALID_OPERATION", -59},
    };
    char *end;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].name, text) == 0)
            return codes[i].code;
    long code = strtol(text, &end, 10);
    if (*end || code >= 0)
        layer_die("SPIKEPORT_LAYER_FAULT: \"%s\" is no code that the layer knows; write it as a negative "
                  "number",
                  text);
    return (cl_int)code;
}

static void read_fault(const char *text)
{
    char kind[16] = "", what[64] = "";
    if (sscanf(text, "%15[a-z]:%ld:%63s", kind, &fault.at, what) != 3 || fault.at < 1)
        layer_die("SPIKEPORT_LAYER_FAULT: \"%s\" is not KIND:N:WHAT", text);
    for (fault.kind = 0; fault.kind < N_FAULTS && strcmp(fault_names[fault.kind], kind) != 0;)
        fault.kind++;
    if (fault.kind == N_FAULTS)
        layer_die("SPIKEPORT_LAYER_FAULT: no kind of call is named \"%s\"", kind);
    size_t n = strlen(what);
    fault.on = true;
    if (strncmp(what, "delay=", 6) == 0) {
        fault.delay_s = (unsigned)atoi(what + 6);
    } else if (strcmp(what, "lost") == 0) {
        fault.lost = true;
        fault.code = CL_DEVICE_NOT_AVAILABLE;
    } else {
        fault.stays = n && what[n - 1] == '+';
        what[n - fault.stays] = '\0';
        fault.code = code_of(what);
    }
}

void fault_load(void)
{
    const char *text = getenv("SPIKEPORT_LAYER_FAULT"), *loud = getenv("SPIKEPORT_LAYER_VERBOSE");
    verbose = loud && strcmp(loud, "1") == 0;
    if (text && *text)
        read_fault(text);
}

/* "any" is every call but questions: those are asked hundreds of times and drivers rarely refuse one. */
static bool counts_here(fault_kind kind)
{
    return fault.kind == kind || (fault.kind == FAULT_ANY && kind != FAULT_INFO);
}

cl_int fault_now(fault_kind kind, const char *call)
{
    long nth = ++calls[kind];
    if (kind != FAULT_INFO) {
        long any = ++calls[FAULT_ANY];
        nth = fault.kind == FAULT_ANY ? any : nth;
    }
    if (!fault.on)
        return CL_SUCCESS;
    bool hit = counts_here(kind) && (nth == fault.at || (fault.stays && nth > fault.at));
    if (fault.lost && injected > 0 && kind != FAULT_INFO) // whatever is asked of a device that is gone
        hit = true;
    if (!hit)
        return CL_SUCCESS;
    injected++;
    if (verbose)
        fprintf(stderr, "test layer: fault in %s, call %ld of kind %s\n", call, nth, fault_names[kind]);
    if (fault.delay_s)
        sleep(fault.delay_s);
    return fault.code;
}

void count_object(object_kind kind, int by)
{
    live[kind] += by;
    if (by > 0)
        made[kind] += by;
}

void count_unaligned_host(void)
{
    unaligned++;
}

cl_int refuse(cl_int code, const char *call, const char *fmt, ...)
{
    refused++;
    if (verbose) {
        va_list args;
        va_start(args, fmt);
        fprintf(stderr, "test layer: %s refused (%d): ", call, (int)code);
        vfprintf(stderr, fmt, args);
        fputc('\n', stderr);
        va_end(args);
    }
    return code;
}

/* After everything else of the process: what is still held then was never released. */
__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("SPIKEPORT_LAYER_REPORT");
    FILE *f = path && *path ? fopen(path, "we") : NULL;
    long leaks = 0;
    if (!f)
        return;
    for (int i = 0; i < N_FAULTS; i++)
        fprintf(f, "calls %s %ld\n", fault_names[i], (long)calls[i]);
    for (int i = 0; i < N_OBJECTS; i++) {
        fprintf(f, "made %s %ld\nlive %s %ld\n", object_names[i], (long)made[i], object_names[i],
                (long)live[i]);
        leaks += live[i] < 0 ? -live[i] : live[i];
    }
    fprintf(f, "injected %ld\nrefused %ld\nunaligned_host %ld\nleaks %ld\n", (long)injected, (long)refused,
            (long)unaligned, leaks);
    fclose(f);
}
