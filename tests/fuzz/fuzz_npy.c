/* .npy files. */
#include "config/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    sp_tensor t;
    sp_error err = {0};
    void *none = NULL;
    sp_status st = sp_npy_parse("fuzz.npy", bytes, n, &t, &err);
    fuzz_check(st, &err);
    double *x = st == SP_OK && t.bytes < 1 << 20 ? malloc((size_t)sp_tensor_elems(&t) * sizeof *x + 1) : NULL;
    if (x)
        fuzz_check(sp_tensor_to_f64(&t, x, &err), &err);
    free(x);
    sp_npy_free(&t, &none);
    return 0;
}
