/* CIFAR batches: the first byte chooses the set, the rest is the file. */
#include "data/dataset.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static float image[3072];
    int hundred = n > 0 && bytes[0] & 1;
    sp_dataset_options o = {.name = hundred ? "cifar100" : "cifar10", .path = fuzz_folder()};
    sp_dataset *ds = NULL;
    sp_error err = {0};
    sp_status st;
    int32_t label;
    if (n == 0)
        return 0;
    fuzz_write(hundred ? "test.bin" : "test_batch.bin", bytes + 1, n - 1);
    st = sp_dataset_open(&o, &ds, &err);
    fuzz_check(st, &err);
    for (size_t i = 0; st == SP_OK && i < ds->info.count; i++)
        fuzz_check(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), &err);
    sp_dataset_close(&ds);
    return 0;
}
