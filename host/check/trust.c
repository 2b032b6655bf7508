/* Trust: a variant that no person vouches for on this device is checked before it is chosen, once per device,
 * driver and source. Results are kept in conformance.jsonl of the user's cache folder and in the process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/case.h"
#include "check/helper.h"
#include "registry/wisdom.h"

enum { CHECK_REVISION = 3 }; /* raised when the check finds more than it did: old results no longer count */
enum { LOST_TRIES = 3 };     /* processes in which a compiler has missed files before that counts */

typedef struct verdict {
    char *key;
    char *reason; /* NULL: conforms */
    int cl_code;  /* of the failure, 0: none */
    int lost;     /* processes in which the compiler missed files, which may pass; 0: not the reason */
    struct verdict *next;
} verdict;

/* Known to the process, the file's included. Kept until exit: a plan may be made at any time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static verdict *known;
static bool file_read, file_warned;

static void warn_once(const char *path)
{
    if (!file_warned)
        sp_log(SP_LOG_WARNING,
               "%s: %s; conformance results are not remembered, every run checks again (set "
               "SPIKEPORT_CACHE_DIR to a folder that can be written)",
               path, strerror(errno));
    file_warned = true;
}

static const verdict *find(const char *key)
{
    for (const verdict *v = known; v; v = v->next)
        if (strcmp(v->key, key) == 0 && (v->lost == 0 || v->lost >= LOST_TRIES))
            return v;
    return NULL;
}

static int times_lost(const char *key)
{
    int most = 0;
    for (const verdict *v = known; v; v = v->next)
        if (v->lost > most && strcmp(v->key, key) == 0)
            most = v->lost;
    return most;
}

static const verdict *remember(const char *key, const char *reason, int cl_code, int lost)
{
    verdict *v = sp_alloc(sizeof *v);
    char *k = sp_strdup(key), *r = reason ? sp_strdup(reason) : NULL;
    if (!v || !k || (reason && !r)) {
        sp_free(v);
        sp_free(k);
        sp_free(r);
        return NULL;
    }
    *v = (verdict){k, r, cl_code, lost, known};
    known = v;
    return v;
}

/* What has been added to it since the last time. What is not an entry is skipped, those of other versions
 * among them. */
static void read_file(void)
{
    static long end;
    file_read = true;
    sp_lines lines = {0};
    char *folder = sp_cache_folder(), *path = folder ? sp_format("%s/conformance.jsonl", folder) : NULL;
    if (path)
        lines.f = sp_cache_open(path);
    if (lines.f && fseek(lines.f, end, SEEK_SET) != 0)
        end = 0;
    for (json_t *row; (row = sp_lines_json(&lines)) != NULL; json_decref(row)) {
        const char *key = json_string_value(json_object_get(row, "key"));
        const char *result = json_string_value(json_object_get(row, "result"));
        const char *lost = json_string_value(json_object_get(row, "lost"));
        const char *reason = result && strcmp(result, "ok") == 0 ? NULL : result ? result : lost;
        if (key && (result || lost))
            remember(key, reason, (int)json_integer_value(json_object_get(row, "cl_code")),
                     result ? 0 : times_lost(key) + 1);
    }
    if (lines.f)
        end = ftell(lines.f);
    sp_lines_close(&lines);
    sp_free(path);
    sp_free(folder);
}

/* Nothing is known about this kernel: unless the helper has found out meanwhile, it has to be checked. */
static const verdict *find_again(const sp_device *dev, const char *key)
{
    sp_helper_go_on();
    if (!sp_helper_wake(dev))
        return NULL;
    read_file();
    return find(key);
}

/* One write of one line to a file opened for appending: lines of two processes do not mix. */
static void append_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
    size_t n = strlen(line);
    if (fd < 0 || write(fd, line, n) != (ssize_t)n)
        warn_once(path);
    if (fd >= 0)
        close(fd);
}

static void write_verdict(const char *key, const char *reason, int cl_code, bool lost)
{
    char *folder = sp_cache_folder(), *path = folder ? sp_format("%s/conformance.jsonl", folder) : NULL;
    json_t *row = json_pack("{s:s, s:s}", "key", key, lost ? "lost" : "result", reason ? reason : "ok");
    if (row && cl_code)
        json_object_set_new(row, "cl_code", json_integer(cl_code));
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
    char *line = text ? sp_format("%s\n", text) : NULL;
    if (path && line) {
        sp_folder_make(folder, 0700, NULL); /* what fails shows when the file is opened */
        append_line(path, line);
    }
    sp_free(line);
    free(text);
    json_decref(row);
    sp_free(path);
    sp_free(folder);
}

static char *make_key(const sp_device *dev, const sp_variant *v, const char *shape)
{
    sp_text t = {0};
    sp_text_add(&t, "%d|%s|%s|%s %s|%016" PRIx64 "|%s|%s", CHECK_REVISION, dev->info.name, dev->info.driver,
                v->id, v->version, sp_variant_hash(v), v->op->id, shape);
    for (int i = 0; i < v->n_tunes;
         i++) /* the defaults: smaller ones take their place where groups are too large */
        sp_text_add(&t, "%c%s=%" PRId64, i ? ' ' : '|', v->tunes[i].name, v->tunes[i].values[0]);
    char *key = t.failed ? NULL : sp_strdup(t.s);
    sp_text_free(&t);
    return key;
}

