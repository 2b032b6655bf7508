/* Programs: pieces of source put together with #line markers, built once per device and options, kept until
 * the device is closed. cache.c keeps them on disk where the driver does not; elsewhere no binary is ever
 * asked for (on PoCL the question alone compiles all). */
#include "cl/internal.h"
#include "cl/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

enum { LOG_LINES = 15, MOST_TRIES = 3 };

typedef struct entry {
    uint64_t hash; // of the text's length and the options, to compare less
    char *text, *options;
    char *head; // what the driver is given in front of the text, NULL: nothing
    cl_program program;
} entry;

struct sp_program_table {
    entry *items;
    size_t n;
};

void sp_program_table_free(struct sp_program_table **table)
{
    struct sp_program_table *t = *table;
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        clReleaseProgram(t->items[i].program);
        sp_free(t->items[i].text);
        sp_free(t->items[i].options);
        sp_free(t->items[i].head);
    }
    sp_free(t->items);
    sp_free(t);
    *table = NULL;
}

void sp_source_add(sp_text *t, const char *name, const char *text)
{
    char plain[256]; // quotes and backslashes of a name would end the marker early
    snprintf(plain, sizeof plain, "%s", name);
    for (char *c = plain; *c; c++)
        if (*c == '"' || *c == '\\' || *c == '\n')
            *c = '/';
    sp_text_add(t, "#line 1 \"%s\"\n", plain);
    sp_text_append(t, text, strlen(text));
    sp_text_append(t, "\n", 1);
}

/* The text the compiler sees. */
static char *assemble(const sp_source *pieces, size_t n_pieces)
{
    sp_text t = {0};
    for (size_t i = 0; i < n_pieces; i++)
        sp_source_add(&t, pieces[i].name, pieces[i].text);
    if (t.failed || !t.s) {
        sp_text_free(&t);
        return NULL;
    }
    return t.s;
}

/* Some compilers ignore #line; then tell where each piece begins in the whole text. */
static void add_map(sp_text *t, const sp_source *pieces, size_t n_pieces)
{
    size_t line = 1;
    sp_text_add(t, "\n(line numbers count through all pieces:");
    for (size_t i = 0; i < n_pieces; i++) {
        sp_text_add(t, "%s %s from %zu", i ? "," : "", pieces[i].name, line + 1);
        line += 2;
        for (const char *c = pieces[i].text; *c; c++)
            line += *c == '\n';
    }
    sp_text_add(t, ")");
}

/* Start of the line of the first error, so that warnings in front of it do not use up the room. */
static const char *first_error(const char *log)
{
    const char *line = log;
    while (*line) {
        size_t n = strcspn(line, "\n");
        for (size_t i = 0; i + 5 <= n; i++)
            if (strncasecmp(line + i, "error", 5) == 0)
                return line;
        line += n + (line[n] == '\n');
    }
    return log;
}

static char *read_log(cl_program program, cl_device_id id)
{
    size_t bytes = 0;
    if (clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) != CL_SUCCESS)
        bytes = 0;
    char *log = sp_alloc(bytes + 1);
    if (log && bytes &&
        clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) != CL_SUCCESS)
        log[0] = '\0';
    return log;
}

/* A compiler from which its own files were taken, as LLVM's handler of signals does, says nothing of the
 * source: SP_E_IO, which is not held against a kernel until it has happened several times. */
static bool has_lost_files(const char *log)
{
    return log && strstr(log, strerror(ENOENT)) != NULL;
}

/* The compiler's lines from the first error on, whose own line comes first in what is said: what is cut later
 * is cut behind it. */
