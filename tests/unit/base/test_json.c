/* JSON text: the shortest numbers, which read back to the same bits; strings as they were. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static void expect_text(json_t *value, const char *text)
{
    char *got = sp_json_text(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
    cr_assert_str_eq(got, text);
    sp_free(got);
    json_decref(value);
}

Test(json, numbers_are_short)
{
    expect_text(json_real(0.3), "0.3");
    expect_text(json_real(-2), "-2.0");
    expect_text(json_real(1e300), "1e+300");
    expect_text(json_integer(-1234567890123456789), "-1234567890123456789");
    expect_text(json_pack("{s:f, s:[f, i, b, n, s]}", "0.29999999999999999", 0.1, "list", 1e-7, 3, 1,
                          "\"0.29999999999999999\\"),
                "{\"0.29999999999999999\":0.1,\"list\":[1e-07,3,true,null,\"\\\"0.29999999999999999\\\\\"]}");
    cr_assert_null(sp_json_text(NULL, 0));
}

Test(json, every_number_reads_back_as_the_same_kind_and_bits)
{
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double x, back;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        x = i % 2 ? x : round(fmod(x, 1e6)) / 1000;
        json_t *array = json_pack("[f]", x), *again;
        char *text = sp_json_text(array, 0);
        again = json_loads(text, 0, NULL);
        cr_assert(json_is_real(json_array_get(again, 0)), "%s", text);
        back = json_real_value(json_array_get(again, 0));
        cr_assert_eq(memcmp(&x, &back, sizeof x), 0, "%s", text);
        json_decref(array);
        json_decref(again);
        sp_free(text);
    }
}

Test(json, memory_may_be_out)
{
    json_t *array = json_pack("[f, s, i]", 0.3, "a", 1);
    for (int k = 1;; k++) {
        sp_mem_fail_at(k);
        char *text = sp_json_text(array, 0);
        sp_mem_fail_at(0);
        if (text) {
            sp_free(text);
            break;
        }
        cr_assert_lt(k, 50);
    }
    json_decref(array);
}
