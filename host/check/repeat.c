/* What a failed check says: which variant, why, and the command that repeats it, within the room of an error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/paths.h"
#include "check/case.h"

enum {
    MOST_OF_A_LINE = 480, /* of the reason's first line, if the command would not fit beside it */
    FOR_OTHERS = 64       /* what callers may put in front of it all */
};

void sp_check_describe_whole(const sp_op_call *call, char *out, size_t size)
{
    sp_check_describe(call, out, size);
    for (int i = 0; i < SP_OP_MAX_FLOATS && call->op->floats[i]; i++) {
        const size_t used = strlen(out);
        char value[32];
        snprintf(value, sizeof value, "%g", call->floats[i]);
        if ((float)strtod(value, NULL) != (float)call->floats[i])
            snprintf(value, sizeof value, "%.9g", call->floats[i]);
        snprintf(out + used, size - used, " %s=%s", call->op->floats[i], value);
    }
}

/* The command for this call alone, or a shorter one for all calls of the variant or its file; both can be
 * pasted. NULL when memory is out. */
static char *command(const sp_check_repeat *r, bool whole)
{
    const sp_variant *v = r->variant;
    char *path = v->origin == SP_ORIGIN_OUTSIDE ? sp_path_quote(v->path) : NULL;
    sp_text t = {.failed = v->origin == SP_ORIGIN_OUTSIDE && !path};
    if (whole) {
        char shape[512];
        sp_check_describe_whole(r->call, shape, sizeof shape);
        sp_text_add(&t, ". Repeat with `spikeport plugins check %s --shape \"%s\"%s%s", v->op->id, shape,
                    path ? " --plugins " : "", path ? path : "");
    } else {
        sp_text_add(&t, ". Repeat with `spikeport plugins check --full %s", path ? path : v->id);
    }
    if (r->dev->is_named)
        sp_text_add(&t, " --device %d", r->dev->info.index);
    for (int i = 0; whole && r->tunes && i < v->n_tunes; i++)
        sp_text_add(&t, " --tune %s=%" PRId64, v->tunes[i].name, r->tunes[i]);
    sp_text_add(&t, " --seed %" PRIu64 "`", r->seed);
    sp_free(path);
    if (t.failed)
        sp_text_free(&t);
    return t.s;
}

/* Cuts a reason to `room`, at the end of a line where that leaves the first one. */
static void cut(char *text, size_t room)
{
    if (strlen(text) <= room)
        return;
    text[room - 3] = '\0';
    char *line = strrchr(text, '\n');
    memcpy(line ? line : text + room - 3, "...", 4);
}

sp_status sp_check_blame(const sp_check_repeat *r, sp_status status, sp_error *err)
{
    if (!err)
        return status;
    const sp_variant *v = r->variant;
    sp_error why = *err;
    char head[192];
    const size_t room = sizeof err->text - 1 - FOR_OTHERS;
    const size_t id = strlen(v->id);
    const bool named = strncmp(why.text, v->id, id) == 0 && why.text[id] == ' '; /* "<variant> does not" */
    char *reason = why.text + (named ? id + 1 : 0);
    snprintf(head, sizeof head, "%s for %s%s", v->id, v->op->id, named ? " " : ": ");
    const size_t line = strcspn(reason, "\n"), least = line < MOST_OF_A_LINE ? line : MOST_OF_A_LINE;
    char *repeat = command(r, true);
    for (int whole = 1; repeat && strlen(head) + least + strlen(repeat) + 3 > room; whole--) {
        sp_free(repeat);
        repeat = whole ? command(r, false) : NULL;
    }
    cut(reason, room - strlen(head) - (repeat ? strlen(repeat) : 0));
    const size_t end = strlen(reason);
    const bool ends = end && strchr(".?", reason[end - 1]);
    sp_error_set(err, status, why.cl_code, why.file, why.line, "%s%s%s", head, reason,
                 repeat ? repeat + (ends ? 1 : 0) : "");
    sp_free(repeat);
    return status;
}
