/* Reference cases (NAME.json with NAME.safetensors) named on the command line. */
#ifndef SP_CLI_CASE_LIST_H
#define SP_CLI_CASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "spikeport/status.h"

typedef struct sp_case_list {
    char **items; /* paths of .json files */
    size_t n;
} sp_case_list;

/* Files as they are, of folders every case in order of name. Free it after a failure too. */
sp_status sp_case_list_add(sp_case_list *p, const char *const *names, size_t n, sp_error *err);
void sp_case_list_free(sp_case_list *p);

#endif
