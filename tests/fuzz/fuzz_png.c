/* PNG files. */
#include "data/image.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static sp_image im;
    sp_error err = {0};
    fuzz_check(sp_png_decode(&im, "fuzz.png", bytes, n, &err), &err);
    sp_image_free(&im);
    return 0;
}