static void add_reason(sp_text *t, const char *log, const char *code, const char *device,
                       const sp_source *pieces, size_t n_pieces)
{
    const char *from = first_error(log), *to = from;
    bool marked = false;
    for (int i = 0; i < LOG_LINES && *to; i++)
        to += strcspn(to, "\n") + (to[strcspn(to, "\n")] == '\n');
    for (size_t i = 0; i < n_pieces; i++)
        marked = marked || strstr(log, pieces[i].name);
    while (to > from && (to[-1] == '\n' || to[-1] == ' '))
        to--;
    const size_t all = (size_t)(to - from), line = strcspn(from, "\n") < all ? strcspn(from, "\n") : all;
    sp_text_add(t, "%.*s (%s on \"%.80s\")%.*s", (int)line, from, code, device, (int)(all - line),
                from + line);
    if (!marked)
        add_map(t, pieces, n_pieces);
}

static sp_status build_failed(sp_device *dev, cl_program program, cl_int code, const char *label,
                              const sp_source *pieces, size_t n_pieces, const char *options, sp_error *err)
{
    if (code == CL_COMPILER_NOT_AVAILABLE)
        return sp_error_set(err, SP_E_BUILD, code, __FILE__, __LINE__,
                            "%s: \"%s\" has no compiler for kernel sources; choose another device", label,
                            dev->info.name);
    char *log = read_log(program, dev->info.device_id);
    sp_text t = {0};
    if (log && *log) {
        sp_log(SP_LOG_DEBUG, "build log of %s:\n%s", label, log);
        add_reason(&t, log, sp_cl_error_name(code), dev->info.name, pieces, n_pieces);
    } else {
        sp_text_add(&t, "%s on \"%.80s\"; the compiler left no log; options were %s", sp_cl_error_name(code),
                    dev->info.name, options);
    }
    char *obstacle = sp_file_obstacle();
    sp_status st = sp_error_set(err, has_lost_files(log) ? SP_E_IO : SP_E_BUILD, code, __FILE__, __LINE__,
                                "%s does not build%s%s: %s", label, obstacle ? "; perhaps because " : "",
                                obstacle ? obstacle : "", t.s ? t.s : "");
    sp_free(obstacle);
    sp_text_free(&t);
    sp_free(log);
    return st;
}

static sp_status reserve(sp_device *dev, sp_error *err)
{
    struct sp_program_table *t = dev->programs;
    if (!t && !(t = dev->programs = sp_alloc(sizeof *t)))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the table of programs");
    return sp_array_push(&t->items, t->n, sizeof *t->items)
               ? SP_OK
               : SP_FAIL(err, SP_E_MEMORY, "out of memory for the table of programs");
}

/* SP_OK: the compiler answered, with *code, and the program is the caller's. */
static sp_status compile_text(sp_device *dev, const char *label, const char *head, const char *text,
                              const char *options, cl_program *out, cl_int *code, sp_error *err)
{
    const char *both[] = {head, text};
    *out = clCreateProgramWithSource(dev->context, head ? 2 : 1, head ? both : &text, NULL, code);
    if (*code != CL_SUCCESS)
        return SP_FAIL_CL(err, *code, "%s: no program object: %s", label, sp_cl_error_name(*code));
    return sp_build_program(dev, *out, options, label, code, err);
}

/* Where the driver would read the declarations of all built-in functions, those that the source uses are put
 * in front of it instead. With them anything but success says nothing of the source. */
static sp_status compile(sp_device *dev, const char *label, const entry *e, cl_program *out, cl_int *code,
                         sp_error *err)
{
    if (e->head && e->head[0]) {
        char *options = sp_format("%s " SP_BUILTINS_ARE_DECLARED, e->options);
        sp_status st = options ? compile_text(dev, label, e->head, e->text, options, out, code, err)
                               : SP_FAIL(err, SP_E_MEMORY, "out of memory for the source of %s", label);
        sp_free(options);
        if (st != SP_OK || *code == CL_SUCCESS)
            return st;
        clReleaseProgram(*out);
        dev->n_reread++;
        sp_log(SP_LOG_DEBUG, "%s is built again, with the driver's declarations of all functions", label);
    }
    return compile_text(dev, label, NULL, e->text, e->options, out, code, err);
}

