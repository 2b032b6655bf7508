/* libFuzzer target: host/data/file_csv.c. */
#include "data/file_list.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    for (sp_csv_part part = SP_CSV_ALL; part <= SP_CSV_TEST; part++) {
        sp_file_list list = {0};
        sp_error err = {0};
        bool divided;
        fuzz_check(sp_csv_parse("folder/fuzz.csv", (const char *)bytes, n, part, &divided, &list, &err),
                   &err);
        for (size_t i = 0; i < list.n; i++)
            if (list.items[i].label < 0 || list.items[i].label >= list.classes)
                abort();
        sp_file_list_free(&list);
    }
    return 0;
}
