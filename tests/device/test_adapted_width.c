/* The width that schedule.width_step chooses, against PyTorch: tests/golden/width. */
#include "base/file.h"
#include "config/safetensors.h"
#include "support.h"
#include "train/width.h"

TestSuite(width, .init = setup, .fini = teardown);

enum { EPOCHS = 3, BATCH = 6, CHANNELS = 2, SIDE = 5 };

static const sp_tensor *found(const sp_tensor_file *f, const char *name)
{
    const sp_tensor *t = sp_tensors_find(f, name);
    cr_assert(t, "%s", name);
    return t;
}

static sp_session *open_case(sp_error *err)
{
    char *text;
    size_t n;
    sp_recipe r;
    sp_session *s = NULL;
    const sp_dataset_info info = {.name = "synthetic",
                                  .channels = CHANNELS,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .classes = 4,
                                  .count = BATCH};
    cr_assert_eq(sp_file_read(SP_GOLDEN "/width/dspike.yaml", 1 << 16, &text, &n, err), SP_OK, "%s",
                 err->text);
    cr_assert_eq(sp_recipe_parse("dspike.yaml", text, n, NULL, 0, &r, err), SP_OK, "%s", err->text);
    cr_assert_eq(sp_session_open(&r, &info, &(sp_session_options){.opened = dev}, &s, err), SP_OK, "%s",
                 err->text);
    sp_free(text);
    return s;
}

static void write_parameters(sp_session *s, const sp_tensor_file *f)
{
    sp_error err = {0};
    for (int i = 0; i < s->graph->n_params; i++) {
        const sp_param *p = &s->graph->params[i];
        char name[160];
        float *x = sp_alloc_array((size_t)p->elems, sizeof *x);
        snprintf(name, sizeof name, "param.%s", p->name);
        cr_assert_eq(sp_tensor_to_f32(found(f, name), x, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_model_write(s->model, p, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
        sp_free(x);
    }
}

Test(width, cosines_and_choices_are_those_of_pytorch)
{
    enum { NUMBERS = BATCH * SIDE * SIDE * CHANNELS };
    sp_error err = {0};
    sp_tensor_file f;
    cr_assert_eq(sp_tensors_read(SP_GOLDEN "/width/dspike.safetensors", &f, &err), SP_OK, "%s", err.text);
    sp_session *s = open_case(&err);
    write_parameters(s, &f);
    double cosines[EPOCHS][3], widths[EPOCHS], target[BATCH];
    float file[NUMBERS], *images = sp_alloc_pages(NUMBERS, sizeof *images);
    int32_t *labels = sp_alloc_pages(BATCH, sizeof *labels);
    cr_assert_eq(sp_tensor_to_f32(found(&f, "input"), file, &err), SP_OK);
    cr_assert_eq(sp_tensor_to_f64(found(&f, "target"), target, &err), SP_OK);
    cr_assert_eq(sp_tensor_to_f64(found(&f, "cosines"), cosines[0], &err), SP_OK);
    cr_assert_eq(sp_tensor_to_f64(found(&f, "widths"), widths, &err), SP_OK);
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int32_t)target[i];
    for (int i = 0; i < NUMBERS; i++) { /* from N,C,H,W */
        const int n = i / (SIDE * SIDE * CHANNELS), c = i / (SIDE * SIDE) % CHANNELS, at = i % (SIDE * SIDE);
        images[(n * SIDE * SIDE + at) * CHANNELS + c] = file[i];
    }
    cr_assert_eq(sp_width_start(s, 0, &err), SP_OK, "%s", err.text);
    const sp_exec_batch batch = {.images = images, .labels = labels};
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        sp_width_choice c;
        cr_assert_eq(sp_width_choose(s, &batch, epoch, &c, &err), SP_OK, "%s", err.text);
        for (int i = 0; i < 3; i++)
            cr_assert_float_eq(c.cosine[i], cosines[epoch][i], 1e-4, "epoch %d, width %g: %g, not %g",
                               (int)epoch + 1, c.tried[i], c.cosine[i], cosines[epoch][i]);
        cr_assert_float_eq(c.width, widths[epoch], 0, "epoch %d: %g, not %g", (int)epoch + 1, c.width,
                           widths[epoch]);
    }
    sp_free(images);
    sp_free(labels);
    sp_session_close(&s);
    sp_tensors_free(&f);
}
