/* spikeport version: what this program was built from. */
#include "cli/cli.h"

#include <clblast_c.h>
#include <stdio.h>

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const char sp_cli_clblast[] =
    TEXT(CLBLAST_VERSION_MAJOR) "." TEXT(CLBLAST_VERSION_MINOR) "." TEXT(CLBLAST_VERSION_PATCH);

int sp_cmd_version(int argc, char **argv)
{
    bool json = false;
    const sp_arg args[] = {
        SP_FLAG("json", 0, &json, "one JSON object"),
    };
    const sp_args a = {.command = "version",
                       .synopsis = "[--json]",
                       .about = "Prints the version of spikeport and what it was built with.",
                       .args = args,
                       .n_args = 1};
    int code;
    if (!sp_args_parse(&a, argc, argv, NULL, &code))
        return code;
    char opencl[16];
    snprintf(opencl, sizeof opencl, "%d.%d", CL_TARGET_OPENCL_VERSION / 100,
             CL_TARGET_OPENCL_VERSION / 10 % 10);
    if (json)
        return sp_status_exit_code(sp_cli_json_line(
            json_pack("{s:s, s:s, s:s, s:s}", "spikeport", SP_VERSION, "opencl_target", opencl,
                      "clblast_headers", sp_cli_clblast, "jansson_headers", JANSSON_VERSION)));
    printf("spikeport %s\nOpenCL target %s\nCLBlast headers %s\nJansson headers %s\n", SP_VERSION, opencl,
           sp_cli_clblast, JANSSON_VERSION);
    return 0;
}
