/* YAML trees: positions, the core schema, what is refused and what the refusal says, limits, --set, no
 * memory. */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/yaml.h"

static sp_yaml_doc parse(const char *text)
{
    sp_yaml_doc doc;
    sp_error err = {0};
    cr_assert_eq(sp_yaml_parse("f.yaml", text, strlen(text), &doc, &err), SP_OK, "%s\n%s", text, err.text);
    return doc;
}

static void expect_refused(const char *text, const char *message)
{
    sp_yaml_doc doc;
    sp_error err = {0};
    cr_assert_eq(sp_yaml_parse("f.yaml", text, strlen(text), &doc, &err), SP_E_CONFIG, "accepted: %s", text);
    cr_assert_str_eq(err.text, message);
    cr_assert_null(doc.root);
    sp_yaml_free(&doc);
}

static void expect_place(const sp_yaml *node, int line, int column)
{
    cr_assert(node != NULL);
    cr_assert(node->line == line && node->column == column, "is at %d:%d, not %d:%d", node->line,
              node->column, line, column);
}

Test(yaml, knows_the_place_of_every_key_and_value)
{
    sp_yaml_doc doc = parse("# head\n"
                            "model: lif\n"
                            "layers:\n"
                            "  - {type: conv, out: 8}\n"
                            "  - type: lif\n"
                            "    tau:   2.5\n"
                            "\303\244: x\n");
    const sp_yaml *layers = sp_yaml_get(doc.root, "layers");
    expect_place(doc.root, 2, 1);
    expect_place(sp_yaml_get(doc.root, "model"), 2, 8);
    expect_place(layers, 4, 3);
    expect_place(layers->items[0], 4, 5);
    expect_place(sp_yaml_get(layers->items[0], "out"), 4, 23);
    cr_assert_eq(layers->items[0]->key_lines[1], 4);
    cr_assert_eq(layers->items[0]->key_columns[1], 18);
    expect_place(layers->items[1], 5, 5);
    expect_place(sp_yaml_get(layers->items[1], "tau"), 6, 12);
    expect_place(sp_yaml_get(doc.root, "\303\244"), 7, 4); /* columns are characters */
    cr_assert_str_eq(layers->file, "f.yaml");
    cr_assert_null(sp_yaml_get(doc.root, "absent"));
    cr_assert_null(sp_yaml_get(layers, "model"));
    sp_yaml_free(&doc);
}

