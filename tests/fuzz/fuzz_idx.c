/* IDX files, packed or not: the first byte is the length of the labels file that follows it, the rest the
 * images file. */
#include "data/dataset.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    sp_dataset_options o = {.name = "idx", .path = fuzz_folder()};
    size_t labels = n > 0 ? bytes[0] : 0;
    sp_dataset *ds = NULL;
    sp_error err = {0};
    sp_status st;
    if (n < 1 + labels)
        return 0;
    fuzz_write("t10k-labels-idx1-ubyte", bytes + 1, labels);
    fuzz_write("t10k-images-idx3-ubyte", bytes + 1 + labels, n - 1 - labels);
    st = sp_dataset_open(&o, &ds, &err);
    fuzz_check(st, &err);
    if (st == SP_OK) {
        float *image = malloc((size_t)ds->info.height * (size_t)ds->info.width * sizeof *image);
        int32_t label;
        for (size_t i = 0; image && i < ds->info.count; i++)
            fuzz_check(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), &err);
        free(image);
    }
    sp_dataset_close(&ds);
    return 0;
}
