/* Names, sentences and exit codes of sp_status, all from SP_STATUS_MAP. */
#include "spikeport/status.h"

#include <stddef.h>

typedef struct row {
    sp_status status;
    int exit_code;
    const char *name, *text;
} row;

static const row rows[] = {
#define SP_STATUS_ROW(name, value, exit_code, text) {(value), (exit_code), "SP_" #name, (text)},
    SP_STATUS_MAP(SP_STATUS_ROW)
#undef SP_STATUS_ROW
};

static const row *find(sp_status status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return &rows[i];
    return NULL;
}

const char *sp_status_name(sp_status status)
{
    const row *r = find(status);
    return r ? r->name : "SP_E_UNKNOWN";
}

const char *sp_status_text(sp_status status)
{
    const row *r = find(status);
    return r ? r->text : "unknown status";
}

int sp_status_exit_code(sp_status status)
{
    const row *r = find(status);
    return r ? r->exit_code : 1;
}