Test(yaml, resolves_plain_scalars_as_the_core_schema)
{
    static const struct {
        const char *text;
        sp_yaml_kind kind;
        double number;
    } cases[] = {{"~", SP_YAML_NULL, 0},
                 {"null", SP_YAML_NULL, 0},
                 {"Null", SP_YAML_NULL, 0},
                 {"", SP_YAML_NULL, 0},
                 {"nul", SP_YAML_STRING, 0},
                 {"'null'", SP_YAML_STRING, 0},
                 {"true", SP_YAML_BOOL, 0},
                 {"FALSE", SP_YAML_BOOL, 0},
                 {"yes", SP_YAML_STRING, 0},
                 {"tRue", SP_YAML_STRING, 0},
                 {"0", SP_YAML_INT, 0},
                 {"-17", SP_YAML_INT, -17},
                 {"+5", SP_YAML_INT, 5},
                 {"007", SP_YAML_INT, 7},
                 {"0x1F", SP_YAML_INT, 31},
                 {"0o17", SP_YAML_INT, 15},
                 {"0x", SP_YAML_STRING, 0},
                 {"1_000", SP_YAML_STRING, 0},
                 {"-", SP_YAML_STRING, 0},
                 {"1.5", SP_YAML_FLOAT, 1.5},
                 {".5", SP_YAML_FLOAT, .5},
                 {"1.", SP_YAML_FLOAT, 1},
                 {"1e3", SP_YAML_FLOAT, 1000},
                 {"-2.5E-1", SP_YAML_FLOAT, -.25},
                 {"1e", SP_YAML_STRING, 0},
                 {"e3", SP_YAML_STRING, 0},
                 {".", SP_YAML_STRING, 0},
                 {"1.2.3", SP_YAML_STRING, 0},
                 {"0x1p3", SP_YAML_STRING, 0},
                 {"inf", SP_YAML_STRING, 0},
                 {".inf", SP_YAML_FLOAT, INFINITY},
                 {"-.INF", SP_YAML_FLOAT, -INFINITY},
                 {"'1'", SP_YAML_STRING, 0},
                 {"9223372036854775807", SP_YAML_INT, 9223372036854775807.0},
                 {"9223372036854775808", SP_YAML_FLOAT, 9223372036854775808.0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "k: [%s%s", cases[i].text, cases[i].text[0] ? "]" : "~]");
        if (!cases[i].text[0])
            snprintf(text, sizeof text, "k:");
        sp_yaml_doc doc = parse(text);
        const sp_yaml *k = sp_yaml_get(doc.root, "k"), *v = k->kind == SP_YAML_LIST ? k->items[0] : k;
        cr_assert_eq(v->kind, cases[i].kind, "%s is of kind %d", cases[i].text, v->kind);
        if (v->kind == SP_YAML_INT || v->kind == SP_YAML_FLOAT)
            cr_assert(v->number == cases[i].number, "%s reads as %g", cases[i].text, v->number);
        sp_yaml_free(&doc);
    }
    sp_yaml_doc doc = parse("a: .nan\nb: True\nc: False\n");
    cr_assert(isnan(sp_yaml_get(doc.root, "a")->number));
    cr_assert_eq(sp_yaml_get(doc.root, "b")->integer, 1);
    cr_assert_eq(sp_yaml_get(doc.root, "c")->integer, 0);
    sp_yaml_free(&doc);
}

Test(yaml, accepts_json)
{
    sp_yaml_doc doc = parse("{\"a\":1,\"b\":[true,null,\"x\\n\\u00e4\"],\n\t\"c\":{\"d\":-1.5e-3}}\n");
    const sp_yaml *b = sp_yaml_get(doc.root, "b");
    cr_assert_eq(sp_yaml_get(doc.root, "a")->integer, 1);
    cr_assert_eq(b->n, 3);
    cr_assert_eq(b->items[1]->kind, SP_YAML_NULL);
    cr_assert_str_eq(b->items[2]->text, "x\n\303\244");
    cr_assert_eq(sp_yaml_get(sp_yaml_get(doc.root, "c"), "d")->number, -1.5e-3);
    sp_yaml_free(&doc);
}

Test(yaml, an_empty_file_is_null)
{
    static const char *const texts[] = {"", "# only a comment\n", "---\n", "\357\273\277"};
    for (size_t i = 0; i < 4; i++) {
        sp_yaml_doc doc = parse(texts[i]);
        cr_assert_eq(doc.root->kind, SP_YAML_NULL);
        cr_assert_str_eq(doc.root->text, "");
        sp_yaml_free(&doc);
    }
}