/* Keeps what will be the same next time: a failed allocation or a lost device is not. That files of the
 * compiler were missing (SP_E_IO) counts in this process, and in others once it was so in several. *out is
 * NULL when memory is out, and after a failure in a program that is about to end. */
static sp_status conclude(const char *key, sp_status st, sp_error *why, const verdict **out)
{
    *out = NULL;
    if (st != SP_OK && sp_interrupted())
        return SP_E_INTERRUPTED;
    *out = remember(key, st == SP_OK ? NULL : why->text, why->cl_code, 0);
    const bool lost = st == SP_E_IO;
    bool lasts = st == SP_OK || st == SP_E_MISMATCH || st == SP_E_BUILD || st == SP_E_PLUGIN || lost;
    if (lasts && (st == SP_OK || !sp_cl_error_is_passing(why->cl_code)))
        write_verdict(key, st == SP_OK ? NULL : why->text, why->cl_code, lost);
    return st;
}

static sp_status answer(const verdict *v, sp_error *err)
{
    if (!v->reason)
        return SP_OK;
    return sp_error_set(err, SP_E_PLUGIN, v->cl_code, __FILE__, __LINE__, "%s", v->reason);
}

static sp_status no_verdict(const char *name, sp_error *err)
{
    if (sp_interrupted())
        return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted while %s was checked", name);
    return SP_FAIL(err, SP_E_MEMORY, "out of memory while checking %s", name);
}

/* One call, of fewer samples than the actual one where that is too large for the C reference. */
static sp_status trust_call(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                            const int64_t *tunes, sp_error *err)
{
    enum { SEED = 1 };
    char shape[768];
    sp_check_describe(call, shape, sizeof shape);
    for (int i = 0; tunes && i < v->n_tunes; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, " %s=%" PRId64, v->tunes[i].name, tunes[i]);
    }
    char *key = make_key(dev, v, shape);
    if (!key)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while checking %s", v->id);
    const verdict *result = find(key);
    if (!result)
        result = find_again(dev, key);
    if (!result) {
        sp_error why = {0};
        sp_check_report report = {0};
        sp_log(SP_LOG_INFO, "checking %s for %s on %s (once per device and driver)", v->id, shape,
               dev->info.name);
        conclude(key, sp_check_call(reg, dev, v, call, tunes, SEED, &report, &why), &why, &result);
    }
    sp_free(key);
    return result ? answer(result, err) : no_verdict(v->id, err);
}

/* What the quick shapes are checked with: the call's flags and fragments, as a part of the key. */
static char *setting_of(const sp_registry *reg, const sp_op_call *call)
{
    sp_text t = {0};
    for (int i = 0; i < SP_OP_MAX_FLAGS && call->op->flags[i]; i++)
        if (call->flags[i])
            sp_text_add(&t, " %s", call->op->flags[i]);
    const char *names[] = {call->neuron, call->surrogate};
    for (int i = 0; i < 2; i++) {
        const sp_fragment *f =
            names[i] ? sp_fragment_find(reg, i ? SP_FRAGMENT_SURROGATE : SP_FRAGMENT_NEURON, names[i]) : NULL;
        if (names[i])
            sp_text_add(&t, " %s %016" PRIx64, names[i], f ? sp_fragment_hash(f) : 0);
    }
    char *setting = t.failed ? NULL : sp_strdup(t.s ? t.s : "");
    sp_text_free(&t);
    return setting;
}

/* Keys of a variant's verdicts: with the call's setting, that some setting has passed every quick shape, that
 * none fits. */
typedef struct keys {
    char *setting, *passed, *none;
} keys;

static bool keys_make(keys *k, const sp_registry *reg, const sp_device *dev, const sp_variant *v,
                      const sp_op_call *call)
{
    char *setting = setting_of(reg, call), *quick = setting ? sp_format("quick%s", setting) : NULL;
    char *none = setting ? sp_format("quick fits none%s", setting) : NULL;
    *k = (keys){quick ? make_key(dev, v, quick) : NULL, make_key(dev, v, "passed"),
                none ? make_key(dev, v, none) : NULL};
    sp_free(setting);
    sp_free(quick);
    sp_free(none);
    return k->setting && k->passed && k->none;
}

/* Runs the quick shapes with the call's setting: all of them the first time that the variant is met, few for
 * its further settings, which differ by flags of the same source. */
