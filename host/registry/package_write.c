/* Writing a package: each program as one self-contained OpenCL C file (constants, common part, fragments,
 * kernels; only the kernels that are launched, under names of their own, because a vendor's linker puts all
 * files together), and for the target "offline" its binary. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "registry/package_internal.h"

sp_status sp_package_write_file(const char *folder, const char *path, const void *bytes, size_t n,
                                sp_error *err)
{
    char *full = sp_format("%s/%s", folder, path);
    sp_status st =
        full ? sp_folder_make_of(full, 0777, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", path);
    if (st == SP_OK)
        st = sp_file_replace(full, &(sp_bytes){bytes, n}, 1, err);
    sp_free(full);
    return st;
}

/* ---- kernels that are not launched are left out ---- */

/* Past a comment, a line of the preprocessor or one character. */
static const char *skip_one(const char *s)
{
    if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    }
    if (s[0] == '/' && s[1] == '/')
        return s + strcspn(s, "\n");
    if (s[0] == '#') {
        while (*s && *s != '\n')
            s += s[0] == '\\' && s[1] ? 2 : 1;
        return s;
    }
    return s + 1;
}

/* From the opening bracket at s to behind its partner, or to an #else whose #if lies before s: the other
 * alternative opens the group again. What an #else takes the place of does not count. */
static const char *skip_group(const char *s, char open, char close)
{
    int depth = 0, at_if[16], n = 0;
    while (*s) {
        if (strncmp(s, "#if", 3) == 0 && n < 16)
            at_if[n++] = depth;
        else if (strncmp(s, "#el", 3) == 0 && n == 0)
            return s;
        else if (strncmp(s, "#el", 3) == 0)
            depth = at_if[n - 1];
        else if (strncmp(s, "#endif", 6) == 0 && n > 0)
            n--;
        const char c = *s;
        s = skip_one(s);
        depth += (c == open) - (c == close);
        if (depth == 0 && c == close)
            return s;
    }
    return s;
}

static bool is_launched(const sp_packed_program *g, const char *name)
{
    for (int i = 0; i < g->n_kernels; i++)
        if (strcmp(g->kernels[i].function, name) == 0)
            return true;
    return false;
}

/* Whether a line "//@ kernel: NAME" of the file says so. A kernel whose name is a macro is no one's: it
 * stays. */
static bool is_declared(const char *text, const char *name)
{
    static const char key[] = "//@ kernel:";
    const size_t n = strlen(name);
    for (const char *at = text; (at = strstr(at, key)) != NULL;) {
        at += sizeof key - 1;
        at += strspn(at, " \t");
        if (strncmp(at, name, n) == 0 && !(isalnum((unsigned char)at[n]) || at[n] == '_'))
            return true;
    }
    return false;
}

/* The kernel that starts at s, with all names that it has (it may begin with alternatives of the
 * preprocessor): whether it can be left out, and where it ends. False for a declaration without a body. */
static bool read_kernel(const char *s, const sp_packed_program *g, bool *unused, const char **end)
{
    const char *word = s;
    size_t n = 0;
    *unused = true;
    while (*s && *s != ';') {
        if (*s == '{') {
            s = skip_group(s, '{', '}');
            if (s[-1] == '}') {
                *end = s;
                return true;
            }
        } else if (*s == '(') { // the last name in front of a group is the function's
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)n, word);
            *unused &=
                strcmp(name, "__attribute__") == 0 || (!is_launched(g, name) && is_declared(g->text, name));
            s = skip_group(s, '(', ')');
        } else if (isalpha((unsigned char)*s) || *s == '_') {
            word = s;
            for (n = 0; isalnum((unsigned char)s[n]) || s[n] == '_'; n++)
                ;
            s += n;
        } else {
            s = skip_one(s);
        }
    }
    *end = s;
    return false;
}

/* The program's text without the kernels of the file's other blocks. */
static void add_kernels(sp_text *t, const sp_packed_program *g)
{
    const char *from = g->text, *s = g->text, *end;
    bool unused;
    while (*s) {
        bool starts = strncmp(s, "__kernel", 8) == 0 && (s == g->text || isspace((unsigned char)s[-1]));
        if (!starts || !read_kernel(s, g, &unused, &end)) {
            s = skip_one(s);
            continue;
        }
        if (unused) {
            sp_text_add(t, "%.*s", (int)(s - from), from);
            from = end;
        }
        s = end;
    }
    sp_text_add(t, "%s", from);
}