Test(yaml, refuses_with_place_and_reason)
{
    expect_refused("a: 1\nb:\n  c: 2\na: 3\n", "f.yaml:4:1: key \"a\" is already given at 1:1; keep one of "
                                               "them");
    expect_refused("{\"a\": 1, \"\\u0061\": 2}", "f.yaml:1:10: key \"a\" is already given at 1:2; keep one "
                                                 "of them");
    expect_refused("a: &x 1\n", "f.yaml:1:4: anchors (&name) and tags (!name) are not supported; remove it");
    expect_refused("a: 1\nb: *x\n", "f.yaml:2:4: aliases (*name) are not supported; write the value out");
    expect_refused("a: !!str 1\n", "f.yaml:1:4: anchors (&name) and tags (!name) are not supported; remove "
                                   "it");
    expect_refused("&x a: 1\n", "f.yaml:1:1: anchors and tags are not supported");
    expect_refused("? [a]\n: 1\n", "f.yaml:1:3: a key must be a plain word, not a list, a map or an alias");
    expect_refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; only one is allowed");
    expect_refused("a: \"x\\0y\"\n", "f.yaml:1:4: the text contains a NUL character");
    expect_refused("\"x\\0y\": 1\n", "f.yaml:1:1: a key contains a NUL character");
    expect_refused("a:\n\tb: 1\n", "f.yaml:2:1: not valid YAML: while scanning for the next token, found "
                                   "character that cannot start "
                                   "any token; the line starts with a tab, indent with spaces");
    expect_refused("a: 1\n  b: 2\n", "f.yaml:2:4: not valid YAML: mapping values are not allowed in this "
                                     "context; "
                                     "check the indentation, and quote text with \": \" in it");
    expect_refused("a: [1, 2\n", "f.yaml:2:1: not valid YAML: while parsing a flow sequence, did not find "
                                 "expected "
                                 "',' or ']'");
    expect_refused("ok: 1\nbad: \377\n", "f.yaml:2:6: invalid leading UTF-8 octet");
    expect_refused("ok: 1\nbad: x\001\n", "f.yaml:2:7: control characters are not allowed");
}

