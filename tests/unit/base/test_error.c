#include <criterion/criterion.h>
#include <string.h>
#include "base/error.h"

Test(status, every_code_has_name_text_and_exit_code)
{
    cr_assert_str_eq(sp_status_name(SP_OK), "SP_OK");
    cr_assert_str_eq(sp_status_name(SP_E_CONFIG), "SP_E_CONFIG");
    cr_assert_str_eq(sp_status_text(SP_E_DEVICE), "no usable OpenCL device, or too large for it");
    cr_assert_eq(sp_status_exit_code(SP_OK), 0);
    cr_assert_eq(sp_status_exit_code(SP_E_USAGE), 2);
    cr_assert_eq(sp_status_exit_code(SP_E_DEVICE), 4);
    cr_assert_eq(sp_status_exit_code(SP_E_INTERRUPTED), 130);
}

Test(status, unknown_code_is_not_success)
{
    cr_assert_str_eq(sp_status_name(-999), "SP_E_UNKNOWN");
    cr_assert_eq(sp_status_exit_code(-999), 1);
}

Test(error, set_fills_every_field)
{
    sp_error err = {0};
    cr_assert_eq(SP_FAIL_CL(&err, -5, "kernel %s", "k"), SP_E_OPENCL);
    cr_assert_eq(err.status, SP_E_OPENCL);
    cr_assert_eq(err.cl_code, -5);
    cr_assert_str_eq(err.text, "kernel k");
    cr_assert(strstr(err.file, "test_error.c") != NULL);
    cr_assert_gt(err.line, 0);
}

Test(error, null_record_still_returns_status)
{
    cr_assert_eq(SP_FAIL(NULL, SP_E_DATA, "x"), SP_E_DATA);
    cr_assert_eq(sp_error_prefix(NULL, SP_E_IO, "x"), SP_E_IO);
}

Test(error, own_text_may_be_an_argument)
{
    sp_error err = {0};
    SP_FAIL(&err, SP_E_DATA, "inner");
    SP_FAIL(&err, SP_E_CONFIG, "outer: %s", err.text);
    cr_assert_str_eq(err.text, "outer: inner");
}

Test(error, long_text_is_cut_with_dots)
{
    sp_error err = {0};
    char big[2000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    SP_FAIL(&err, SP_E_DATA, "%s", big);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
    cr_assert_str_eq(err.text + strlen(err.text) - 3, "...");
}

Test(error, prefix_keeps_status_and_both_texts)
{
    sp_error err = {0};
    SP_FAIL(&err, SP_E_DATA, "bad byte");
    cr_assert_eq(sp_error_prefix(&err, SP_E_FAILED, "in %s: ", "f.gz"), SP_E_DATA);
    cr_assert_str_eq(err.text, "in f.gz: bad byte");
}

Test(error, prefix_on_a_full_text_cuts_the_end)
{
    sp_error err = {0};
    char big[700];
    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    SP_FAIL(&err, SP_E_DATA, "%s", big);
    for (int i = 0; i < 20; i++)
        sp_error_prefix(&err, SP_E_DATA, "step %d of the way: ", i);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
    cr_assert(strncmp(err.text, "step 19 of the way: step 18", 27) == 0, "%s", err.text);
    cr_assert_str_eq(err.text + strlen(err.text) - 3, "...");
}

Test(error, prefix_on_an_empty_record_sets_the_status)
{
    sp_error err = {0};
    cr_assert_eq(sp_error_prefix(&err, SP_E_IO, "reading"), SP_E_IO);
    cr_assert_eq(err.status, SP_E_IO);
    cr_assert_str_eq(err.text, "reading");
}
