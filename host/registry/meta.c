/* Reads the `//@` lines of one file into variants or a fragment. Everything is checked here that can be
 * checked without a device, so that a typing error is a message with a line when the file is found, not a
 * surprise later. The keys themselves are in meta_keys.c; what must hold for a whole block is in
 * meta_block.c. */
#include "registry/meta.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "registry/meta_internal.h"

static sp_status unknown_key(sp_meta_reader *r, const char *name)
{
    const char *names[32];
    size_t n = 0;
    for (; n < (size_t)sp_meta_n_keys && n < 32; n++)
        names[n] = sp_meta_keys[n].name;
    const char *near = sp_suggest(name, names, n);
    return SP_META_FAIL(r, "unknown key \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
                        near ? near : "", near ? "\"?" : "");
}

/* The keys plugin and abi come first; the others need the block, pass or fragment that they belong to. */
static sp_status check_place(sp_meta_reader *r, int k)
{
    const char *name = sp_meta_keys[k].name;
    uint32_t bit = 1u << k;
    bool head = strcmp(name, "plugin") == 0 || strcmp(name, "abi") == 0;
    if (!head && (!r->out->plugin || !r->abi_seen))
        return SP_META_FAIL(r, "\"plugin: NAME VERSION\" and \"abi: %d\" must come before \"%s\"",
                            SP_META_ABI, name);
    int where = sp_meta_keys[k].where;
    if (where == SP_IN_BLOCK && !r->block)
        return SP_META_FAIL(r, "\"%s\" must come after an \"op:\" line", name);
    if (where == SP_IN_PASS && !r->pass)
        return SP_META_FAIL(r, "\"%s\" must come after a \"kernel:\" line", name);
    if (where == SP_IN_FRAGMENT && !r->out->fragment)
        return SP_META_FAIL(r, "\"%s\" must come after a \"fragment:\" line", name);
    if (where == SP_IN_ANY && !r->block && !r->out->fragment)
        return SP_META_FAIL(r, "\"%s\" must come after an \"op:\" or \"fragment:\" line", name);
    if (r->out->fragment && strcmp(name, "op") == 0)
        return SP_META_FAIL(r, "a fragment has a .cl file of its own, without op lines");
    uint32_t *seen = where == SP_IN_FILE   ? &r->file_seen
                     : where == SP_IN_PASS ? &r->pass_seen
                                           : &r->block_seen;
    if (!sp_meta_keys[k].repeats && (*seen & bit))
        return SP_META_FAIL(r, "\"%s\" is given twice", name);
    *seen |= bit;
    if (strcmp(name, "kernel") == 0)
        r->pass_seen = 0;
    return SP_OK;
}

sp_status sp_meta_read_key(sp_meta_reader *r, int key, char *value)
{
    const sp_meta_key *k = &sp_meta_keys[key];
    SP_TRY(k->read(r, value));
    const bool of_pass = k->where == SP_IN_PASS || strcmp(k->name, "kernel") == 0;
    *(of_pass ? &r->pass_lines[r->pass - r->block->passes][key] : &r->key_lines[key]) = r->line;
    return SP_OK;
}

static int line_of(const int *lines, const char *key)
{
    for (int k = 0; k < sp_meta_n_keys; k++)
        if (strcmp(sp_meta_keys[k].name, key) == 0)
            return lines[k];
    return 0;
}

int sp_meta_key_line(const sp_meta_reader *r, const char *key)
{
    return line_of(r->key_lines, key);
}

int sp_meta_pass_line(const sp_meta_reader *r, int p, const char *key)
{
    return line_of(r->pass_lines[p], key);
}

/* One "key: value" with the comment mark already taken off; text is changed. */
static sp_status read_line(sp_meta_reader *r, char *text)
{
    char *colon = strchr(text, ':');
    char *name = text + strspn(text, " \t");
    if (!colon)
        return SP_META_FAIL(r, "write it as \"//@ key: value\"");
    *colon = '\0';
    for (char *end = colon; end > name && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    for (char *end = value + strlen(value); end > value && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    for (int k = 0; k < sp_meta_n_keys; k++) {
        if (strcmp(sp_meta_keys[k].name, name) != 0)
            continue;
        if (*value == '\0')
            return SP_META_FAIL(r, "\"%s\" has no value", name);
        SP_TRY(check_place(r, k));
        return sp_meta_read_key(r, k, value);
    }
    return unknown_key(r, name);
}

/* What the lines of a file must come to; the file has none for what is missing from all of it. */
static sp_status check_file(sp_meta_reader *r)
{
    r->line = 1;
    if (!r->out->plugin || !r->abi_seen)
        return SP_META_FAIL(r,
                            "no \"//@ plugin: NAME VERSION\" and \"//@ abi: %d\" lines; see "
                            "docs/PLUGIN_HOWTO.md",
                            SP_META_ABI);
    r->line = r->n_alls ? r->alls[0].line : r->n_lets ? r->first_let_line : sp_meta_key_line(r, "plugin");
    if (r->out->fragment && (r->n_alls || r->n_lets))
        return SP_META_FAIL(r, "\"all:\" and \"let:\" are for files with \"op:\" lines, not for a fragment");
    r->line = sp_meta_key_line(r, "plugin");
    if (!r->out->n_variants && !r->out->fragment)
        return SP_META_FAIL(r, "neither an \"op:\" nor a \"fragment:\" line: the file declares nothing");
    return SP_OK;
}

static sp_status read_lines(sp_meta_reader *r)
{
    const char *at = r->text;
    for (r->line = 1; *at; r->line++) {
        size_t n = strcspn(at, "\n");
        const char *start = at + strspn(at, " \t");
        at += n + (at[n] == '\n');
        if (strncmp(start, "//@", 3) != 0)
            continue;
        char *copy = sp_strndup(start + 3, strcspn(start + 3, "\r\n"));
        if (!copy)
            return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
        sp_status st = read_line(r, copy);
        sp_free(copy);
        SP_TRY(st);
    }
    SP_TRY(sp_meta_finish_block(r));
    return check_file(r);
}

sp_status sp_meta_read(const char *path, const char *text, sp_origin origin, sp_meta *out, sp_error *err)
{
    memset(out, 0, sizeof *out);
    size_t n = strlen(path);
    sp_meta_reader r = {.path = path, .text = text, .origin = origin, .out = out, .err = err};
    r.is_meta = n > 5 && strcmp(path + n - 5, ".meta") == 0;
    sp_status st = read_lines(&r);
    sp_meta_shared_fini(&r);
    sp_variant_destroy(&r.block); // NULL unless a line failed in the middle of it
    if (st != SP_OK)
        sp_meta_fini(out);
    return st;
}

void sp_meta_fini(sp_meta *m)
{
    sp_free(m->plugin);
    sp_free(m->version);
    sp_free(m->includes);
    for (size_t i = 0; i < m->n_variants; i++)
        sp_variant_destroy(&m->variants[i]);
    sp_free(m->variants);
    sp_fragment_destroy(&m->fragment);
    memset(m, 0, sizeof *m);
}
