/* Wisdom: which variant, with which values of its tunables, was measured to be the fastest for a call on a
 * device. One JSON Lines file for each device and driver in the user's cache folder, written by `spikeport
 * tune`; shared ones come from folders with an index.json. An entry counts only while the source of the
 * variant it names is the same. */
#ifndef SP_REGISTRY_WISDOM_H
#define SP_REGISTRY_WISDOM_H

#include "registry/registry.h"

/* One candidate that was looked at. */
typedef struct sp_wisdom_row {
    char variant[96], version[24];
    uint64_t hash;
    int n_tunes;
    struct {
        char name[32];
        int64_t value;
    } tunes[SP_VARIANT_MAX_TUNES];
    double ms;        /* of one launch; 0: not timed, then: */
    char reason[192]; /* why not */
} sp_wisdom_row;

typedef struct sp_wisdom_entry {
    char device[256], driver[128], op[64], call[512];
    char date[16];  /* 2026-11-23 */
    double density; /* of the spikes it was measured with */
    sp_wisdom_row *rows;
    int n_rows;
    int best, baseline; /* rows: the fastest, and what the score chooses; -1 none */
    bool own;           /* from the user's file, not a shared one */
    bool said_stale;
} sp_wisdom_entry;

typedef struct sp_wisdom {
    sp_wisdom_entry **entries; /* of one device, shared ones first: the last that fits counts */
    size_t n;
    char *path; /* the user's file; NULL where there is no cache folder */
    sp_registry *reg;
} sp_wisdom;

sp_wisdom_entry *sp_wisdom_entry_new(const sp_device *dev, const sp_op_call *call);
void sp_wisdom_entry_free(sp_wisdom_entry **e);
/* Adds a row and returns it; NULL when memory is out. tune_values NULL: the defaults. */
sp_wisdom_row *sp_wisdom_add_row(sp_wisdom_entry *e, const sp_variant *v, const int64_t *tune_values);

/* Reads what there is for dev into reg->wisdom: SPIKEPORT_WISDOM_PATH's folders, those that come with the
 * program, the user's own file. Whatever is wrong in a file is a warning with its line. Fails only when
 * memory runs out. [setup] */
sp_status sp_wisdom_open(sp_registry *reg, const sp_device *dev, sp_error *err);
void sp_wisdom_close(sp_wisdom **w);

/* The entry for a call, stale or not; NULL none. */
sp_wisdom_entry *sp_wisdom_find(const sp_registry *reg, const sp_op_call *call);
/* The row of e for v with these values; NULL none. */
const sp_wisdom_row *sp_wisdom_row_of(const sp_wisdom_entry *e, const sp_variant *v,
                                      const int64_t *tune_values);
/* The variant and values that e names, as they are now: false when the variant is gone or its source is
 * another. */
bool sp_wisdom_resolve(const sp_registry *reg, const sp_wisdom_entry *e, const sp_op *op, sp_variant **v,
                       int64_t *tunes);

/* What wisdom says of a call: false where it says nothing that still holds (a stale entry is noted once).
 * `why` gets "wisdom: 1.42 times faster than cpu_gemm:x, measured on 2026-11-23". */
bool sp_wisdom_choice(sp_registry *reg, const sp_op_call *call, sp_variant **v, int64_t *tunes, char *why,
                      size_t why_size);
/* The values with which v was the fastest in this call, be it the best of all or chosen by its name; false
 * where it was not timed, and for the defaults. */
bool sp_wisdom_tunes(const sp_registry *reg, const sp_variant *v, const sp_op_call *call, int64_t *tunes);

/* Takes e over, in place of an older entry for the call, and writes the user's file anew (temporary file,
 * rename, under a lock: other processes' entries are kept). SP_E_IO leaves the file as it was. */
sp_status sp_wisdom_put(sp_wisdom *w, sp_wisdom_entry *e, sp_error *err);

/* ---- files ---- */

typedef struct sp_wisdom_list {
    sp_wisdom_entry **items;
    size_t n;
    size_t bad_lines;
} sp_wisdom_list;
void sp_wisdom_list_free(sp_wisdom_list *l);
/* Adds the entries of a file; a line that is none is a warning with its number. A file that is not there is
 * SP_E_IO, and so is a file of the user's own cache that others could have written (own). */
sp_status sp_wisdom_read(const char *path, bool own, sp_wisdom_list *l, sp_error *err);
/* Puts e into l in place of one for the same device, driver and call; returns whether there was one. l owns
 * e. When memory is out e is freed and the list stays as it is. */
bool sp_wisdom_list_put(sp_wisdom_list *l, sp_wisdom_entry *e);
sp_status sp_wisdom_write(const char *path, sp_wisdom_entry *const *entries, size_t n, sp_error *err);
/* The user's file for a device and driver: <cache>/wisdom/<name>-<hash>.jsonl; NULL without a cache folder.
 */
char *sp_wisdom_path(const char *device, const char *driver);

#endif
