/* Reference cases (NAME.json with NAME.safetensors) named on the command line. */
#ifndef SP_CLI_CASE_LIST_H
#define SP_CLI_CASE_LIST_H

#include "base/folder.h"

/* Adds paths of .json files: files as they are, of folders every case in order of name. */
sp_status sp_case_list_add(sp_names *out, const char *const *names, size_t n, sp_error *err);

#endif