Test(yaml, hostile_depth_width_and_size_are_refused)
{
    size_t n = 4000000;
    char *text = malloc(n + 2);
    sp_yaml_doc doc;
    sp_error err = {0};
    static const char *const nests[] = {"[", "{a: ", "- ", "{[", "? "};
    for (size_t k = 0; k < 5; k++) {
        size_t m = strlen(nests[k]), used = 0;
        for (; used + m < n; used += m)
            memcpy(text + used, nests[k], m);
        cr_assert_eq(sp_yaml_parse("h", text, used, &doc, &err), SP_E_CONFIG);
    }
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    cr_assert_eq(sp_yaml_parse("h", text, 130, &doc, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "h:1:65: nested too deeply (64 levels at most)");
    cr_assert_eq(sp_yaml_parse("h", text + 1, 128, &doc, &err), SP_OK, "%s", err.text);
    sp_yaml_free(&doc);

    text[0] = '[';
    for (size_t i = 1; i + 1 < n; i += 2)
        memcpy(text + i, "1,", 2);
    cr_assert_eq(sp_yaml_parse("h", text, n, &doc, &err), SP_E_CONFIG);
    cr_assert(strstr(err.text, "too many values in one file") != NULL, "%s", err.text);

    size_t used = 0;
    for (int i = 0; i < 4097; i++)
        used += (size_t)sprintf(text + used, "k%d: 1\n", i);
    cr_assert_eq(sp_yaml_parse("h", text, used, &doc, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "h:4097:1: too many keys in one map (4096 at most)");
    free(text);

    size_t big = 17u << 20;
    text = calloc(1, big);
    memset(text, ' ', big);
    cr_assert_eq(sp_yaml_parse("h", text, big, &doc, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "h: larger than the limit of 16 MiB for such a file");
    free(text);
}

/* Every prefix of a document, and every document with one byte changed, is read or refused, never worse. */
Test(yaml, survives_cut_and_damaged_text)
{
    const char *text = "a: [1, {b: 'x', \"c\\n\": 2.5}]\n# c\nd:\n  - |\n    text\n  - >-\n    fold\n  - ? "
                       "k\n    : v\n";
    size_t n = strlen(text);
    char copy[256];
    int refused = 0;
    for (size_t cut = 0; cut <= n; cut++)
        for (int byte = -1; byte < 256; byte += 3) {
            sp_yaml_doc doc;
            sp_error err = {0};
            memcpy(copy, text, n);
            size_t length = byte < 0 ? cut : n;
            if (byte >= 0 && cut < n)
                copy[cut] = (char)byte;
            if (sp_yaml_parse("x", copy, length, &doc, &err) != SP_OK) {
                refused++;
                cr_assert(err.status == SP_E_CONFIG && strncmp(err.text, "x:", 2) == 0, "%s", err.text);
            }
            sp_yaml_free(&doc);
        }
    cr_assert_gt(refused, 100);
}

Test(yaml, loads_files_and_says_what_is_wrong_with_them)
{
    sp_yaml_doc doc;
    sp_error err = {0};
    cr_assert_eq(sp_yaml_load("/no/such/file.yaml", &doc, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "/no/such/file.yaml: cannot be opened: No such file or directory");
    cr_assert_eq(sp_yaml_load("/", &doc, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "/: is not a regular file; give a file, not a folder, a pipe or a device");
    cr_assert_eq(sp_yaml_load("/dev/zero", &doc, &err), SP_E_CONFIG);

    char path[] = "/tmp/spikeport-yaml-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    for (int i = 0; i < 20000; i++)
        fprintf(f, "# a line to make the file larger than one read\n");
    fprintf(f, "tau: 2\n");
    fclose(f);
    cr_assert_eq(sp_yaml_load(path, &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_yaml_get(doc.root, "tau")->line, 20001);
    cr_assert_str_eq(doc.root->file, path);
    sp_yaml_free(&doc);
    unlink(path);
}

Test(yaml, set_puts_values_where_told)
{
    sp_yaml_doc doc = parse("optimizer:\n  lr: 0.1\nlayers:\n  - {out: 1}\n  - {out: 2}\nempty:\n");
    sp_error err = {0};
    static const char *const sets[] = {"optimizer.lr=0.05", "optimizer.name=sgd", "layers.1.out=32",
                                       "new.a.b=[1, 2]",    "empty.x={y: 3}",     "text=a=b",
                                       "nothing="};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        cr_assert_eq(sp_yaml_set(&doc, sets[i], false, &err), SP_OK, "%s: %s", sets[i], err.text);
    const sp_yaml *optimizer = sp_yaml_get(doc.root, "optimizer"), *lr = sp_yaml_get(optimizer, "lr");
    cr_assert_eq(optimizer->n, 2);
    cr_assert_eq(lr->number, 0.05);
    cr_assert_str_eq(lr->file, "--set optimizer.lr");
    expect_place(lr, 1, 14);
    cr_assert_str_eq(sp_yaml_get(optimizer, "name")->text, "sgd");
    const sp_yaml *layers = sp_yaml_get(doc.root, "layers");
    cr_assert_eq(sp_yaml_get(layers->items[0], "out")->integer, 1);
    cr_assert_eq(sp_yaml_get(layers->items[1], "out")->integer, 32);
    cr_assert_eq(sp_yaml_get(sp_yaml_get(sp_yaml_get(doc.root, "new"), "a"), "b")->items[1]->integer, 2);
    cr_assert_eq(sp_yaml_get(sp_yaml_get(sp_yaml_get(doc.root, "empty"), "x"), "y")->integer, 3);
    cr_assert_str_eq(sp_yaml_get(doc.root, "text")->text, "a=b");
    cr_assert_eq(sp_yaml_get(doc.root, "nothing")->kind, SP_YAML_NULL);
    sp_yaml_free(&doc);

    doc = parse("");
    cr_assert_eq(sp_yaml_set(&doc, "a.b=1", false, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_yaml_get(sp_yaml_get(doc.root, "a"), "b")->integer, 1);
    sp_yaml_free(&doc);
}

Test(yaml, set_refuses_with_reason)
{
    static const struct {
        const char *set, *message;
    } cases[] = {{"lr", "--set lr: no \"=\" in it; write it as key.key=value"},
                 {"=1", "--set =1: no key before \"=\"; write it as key.key=value"},
                 {"", "--set : no \"=\" in it; write it as key.key=value"},
                 {"a..b=1", "--set a..b=1: a part of the key is empty or has a space in it"},
                 {"a.=1", "--set a.=1: a part of the key is empty or has a space in it"},
                 {"a b=1", "--set a b=1: a part of the key is empty or has a space in it"},
                 {"lr.x=1", "--set lr.x=1: there is no \"x\" in the plain value at f.yaml:1:5"},
                 {"layers.2=1", "--set layers.2=1: \"2\" is not an item of the list at f.yaml:2:9; it has 2, "
                                "counted from 0"},
                 {"layers.-1=1", "--set layers.-1=1: \"-1\" is not an item of the list at f.yaml:2:9; it has "
                                 "2, counted from 0"},
                 {"layers.99999999999999999999=1", "--set layers.99999999999999999999=1: "
                                                   "\"99999999999999999999\" is "
                                                   "not an item of the list at f.yaml:2:9; it "
                                                   "has 2, counted from 0"},
                 {"lr=[1", "--set lr:1:6: not valid YAML: while parsing a flow sequence, did not find "
                           "expected "
                           "',' or ']'"},
                 {"lr=a: b", "--set lr:1:4: only a plain value, a list [a, b] or a map {a: b} can stand "
                             "here"},
                 {"lr=- a", "--set lr:1:4: only a plain value, a list [a, b] or a map {a: b} can stand here"},
                 {"lr=*a", "--set lr:1:4: aliases (*name) are not supported; write the value out"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_yaml_doc doc = parse("lr: 1\nlayers: [1, 2]\n");
        sp_error err = {0};
        cr_assert_eq(sp_yaml_set(&doc, cases[i].set, false, &err), SP_E_CONFIG, "accepted: %s", cases[i].set);
        cr_assert_str_eq(err.text, cases[i].message);
        cr_assert_eq(sp_yaml_get(doc.root, "lr")->integer, 1);
        sp_yaml_free(&doc);
    }
    char deep[400] = "a";
    for (int i = 0; i < 64; i++)
        strcat(deep, ".a");
    strcat(deep, "=1");
    sp_yaml_doc doc = parse("");
    sp_error err = {0};
    cr_assert_eq(sp_yaml_set(&doc, deep, false, &err), SP_E_CONFIG);
    sp_yaml_free(&doc);
}

Test(yaml, every_allocation_may_fail)
{
    const char *text = "a: [1, {b: 'x'}]\nc: 2\nd: 3\n";
    sp_error err = {0};
    int failed = 0;
    for (int64_t k = 1;; k++) {
        sp_yaml_doc doc;
        sp_mem_fail_at(k);
        sp_status st = sp_yaml_parse("f", text, strlen(text), &doc, &err);
        if (st == SP_OK)
            st = sp_yaml_set(&doc, "e.f=1", false, &err);
        sp_mem_fail_at(0);
        sp_yaml_free(&doc);
        if (st == SP_OK)
            break;
        cr_assert_eq(st, SP_E_MEMORY);
        failed++;
    }
    cr_assert_gt(failed, 20);
}

Test(yaml, reads_the_reference_cases)
{
    glob_t found;
    if (glob(SP_TEST_SOURCE_DIR "/../shared/reference/*.json", 0, NULL, &found) != 0)
        cr_skip("no reference cases beside the source folder");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        sp_yaml_doc doc;
        sp_error err = {0};
        cr_assert_eq(sp_yaml_load(found.gl_pathv[i], &doc, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_yaml_get(doc.root, "layers")->kind, SP_YAML_LIST);
        cr_assert_eq(sp_yaml_get(doc.root, "backprop_steps")->line > 10, true);
        cr_assert_eq(sp_yaml_get(doc.root, "loss_value")->kind, SP_YAML_FLOAT);
        sp_yaml_free(&doc);
    }
    globfree(&found);
}