/* ---- and so are paragraphs in front of the kernels whose names nothing uses ---- */

/* Ends with an empty line outside of brackets and of #if, or where the kernels begin. One that leaves them
 * open stays: of an #if around a kernel, or of brackets that both branches of an #if have. */
typedef struct paragraph {
    const char *at;
    size_t n;
    bool kept;
} paragraph;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool starts(const char *s, const char *what)
{
    return strncmp(s, what, strlen(what)) == 0;
}

static paragraph read_paragraph(const char *from, const char *end)
{
    const char *s = from;
    int depth = 0;
    for (; s < end; s = skip_one(s)) {
        if (s[0] == '\n' && s[1] == '\n' && depth == 0)
            return (paragraph){from, (size_t)(s - from) + 2, false};
        depth += *s == '{' || starts(s, "#if");
        depth -= *s == '}' || starts(s, "#endif");
    }
    return (paragraph){from, (size_t)(end - from), depth != 0};
}

static bool mentions(const char *s, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i + length <= n; i++)
        if (strncmp(s + i, name, length) == 0 && !is_word(s[i + length]) && (i == 0 || !is_word(s[i - 1])))
            return true;
    return false;
}

/* The name that a line defines: of a macro, a function, a type or a table. NULL: it may do anything. */
static const char *defined_name(const char *line, size_t *n)
{
    static const char define[] = "#define ";
    if (starts(line, define))
        return *n = strcspn(line + sizeof define - 1, " \t(\n"), line + sizeof define - 1;
    const char *end = line + strcspn(line, "(;[,=\n");
    for (*n = 0; end > line && is_word(end[-1]); ++*n)
        end--;
    return *n && strchr("(;[", end[*n]) && strncmp(end, "__attribute__", *n) != 0 ? end : NULL;
}

