/* What a person's arrays say of each sample: its class, or a row of numbers. */
#include "base/error.h"
#include "data/array.h"
#include "data/file_list.h"

enum { MOST_CLASSES = 100000 };

sp_status sp_array_labels(const sp_array *a, int32_t *labels, int64_t *n, int *classes, sp_error *err)
{
    enum { SOME = 1024 };
    const sp_array_info *i = sp_array_about(a);
    int64_t some[SOME];
    if (i->rank < 1 || i->items != i->dims[0])
        return SP_FAIL(err, SP_E_DATA,
                       "%s: must be one label for each sample; one-hot rows become labels with argmax(1)",
                       sp_array_name(a));
    *n = i->items;
    for (int64_t k = 0; k < *n; k += SOME) {
        size_t count = *n - k < SOME ? (size_t)(*n - k) : SOME;
        SP_TRY(sp_array_integers(a, k, count, 0.0, some, err));
        for (size_t j = 0; j < count; j++) {
            if (some[j] < 0 || some[j] >= MOST_CLASSES)
                return SP_FAIL(err, SP_E_DATA, "%s: label %lld of sample %lld is not in 0..%d",
                               sp_array_name(a), (long long)some[j], (long long)k + (long long)j + 1,
                               MOST_CLASSES - 1);
            if (labels)
                labels[k + (int64_t)j] = (int32_t)some[j];
            if (some[j] >= *classes)
                *classes = (int)some[j] + 1;
        }
    }
    return SP_OK;
}

sp_status sp_array_targets(const sp_array *a, sp_targets targets, float *out, int *k, sp_error *err)
{
    const sp_array_info *i = sp_array_about(a);
    int64_t columns = i->rank == 2 ? i->dims[1] : 1;
    if (i->rank < 1 || i->rank > 2 || columns < 1 || columns > MOST_CLASSES)
        return SP_FAIL(err, SP_E_DATA, "%s: must be a row of 1 to %d numbers for each sample",
                       sp_array_name(a), MOST_CLASSES);
    if (*k && *k != columns)
        return SP_FAIL(err, SP_E_DATA, "%s: rows of %lld numbers, but the other part has rows of %d",
                       sp_array_name(a), (long long)columns, *k);
    *k = (int)columns;
    if (!out)
        return SP_OK;
    SP_TRY(sp_array_floats(a, 0, (size_t)i->items, out, err));
    for (int64_t j = 0; j < i->items; j++)
        SP_TRY(sp_target_check(out[j], targets, sp_array_name(a), (size_t)(j / columns) + 1, err));
    return SP_OK;
}
