/* Typed reads: what they accept, what they leave alone, and the exact words of every error. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "config/yaml.h"

static sp_yaml_doc doc;
static sp_error err;

static const sp_yaml *load(const char *text)
{
    sp_yaml_free(&doc);
    cr_assert_eq(sp_yaml_parse("f.yaml", text, strlen(text), &doc, &err), SP_OK, "%s", err.text);
    return doc.root;
}

static void finish(void)
{
    sp_yaml_free(&doc);
}

TestSuite(yaml_read, .fini = finish);

static void expect_error(sp_status st, const char *message)
{
    cr_assert_eq(st, SP_E_CONFIG);
    cr_assert_str_eq(err.text, message);
}

Test(yaml_read, absent_keys_leave_the_default)
{
    const sp_yaml *map = load("a: 1\n");
    static const char *const names[] = {"x", "y"};
    int64_t i = 7;
    double d = 7.5;
    bool b = true;
    const char *s = "seven";
    int c = 7;
    cr_assert_eq(sp_yaml_read_int(map, "i", 0, 1, &i, &err), SP_OK);
    cr_assert_eq(sp_yaml_read_float(map, "d", 0, 1, &d, &err), SP_OK);
    cr_assert_eq(sp_yaml_read_bool(map, "b", &b, &err), SP_OK);
    cr_assert_eq(sp_yaml_read_string(map, "s", &s, &err), SP_OK);
    cr_assert_eq(sp_yaml_read_choice(map, "c", names, 2, &c, &err), SP_OK);
    cr_assert(i == 7 && d == 7.5 && b && !strcmp(s, "seven") && c == 7);
}

Test(yaml_read, whole_numbers)
{
    int64_t v = 0;
    const sp_yaml *map = load("a: 1\nb: 100000\nc: 0\nd: ten\ne: 2.0\nf: [1]\ng:\nh: {x: 1}\ni: '5'\nj: "
                              "null\n");
    cr_assert_eq(sp_yaml_read_int(map, "a", 1, 100000, &v, &err), SP_OK);
    cr_assert_eq(v, 1);
    cr_assert_eq(sp_yaml_read_int(map, "b", 1, 100000, &v, &err), SP_OK);
    cr_assert_eq(v, 100000);
    static const struct {
        const char *key, *message;
    } cases[] = {{"c", "f.yaml:3:4: \"c\" must be a whole number from 1 to 100000, not \"0\""},
                 {"d", "f.yaml:4:4: \"d\" must be a whole number from 1 to 100000, not \"ten\""},
                 {"e", "f.yaml:5:4: \"e\" must be a whole number from 1 to 100000, not \"2.0\""},
                 {"f", "f.yaml:6:4: \"f\" must be a whole number from 1 to 100000, not a list"},
                 {"g", "f.yaml:7:3: \"g\" must be a whole number from 1 to 100000, not empty"},
                 {"h", "f.yaml:8:4: \"h\" must be a whole number from 1 to 100000, not a map"},
                 {"i", "f.yaml:9:4: \"i\" must be a whole number from 1 to 100000, not \"5\""},
                 {"j", "f.yaml:10:4: \"j\" must be a whole number from 1 to 100000, not null"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(sp_yaml_read_int(map, cases[i].key, 1, 100000, &v, &err), cases[i].message);
    cr_assert_eq(v, 100000);
    expect_error(sp_yaml_read_int(map, "c", 1, INT64_MAX, &v, &err), "f.yaml:3:4: \"c\" must be a whole "
                                                                     "number of at least 1, not \"0\"");
    expect_error(sp_yaml_read_int(map, "a", INT64_MIN, 0, &v, &err), "f.yaml:1:4: \"a\" must be a whole "
                                                                     "number of at most 0, not \"1\"");
}

Test(yaml_read, numbers)
{
    double v = 0;
    const sp_yaml *map = load("a: 0.5\nb: 2\nc: .nan\nd: .inf\ne: 1e400\nf: x\n");
    cr_assert_eq(sp_yaml_read_float(map, "a", 0, 1, &v, &err), SP_OK);
    cr_assert_eq(v, 0.5);
    cr_assert_eq(sp_yaml_read_float(map, "b", 0, 2, &v, &err), SP_OK);
    cr_assert_eq(v, 2);
    expect_error(sp_yaml_read_float(map, "b", 0, 1, &v, &err), "f.yaml:2:4: \"b\" must be a number from 0 to "
                                                               "1, not \"2\"");
    expect_error(sp_yaml_read_float(map, "c", -INFINITY, INFINITY, &v, &err), "f.yaml:3:4: \"c\" must be a "
                                                                              "number, not \".nan\"");
    expect_error(sp_yaml_read_float(map, "d", 0, 1, &v, &err), "f.yaml:4:4: \"d\" must be a number from 0 to "
                                                               "1, not \".inf\"");
    expect_error(sp_yaml_read_float(map, "e", 0, 1e300, &v, &err), "f.yaml:5:4: \"e\" is 1e400, a number "
                                                                   "that float32 cannot hold: it would "
                                                                   "become 0 or infinite");
    map = load("a: 1e-999\nb: -1e-60\nc: 0e-999\nd: 1e-30\n\nf: x\n");
    expect_error(sp_yaml_read_float(map, "a", 0, 1, &v, &err), "f.yaml:1:4: \"a\" is 1e-999, a number that "
                                                               "float32 cannot hold: it would become 0 or "
                                                               "infinite");
    expect_error(sp_yaml_read_float(map, "b", -1, 1, &v, &err), "f.yaml:2:4: \"b\" is -1e-60, a number that "
                                                                "float32 cannot hold: it would become 0 or "
                                                                "infinite");
    cr_assert_eq(sp_yaml_read_float(map, "c", 0, 1, &v, &err), SP_OK);
    cr_assert_eq(v, 0);
    cr_assert_eq(sp_yaml_read_float(map, "d", 0, 1, &v, &err), SP_OK);
    expect_error(sp_yaml_read_float(map, "f", 0, INFINITY, &v, &err), "f.yaml:6:4: \"f\" must be a number of "
                                                                      "at least 0, not \"x\"");
}

Test(yaml_read, bools_and_text)
{
    bool b = false;
    const char *s = NULL;
    const sp_yaml *map = load("a: true\nb: yes\nc: hello\nd: 2024\ne: ''\nf: [x]\n");
    cr_assert_eq(sp_yaml_read_bool(map, "a", &b, &err), SP_OK);
    cr_assert(b);
    expect_error(sp_yaml_read_bool(map, "b", &b, &err), "f.yaml:2:4: \"b\" must be true or false, not "
                                                        "\"yes\"");
    cr_assert_eq(sp_yaml_read_string(map, "c", &s, &err), SP_OK);
    cr_assert_str_eq(s, "hello");
    cr_assert_eq(sp_yaml_read_string(map, "e", &s, &err), SP_OK);
    cr_assert_str_eq(s, "");
    expect_error(sp_yaml_read_string(map, "d", &s, &err), "f.yaml:4:4: \"d\" must be text (put it in "
                                                          "quotes), not \"2024\"");
    expect_error(sp_yaml_read_string(map, "f", &s, &err), "f.yaml:6:4: \"f\" must be text, not a list");
}

Test(yaml_read, choices)
{
    static const char *const names[] = {"soft", "hard", "null"};
    int c = -1;
    const sp_yaml *map = load("a: hard\nb: sotf\nc: null\nd: 99999\ne: [soft]\n");
    cr_assert_eq(sp_yaml_read_choice(map, "a", names, 3, &c, &err), SP_OK);
    cr_assert_eq(c, 1);
    cr_assert_eq(sp_yaml_read_choice(map, "c", names, 3, &c, &err), SP_OK);
    cr_assert_eq(c, 2);
    expect_error(sp_yaml_read_choice(map, "b", names, 3, &c, &err), "f.yaml:2:4: \"b\" must be one of soft, "
                                                                    "hard, null, not \"sotf\"; did you mean "
                                                                    "\"soft\"?");
    expect_error(sp_yaml_read_choice(map, "d", names, 3, &c, &err), "f.yaml:4:4: \"d\" must be one of soft, "
                                                                    "hard, null, not \"99999\"");
    expect_error(sp_yaml_read_choice(map, "e", names, 3, &c, &err), "f.yaml:5:4: \"e\" must be one of soft, "
                                                                    "hard, null, not a list");
    cr_assert_eq(c, 2);
}

Test(yaml_read, unknown_keys)
{
    static const char *const known[] = {"tau", "v_th"};
    expect_error(sp_yaml_check_keys(load("tau: 1\nv_th: 1\n"), known, 2, "recipe", &err) == SP_OK
                     ? sp_yaml_check_keys(load("v_th: 1\n\n\ntua: 2\n"), known, 2, "recipe", &err)
                     : SP_OK,
                 "f.yaml:4:1: unknown key \"tua\" in recipe; did you mean \"tau\"?");
    expect_error(sp_yaml_check_keys(load("{tau: 1, batch_size: 2}"), known, 2, "recipe", &err),
                 "f.yaml:1:10: unknown key \"batch_size\" in recipe; known keys: tau, v_th");
    expect_error(sp_yaml_check_keys(load("- 1\n"), known, 2, "recipe", &err), "f.yaml:1:1: recipe must be a "
                                                                              "map of keys and values, not a "
                                                                              "list");
    expect_error(sp_yaml_check_keys(load(""), known, 2, "recipe", &err), "f.yaml:1:1: recipe must be a map "
                                                                         "of keys and values, not empty");
    load("tau: 1\n");
    cr_assert_eq(sp_yaml_set(&doc, "v_ht=2", false, &err), SP_OK);
    expect_error(sp_yaml_check_keys(doc.root, known, 2, "recipe", &err), "--set v_ht:1:1: unknown key "
                                                                         "\"v_ht\" in "
                                                                         "recipe; did you mean \"v_th\"?");
}

Test(yaml_read, long_and_odd_text_is_made_fit_for_a_message)
{
    char text[400] = "a: \"\\e[31m";
    for (int i = 0; i < 60; i++)
        strcat(text, "\303\244");
    strcat(text, "\"\n");
    int64_t v = 0;
    cr_assert_eq(sp_yaml_read_int(load(text), "a", 0, 1, &v, &err), SP_E_CONFIG);
    cr_assert_null(strchr(err.text, '\033'));
    const char *dots = strstr(err.text, "...\"");
    cr_assert(dots != NULL, "%s", err.text);
    cr_assert_eq((unsigned char)dots[-1], 0xA4); /* cut between characters */
    cr_assert_lt(strlen(err.text), 160);
}
