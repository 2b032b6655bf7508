/* Whole photos: JPEG or PNG by the first bytes, then a resized part and a centre crop. */
#include "data/image.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static sp_image im; /* kept from image to image, as the loader does */
    static sp_resampler r;
    static uint8_t out[24 * 24 * 3];
    sp_error err = {0};
    sp_status st = sp_image_decode(&im, "fuzz.img", bytes, n, &err);
    fuzz_check(st, &err);
    if (st == SP_OK) {
        sp_rng rng = sp_augment_rng(1, (sp_sample_request){.index = n});
        sp_resize_window w = {.part = sp_part_draw(im.height, im.width, 0.08, &rng),
                              .full_height = 24,
                              .full_width = 24,
                              .height = 24,
                              .width = 24};
        fuzz_check(sp_image_resize(&r, &im, &w, out, &err), &err);
        w = sp_resize_centre(im.height, im.width, 28, 24);
        fuzz_check(sp_image_resize(&r, &im, &w, out, &err), &err);
    }
    sp_image_free(&im);
    sp_resampler_free(&r);
    return 0;
}
