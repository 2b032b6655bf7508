/* The parts of `spikeport bench suite`: cmd_suite.c reads options, writes records and reports; suite_ops.c
 * has levels 0 and 1, suite_steps.c level 2. docs/BENCHMARK.md describes a record. */
#ifndef SP_LAB_SUITE_H
#define SP_LAB_SUITE_H

#include <jansson.h>
#include <stdio.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "registry/registry.h"

typedef struct sp_cli_suite {
    const char *out, *plugins;
    bool small;             /* sizes for simulators */
    int64_t level, samples; /* levels up to this one; timed executions of each problem */
    sp_arg_list recipes;    /* level 2: beside the known networks */
    sp_arg_list only;       /* parts of names of problems; none: all */
    bool chosen;            /* of the variants only what a run would choose */
    json_t *done;           /* records of a run that goes on; NULL */
    FILE *records;
    const char *path; /* of the records */
    const sp_device_info *info;
    size_t written, invalid;
    sp_text *names; /* not NULL: nothing runs, each problem adds its name as a line */
} sp_cli_suite;

/* A record with what all of a device share; to be completed and given to sp_cli_suite_put. */
json_t *sp_cli_suite_record(const sp_cli_suite *s, int level, const char *problem, const char *application);
/* Status "unsupported", "failed" or "invalid" with its reason. */
void sp_cli_suite_reason(json_t *record, const char *status, const char *reason);
/* "validation" of a record; tolerance below 0: error and tolerance stay out. */
void sp_cli_suite_validation(json_t *record, bool passed, double error, double tolerance, const char *text);
/* Checks and writes the record (docs/BENCHMARK.md) and frees it. */
sp_status sp_cli_suite_put(sp_cli_suite *s, json_t *record, sp_error *err);

/* Whether a problem is to be run (--only); and not there already (--resume). application NULL: whatever
 * application. */
bool sp_cli_suite_named(const sp_cli_suite *s, const char *problem);
bool sp_cli_suite_wanted(const sp_cli_suite *s, const char *problem, const char *application);

/* Level 0: peaks; level 1: every op of the table with every variant. */
sp_status sp_cli_suite_ops(sp_cli_suite *s, sp_error *err);
/* Level 2: training steps. */
sp_status sp_cli_suite_steps(sp_cli_suite *s, sp_error *err);

int sp_cmd_bench_suite(int argc, char **argv);
int sp_cmd_bench_diff(int argc, char **argv);

#endif
