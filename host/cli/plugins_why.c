/* spikeport plugins why: every candidate for a call with what became of it. */
#include "cli/plugins.h"

#include <stdio.h>

#include "base/error.h"
#include "cli/table.h"

enum { MAX_CANDIDATES = 64 };

sp_status sp_cli_plugins_why(const sp_cli_plugins *o, sp_error *err)
{
    static const sp_column columns[] = {{.key = "chosen", .head = "", .width = 1},
                                        {.key = "variant", .head = "variant", .width = -44},
                                        {.key = "score", .head = "score", .width = 5},
                                        {.key = "reason", .head = "reason"}};
    enum { N = sizeof columns / sizeof *columns };
    sp_op_call call;
    sp_candidate all[MAX_CANDIDATES];
    char text[512];
    bool chosen = false;
    SP_TRY(sp_cli_plugins_call(o, &call, err));
    sp_call_describe(&call, text, sizeof text);
    size_t n = sp_select_explain(o->reg, o->dev, &call, all, MAX_CANDIDATES);
    if (!o->json) {
        printf("%s %s\non %s (%s)\n", call.op->id, text, o->dev->info.name,
               sp_device_type_name(o->dev->info.type));
        sp_table_print_head(columns, N);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_variant *v = all[i].variant;
        chosen |= all[i].chosen;
        SP_TRY(sp_table_print(columns, N,
                              json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:b, s:b, s:o}", "op", v->op->id,
                                        "call", text, "device", sp_cli_json_text(o->dev->info.name),
                                        "variant", v->id, "plugin", v->plugin, "score", (json_int_t)v->score,
                                        "chosen", all[i].chosen, "applicable", all[i].applicable, "reason",
                                        sp_cli_json_text(all[i].reason)),
                              o->json));
    }
    return chosen ? SP_OK
                  : SP_FAIL(err, SP_E_BUILD, "no variant of %s fits this call on this device", call.op->id);
}
