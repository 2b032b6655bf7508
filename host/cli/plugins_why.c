/* spikeport plugins why: every candidate for a call with what became of it. */
#include "cli/plugins.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"

enum { MAX_CANDIDATES = 64 };

static sp_status print_json(const sp_cli_plugins *o, const char *call, const sp_candidate *c)
{
    return sp_cli_json_line(
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:b, s:b, s:o}", "op", c->variant->op->id, "call", call,
                  "device", sp_cli_json_text(o->dev->info.name), "variant", c->variant->id, "plugin",
                  c->variant->plugin, "score", (json_int_t)c->variant->score, "chosen", c->chosen,
                  "applicable", c->applicable, "reason", sp_cli_json_text(c->reason)));
}

sp_status sp_cli_plugins_why(const sp_cli_plugins *o, sp_error *err)
{
    sp_op_call call;
    sp_candidate all[MAX_CANDIDATES];
    char text[512];
    bool chosen = false;
    SP_TRY(sp_cli_plugins_call(o, &call, err));
    sp_call_describe(&call, text, sizeof text);
    size_t n = sp_select_explain(o->reg, o->dev, &call, all, MAX_CANDIDATES);
    if (!o->json)
        printf("%s %s\non %s (%s)\n", call.op->id, text, o->dev->info.name,
               sp_device_type_name(o->dev->info.type));
    for (size_t i = 0; i < n; i++) {
        chosen |= all[i].chosen;
        if (o->json)
            SP_TRY(print_json(o, text, &all[i]));
        else
            printf("%c %-44s score %3" PRId64 "  %s\n", all[i].chosen ? '*' : ' ', all[i].variant->id,
                   all[i].variant->score, all[i].reason);
    }
    return chosen ? SP_OK
                  : SP_FAIL(err, SP_E_BUILD, "no variant of %s fits this call on this device", call.op->id);
}
