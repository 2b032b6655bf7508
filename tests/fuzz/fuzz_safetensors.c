/* safetensors files: as tensors that are converted, as weights of PyTorch, and as checkpoints with their
 * recipe and place in training. */
#include <string.h>

#include "fuzz.h"
#include "train/checkpoint.h"

static void convert(const sp_tensor_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const int64_t n = sp_tensor_elems(&f->items[i]);
        float *x = n <= 1 << 16 ? malloc((size_t)n * sizeof *x + 1) : NULL;
        double *y = n <= 1 << 16 ? malloc((size_t)n * sizeof *y + 1) : NULL;
        sp_error err = {0};
        if (x)
            fuzz_check(sp_tensor_to_f32(&f->items[i], x, &err), &err);
        err = (sp_error){0};
        if (y)
            fuzz_check(sp_tensor_to_f64(&f->items[i], y, &err), &err);
        free(x);
        free(y);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[128];
    sp_tensor_file f = {0};
    sp_checkpoint c = {0};
    sp_recipe r = {0};
    sp_error err = {0};
    fuzz_write("fuzz.safetensors", bytes, n);
    snprintf(path, sizeof path, "%s/fuzz.safetensors", fuzz_folder());
    sp_status st = sp_tensors_read(path, &f, &err);
    fuzz_check(st, &err);
    if (st == SP_OK)
        convert(&f);
    sp_tensors_free(&f);
    err = (sp_error){0};
    fuzz_check(sp_weights_open(path, &c, &err), &err);
    sp_checkpoint_close(&c);
    c = (sp_checkpoint){0};
    err = (sp_error){0};
    st = sp_checkpoint_open(path, &c, &err);
    fuzz_check(st, &err);
    if (st == SP_OK) {
        sp_names classes = {0};
        sp_dataset_info info = {.count = 0};
        fuzz_check(sp_checkpoint_classes(&c, &classes, &err), &err);
        sp_names_free(&classes);
        err = (sp_error){0};
        st = sp_checkpoint_recipe(&c, NULL, 0, &r, &err);
        fuzz_check(st, &err);
        err = (sp_error){0};
        if (st == SP_OK) {
            fuzz_check(sp_checkpoint_samples(&c, &r, &info, &err), &err);
            sp_recipe_free(&r);
        }
    }
    sp_checkpoint_close(&c);
    return 0;
}