/* Whether a line may define or do something: not so in brackets, and behind #if and its kin. */
static bool is_definition(const char *s)
{
    static const char *const others[] = {" ",   "\n",  "{",      "}\n",  "/", "typedef struct {",
                                         "#if", "#el", "#endif", "#line"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (starts(s, others[i]))
            return false;
    return true;
}

/* Whether a paragraph must stay: one of its names is used in what stays already, or it does more than to
 * define names, or it is a comment. */
static bool is_needed(const paragraph *p, const paragraph *all, size_t n)
{
    int depth = 0;
    bool says = false, defines = false;
    for (const char *s = p->at; s < p->at + p->n; s = skip_one(s)) {
        depth -= *s == '}';
        if (depth == 0 && (s == p->at || s[-1] == '\n' || *s == '#') && is_definition(s)) {
            size_t length;
            const char *name = defined_name(s, &length);
            for (size_t i = 0; i < n; i++)
                if (!name || (all[i].kept && mentions(all[i].at, all[i].n, name, length)))
                    return true;
            defines = true;
        }
        says |= *s == '/' && !starts(s, "//@");
        depth += *s == '{';
    }
    return says && !defines;
}

/* The first kernel, or the macro that makes it; NULL: there is none. */
static const char *first_kernel(const char *text)
{
    static const char kernel[] = "__kernel";
    for (const char *s = text, *next; *s; s = next) {
        next = skip_one(s);
        const char *in_macro = *s == '#' ? strstr(s, kernel) : NULL;
        if (starts(s, kernel) || (in_macro && in_macro < next))
            return s;
    }
    return NULL;
}

/* Leaves only what the kernels reach. Lines about the plugin and numbers of lines go too. */
static void add_used(sp_text *t, const char *text)
{
    enum { MOST = 128 };
    paragraph all[MOST];
    size_t n = 0;
    const char *kernels = first_kernel(text), *s = text;
    while (n + 1 < MOST && kernels && s < kernels) {
        all[n] = read_paragraph(s, kernels);
        s += all[n++].n;
    }
    all[n++] = (paragraph){s, strlen(s), true};
    for (size_t i = 0; i < n; i++)
        if (!all[i].kept && is_needed(&all[i], all, n))
            all[i].kept = true, i = (size_t)-1; // what it uses must stay as well
    for (size_t i = 0; i < n; i++)
        for (const char *line = all[i].at, *end = line + all[i].n; all[i].kept && line < end;) {
            const size_t whole = strcspn(line, "\n") + 1, rest = (size_t)(end - line);
            const size_t length = whole < rest ? whole : rest; // a kernel may begin within a line
            if (!starts(line, "//@") && !starts(line, "#line"))
                sp_text_add(t, "%.*s", (int)length, line);
            line += length;
        }
}

/* "-DNAME=value -D..." as lines of #define. */
static void add_constants(sp_text *t, const char *options)
{
    for (const char *at = options; (at = strstr(at, "-D")) != NULL;) {
        at += 2;
        size_t name = strcspn(at, "= "), n = strcspn(at, " ");
        sp_text_add(t, "#define %.*s %.*s\n", (int)name, at, n > name ? (int)(n - name - 1) : 1,
                    n > name ? at + name + 1 : "1");
        at += n;
    }
}

static void add_shapes(sp_text *t, const sp_package *p, const sp_packed_program *g)
{
    for (size_t i = 0; i < p->n_calls; i++)
        if (strcmp(p->calls[i].key, g->key) == 0)
            sp_text_add(t, " * %s %s: work-items %s\n", p->calls[i].op, p->calls[i].shape, p->calls[i].work);
}

static sp_status write_source(const sp_package *p, sp_packed_program *g, const sp_package_options *o,
                              sp_error *err)
{
    static const char *const defines[] = {"", "#define SP_TARGET_INTEL_FPGA 1\n",
                                          "#define SP_TARGET_AMD_FPGA 1\n"};
    sp_text t = {0}, launched = {0};
    sp_text_add(&t, "/* Written by spikeport compile for %s: %s. Needs no other file; OpenCL C 1.2.\n",
                sp_target_name(p->target), g->variant);
    add_shapes(&t, p, g);
    sp_text_add(&t, " */\n%s", defines[p->target]);
    add_constants(&t, g->options);
    for (int i = 0; i < g->n_kernels; i++)
        sp_text_add(&t, "#define %s %s\n", g->kernels[i].function, g->kernels[i].name);
    sp_text_add(&t, "\n");
    add_kernels(&launched, g);
    if (!launched.failed && launched.s)
        add_used(&t, launched.s);
    t.failed |= launched.failed;
    sp_text_free(&launched);
    if (t.failed) {
        sp_text_free(&t);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", g->source);
    }
    sp_free(g->text);
    g->text = t.s;
    return sp_package_write_file(o->folder, g->source, t.s, t.n, err);
}

static sp_status write_binary(sp_device *dev, sp_packed_program *g, const sp_package_options *o,
                              uint64_t *total, sp_error *err)
{
    const sp_source piece = {g->source, g->text};
    unsigned char *bytes = NULL;
    size_t n = 0;
    cl_program program;
    SP_TRY(sp_program_get(dev, g->source, &piece, 1, NULL, &program, err));
    SP_TRY(sp_program_binary(dev, g->source, program, &bytes, &n, err));
    sp_status st = sp_package_write_file(o->folder, g->binary, bytes, n, err);
    char *sum = sp_format("%u %zu\n", sp_cksum(bytes, n), n), *path = sp_format("%s.cksum", g->binary);
    if (st == SP_OK)
        st = sum && path ? sp_package_write_file(o->folder, path, sum, strlen(sum), err)
                         : SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", g->binary);
    *total += n;
    sp_free(sum);
    sp_free(path);
    sp_free(bytes);
    return st;
}

sp_status sp_package_write(sp_package *p, sp_device *dev, const sp_package_options *o,
                           sp_package_totals *totals, sp_error *err)
{
    static const char *const images[] = {"", "spikeport.aocx", "spikeport.xclbin"};
    p->target = o->target;
    *totals = (sp_package_totals){.programs = p->n_programs, .calls = p->n_calls, .plans = p->n_plans};
    char *old = sp_format("%s/manifest.json", o->folder);
    if (old)
        remove(old); // until the new one is written, the folder counts as unfinished
    sp_free(old);
    for (size_t i = 0; i < p->n_programs; i++) {
        sp_packed_program *g = &p->programs[i];
        totals->kernels += (size_t)g->n_kernels;
        g->binary = o->target == SP_TARGET_OFFLINE ? sp_format("programs/%s.bin", g->kernels[0].name)
                                                   : sp_strdup(images[o->target]);
        if (!g->binary)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for a file name");
        SP_TRY(write_source(p, g, o, err));
        if (o->target == SP_TARGET_OFFLINE)
            SP_TRY(write_binary(dev, g, o, &totals->binary_bytes, err));
    }
    if (o->target != SP_TARGET_OFFLINE)
        SP_TRY(sp_package_write_scripts(p, o, err));
    return sp_package_save(p, dev, o, err);
}
