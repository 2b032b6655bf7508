/* The order of the samples of an epoch: a function of (data set, seed, epoch). */
#ifndef SP_DATA_ORDER_H
#define SP_DATA_ORDER_H

#include "data/readers.h"

typedef enum { SP_ORDER_PLAIN, SP_ORDER_SHUFFLED, SP_ORDER_BALANCED } sp_order_kind;

typedef struct sp_order {
    const sp_dataset *ds;
    sp_order_kind kind;
    uint64_t seed;
    uint32_t *index;  /* [count] of this epoch */
    uint32_t *repeat; /* balanced: [count] how often the sample came before; else NULL */
    sp_class_groups groups;
    uint32_t *classes; /* balanced: those that have samples */
    size_t n_classes, *used;
} sp_order;

bool sp_order_init(sp_order *o, const sp_dataset *ds, sp_order_kind kind,
                   uint64_t seed); /* false: no memory */
void sp_order_fini(sp_order *o);
void sp_order_make(sp_order *o, uint64_t epoch);

#endif
