/* The order of an epoch: plain, shuffled, balanced. */
#include <criterion/criterion.h>
#include <string.h>
#include "base/mem.h"
#include "data/order.h"

enum { COUNT = 100 };

/* 80 samples of class 0, 15 of class 1, none of class 2, 5 of class 3. */
static int32_t label_of(const sp_dataset *ds, size_t i)
{
    (void)ds;
    return i < 80 ? 0 : i < 95 ? 1 : 3;
}

static const sp_dataset set = {.info = {.count = COUNT, .classes = 4}, .label = label_of};

Test(order, balanced_epochs_have_as_many_of_every_class)
{
    sp_order o;
    int seen[COUNT] = {0}, in_class[4] = {0};
    cr_assert(sp_order_init(&o, &set, SP_ORDER_BALANCED, 7));
    sp_order_make(&o, 3);
    for (size_t i = 0; i < COUNT; i++) {
        size_t at = o.index[i];
        cr_assert_eq(o.repeat[i], (uint32_t)seen[at], "sample %zu", at);
        seen[at]++;
        in_class[label_of(&set, at)]++;
        if (i % 3 == 2)
            cr_assert(in_class[0] == in_class[1] && in_class[1] == in_class[3], "every three samples are one "
                                                                                "round");
    }
    cr_assert(in_class[0] + in_class[1] + in_class[3] == COUNT && in_class[2] == 0);
    for (size_t i = 80; i < COUNT; i++) { /* 33 or 34 of 15 and of 5: as often as each other, within one */
        int least = i < 95 ? 2 : 6;
        cr_assert(seen[i] == least || seen[i] == least + 1, "sample %zu: %d times", i, seen[i]);
    }
    for (size_t i = 0; i < 80; i++)
        cr_assert(seen[i] <= 1, "a frequent class does not repeat");
    sp_order_fini(&o);
}

Test(order, depends_on_seed_and_epoch_alone)
{
    for (sp_order_kind kind = SP_ORDER_PLAIN; kind <= SP_ORDER_BALANCED; kind++) {
        sp_order a, b;
        cr_assert(sp_order_init(&a, &set, kind, 7) && sp_order_init(&b, &set, kind, 7));
        for (uint64_t epoch = 0; epoch < 6; epoch++)
            sp_order_make(&a, epoch);
        sp_order_make(&b, 5);
        cr_assert_arr_eq(a.index, b.index, COUNT * sizeof *a.index);
        if (kind == SP_ORDER_BALANCED)
            cr_assert_arr_eq(a.repeat, b.repeat, COUNT * sizeof *a.repeat);
        sp_order_make(&b, 4);
        cr_assert((memcmp(a.index, b.index, COUNT * sizeof *a.index) == 0) == (kind == SP_ORDER_PLAIN));
        sp_order_fini(&a);
        sp_order_fini(&b);
    }
}

Test(order, survives_every_failing_allocation)
{
    bool made = false;
    for (int k = 1; k < 10; k++) {
        sp_order o;
        sp_mem_fail_at(k);
        made = sp_order_init(&o, &set, SP_ORDER_BALANCED, 1);
        sp_mem_fail_at(0);
        sp_order_fini(&o);
    }
    cr_assert(made);
}