static const verdict *check_setting(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                                    const keys *k)
{
    sp_check_options options = {.quick = true, .seed = 1, .like = call, .few = find(k->passed) != NULL};
    options.few |= v->origin == SP_ORIGIN_REFERENCE;
    const verdict *result = NULL, *passed;
    sp_check_report report;
    sp_error why = {0};
    sp_log(SP_LOG_INFO, "checking %s for %s on %s (once per device and driver)", v->id, v->op->id,
           dev->info.name);
    sp_status checked = sp_check_variant(reg, dev, v, &options, &report, &why);
    if (checked == SP_OK && !report.shapes_run && options.few) {
        options.few = false;
        checked = sp_check_variant(reg, dev, v, &options, &report, &why);
    }
    if (checked == SP_OK && !report.shapes_run) {
        conclude(k->none, checked, &why, &passed);
        return NULL;
    }
    conclude(k->setting, checked, &why, &result);
    if (checked == SP_OK && !options.few)
        conclude(k->passed, checked, &why, &passed);
    return result;
}

/* The quick shapes with the call's setting; the call itself, of fewer samples, for a variant that none of
 * them fits. */
static sp_status trust_quick(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                             sp_error *err)
{
    keys k;
    sp_status st;
    if (keys_make(&k, reg, dev, v, call)) {
        const sp_op_call small = sp_check_shrink(v, dev, call, NULL);
        const verdict *result = find(k.setting);
        if (!result && !find(k.none))
            result = find_again(dev, k.setting);
        if (!result && !find(k.none))
            result = check_setting(reg, dev, v, call, &k);
        st = result             ? answer(result, err)
             : sp_interrupted() ? no_verdict(v->id, err)
                                : trust_call(reg, dev, v, &small, NULL, err);
    } else {
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory while checking %s", v->id);
    }
    sp_free(k.setting);
    sp_free(k.passed);
    sp_free(k.none);
    return st;
}

/* Where the first size is baked too, none of the quick shapes is compiled to the program that the run needs,
 * and a compiler may fail on that one alone. So the call at hand is compared as well. */
static sp_status trust_baked(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                             sp_error *err)
{
    sp_op_call tried;
    return sp_check_call_at_hand(v, dev, call, &tried) ? trust_call(reg, dev, v, &tried, NULL, err) : SP_OK;
}

static sp_status trust_locked(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                              sp_error *err)
{
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    sp_op_call few;
    SP_TRY(sp_check_few_samples(v, dev, call, &few) ? trust_call(reg, dev, v, &few, NULL, err)
                                                    : trust_quick(reg, dev, v, call, err));
    SP_TRY(trust_baked(reg, dev, v, call, err));
    if (!sp_wisdom_tunes(reg, v, call, tunes))
        return SP_OK;
    few = sp_check_shrink(v, dev, call, tunes);
    return trust_call(reg, dev, v, &few, tunes, err);
}

/* A reference kernel is what the others are compared with, but a device may compute nothing at all: one of a
 * family is compared with C where no variant of the family has passed in this process. */
static sp_status trust_family(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                              sp_error *err)
{
    char family[64];
    sp_op_family(v->op, family, sizeof family);
    char *key =
        sp_format("family|%s|%s|%.*s", dev->info.name, dev->info.driver, (int)strcspn(family, "."), family);
    if (!key)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while checking %s", v->id);
    const bool vouched = find(key) != NULL;
    sp_status st = v->origin == SP_ORIGIN_REFERENCE && vouched ? SP_OK : trust_locked(reg, dev, v, call, err);
    if (st == SP_OK && !vouched && !v->approximate && !v->bf16)
        remember(key, NULL, 0, 0);
    sp_free(key);
    return st;
}

static void start(void)
{
    pthread_mutex_lock(&lock);
    if (!file_read)
        read_file();
}

sp_status sp_check_trust(void *ctx, sp_device *dev, sp_variant *v, const sp_op_call *call, sp_error *err)
{
    if (v->kind == SP_VARIANT_LOWER)
        return SP_OK; /* no code of its own */
    const sp_op_call own = sp_variant_call(v, call);
    start();
    sp_status st = trust_family(ctx, dev, v, &own, err);
    pthread_mutex_unlock(&lock);
    return st;
}

sp_status sp_check_trust_fragment(void *ctx, sp_device *dev, sp_fragment *f, sp_error *err)
{
    char *key = sp_format("%d|%s|%s|fragment %d %s %s|%016" PRIx64, CHECK_REVISION, dev->info.name,
                          dev->info.driver, f->kind, f->name, f->version, sp_fragment_hash(f));
    start();
    const verdict *result = key ? find(key) : NULL;
    if (key && !result)
        result = find_again(dev, key);
    if (key && !result) {
        sp_error why = {0};
        sp_log(SP_LOG_INFO, "checking %s on %s (once per device and driver)", f->name, dev->info.name);
        conclude(key, sp_check_fragment(ctx, dev, f, NULL, &why), &why, &result);
    }
    pthread_mutex_unlock(&lock);
    sp_free(key);
    return result ? answer(result, err) : no_verdict(f->name, err);
}

void sp_check_install(sp_registry *reg)
{
    reg->trust = sp_check_trust;
    reg->trust_fragment = sp_check_trust_fragment;
    reg->trust_ctx = reg;
}