static sp_status build(sp_device *dev, const char *label, const sp_source *pieces, size_t n_pieces,
                       const entry *e, cl_program *out, sp_error *err)
{
    cl_int code;
    const char *text = e->text, *refuse = sp_setting("SPIKEPORT_REFUSE_SOURCES");
    bool kept = !dev->options.binaries_only && !dev->compiler_hangs && sp_cache_wanted(dev);
    if (kept && (*out = sp_cache_load(dev, label, text, e->options)) != NULL)
        return SP_OK;
    if (dev->options.binaries_only || (refuse && strcmp(refuse, "1") == 0))
        return sp_error_set(err, SP_E_BUILD, CL_COMPILER_NOT_AVAILABLE, __FILE__, __LINE__,
                            "%s: a program would be built from source, but %s", label,
                            dev->options.binaries_only ? "this run is from binaries alone (--programs)"
                                                       : "SPIKEPORT_REFUSE_SOURCES=1 forbids it");
    if (dev->compiler_hangs)
        return SP_FAIL(err, SP_E_BUILD, "%s is not built: the compiler of \"%s\" hangs", label,
                       dev->info.name);
    cl_program program = NULL;
    for (int tries = 1;; tries++) {
        SP_TRY(compile(dev, label, e, &program, &code, err));
        if (code == CL_SUCCESS)
            break;
        sp_status st = build_failed(dev, program, code, label, pieces, n_pieces, e->options, err);
        clReleaseProgram(program);
        if (st != SP_E_IO || tries == MOST_TRIES)
            return st;
        sp_log(SP_LOG_DEBUG, "%s is built again: its compiler missed files", label);
    }
    dev->n_builds++;
    if (kept)
        sp_cache_store(dev, program, text, e->options);
    *out = program;
    return SP_OK;
}

static const entry *find(const struct sp_program_table *t, const entry *wanted)
{
    for (size_t i = 0; t && i < t->n; i++)
        if (t->items[i].hash == wanted->hash && strcmp(t->items[i].text, wanted->text) == 0 &&
            strcmp(t->items[i].options, wanted->options) == 0)
            return &t->items[i];
    return NULL;
}

/* Declarations for a text; many programs differ in their options alone. */
static sp_status find_head(const sp_device *dev, const char *label, entry *e, sp_error *err)
{
    const struct sp_program_table *t = dev->programs;
    size_t same = 0;
    if (!(dev->info.quirks & SP_QUIRK_READS_ALL_BUILTINS))
        return SP_OK;
    while (same < t->n && (!t->items[same].head || strcmp(t->items[same].text, e->text) != 0))
        same++;
    e->head = same < t->n ? sp_strdup(t->items[same].head) : sp_builtins_declare(&dev->info, e->text);
    return e->head ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the source of %s", label);
}

sp_status sp_program_get(sp_device *dev, const char *label, const sp_source *pieces, size_t n_pieces,
                         const char *options, cl_program *out, sp_error *err)
{
    entry e = {.text = assemble(pieces, n_pieces),
               .options = sp_format("-cl-std=CL1.2 -cl-kernel-arg-info%s%s", options && *options ? " " : "",
                                    options ? options : "")};
    sp_status st = SP_OK;
    if (!e.text || !e.options) {
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the source of %s", label);
        goto done;
    }
    const size_t length = strlen(e.text);
    e.hash = sp_hash_text(sp_hash(SP_HASH_START, &length, sizeof length), e.options);
    const entry *known = find(dev->programs, &e);
    if (known) {
        *out = known->program;
        goto done;
    }
    SP_TRY_GOTO(reserve(dev, err));
    SP_TRY_GOTO(find_head(dev, label, &e, err));
    SP_TRY_GOTO(build(dev, label, pieces, n_pieces, &e, &e.program, err));
    dev->programs->items[dev->programs->n++] = e;
    *out = e.program;
    return SP_OK; // the texts belong to the table now
done:
    sp_free(e.text);
    sp_free(e.head);
    sp_free(e.options);
    return st;
}
