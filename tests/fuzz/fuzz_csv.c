/* libFuzzer target: host/data/file_csv.c. */
#include "data/file_list.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    for (int i = 0; i < 3 * 3; i++) {
        const sp_csv_part part = (sp_csv_part)(i % 3);
        const sp_targets targets = (sp_targets)(i / 3);
        sp_file_list list = {0};
        sp_error err = {0};
        bool divided;
        fuzz_check(sp_csv_parse("folder/fuzz.csv", (const char *)bytes, n, part, targets, &divided, &list,
                                &err),
                   &err);
        for (size_t k = 0; k < list.n; k++)
            if (list.items[k].label < 0 || list.items[k].label >= list.classes)
                abort();
        float row[256];
        for (size_t k = 0; targets && k < list.n; k++)
            sp_file_list_target(&list, k, row);
        sp_file_list_free(&list);
    }
    return 0;
}
