/* What a failed check says: the reason survives, and the command is whole or not there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "check/case.h"

static char path[700];
static sp_device dev;
static sp_variant v = {.id = "mine:k", .path = path, .origin = SP_ORIGIN_OUTSIDE};

/* A failure of a file whose path has n characters. */
static void blame(sp_error *err, int n, const char *reason)
{
    sp_op_call call = sp_op_call_make("scale");
    for (int i = 0; i < SP_OP_MAX_INTS && call.op->ints[i]; i++)
        call.ints[i] = 8;
    v.op = call.op;
    memset(path, 'p', sizeof path);
    path[n] = '\0';
    SP_FAIL(err, SP_E_BUILD, "%s", reason);
    const sp_check_repeat r = {.dev = &dev, .variant = &v, .call = &call, .seed = 7};
    cr_assert_eq(sp_check_blame(&r, SP_E_BUILD, err), SP_E_BUILD);
}

Test(repeat, says_variant_reason_and_command)
{
    sp_error err = {0};
    blame(&err, 4, "y is wrong");
    cr_expect_str_eq(err.text, "mine:k for scale/1: y is wrong. Repeat with `spikeport plugins check scale/1 "
                               "--shape \"M=8 C=8 factor=0\" --plugins \"pppp\" --seed 7`");
    dev.is_named = true, dev.info.index = 3, v.origin = SP_ORIGIN_BUILTIN;
    blame(&err, 4, "mine:k does not build: did you mean \"x\"?");
    cr_expect_str_eq(err.text, "mine:k for scale/1 does not build: did you mean \"x\"? Repeat with "
                               "`spikeport "
                               "plugins check scale/1 --shape \"M=8 C=8 factor=0\" --device 3 --seed 7`");
}

Test(repeat, first_line_before_command_before_further_lines)
{
    for (int n = 10; n < 690; n += 20)
        for (int line = 20; line < 460; line += 20) {
            char reason[1200], first[512];
            sp_error err = {0};
            memset(first, 'r', sizeof first);
            snprintf(first + line - 6, sizeof first - (size_t)line + 6, "reason");
            snprintf(reason, sizeof reason, "%s\n%0200d\n%0200d", first, 1, 2);
            blame(&err, n, reason);
            cr_assert(strstr(err.text, "rreason"), "%d, %d: %s", n, line, err.text);
            const char *command = strchr(err.text, '`');
            cr_assert(!command || (strlen(command) > 20 && err.text[strlen(err.text) - 1] == '`'),
                      "%d, %d: %s", n, line, err.text);
            cr_assert(command || n + line > 500, "%d, %d: %s", n, line, err.text);
            cr_assert_leq(strlen(err.text), sizeof err.text - 64);
        }
}
