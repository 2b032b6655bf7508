/* Photos: decoding to the same pixels as Pillow, resampling to the same bytes, folders as data sets, and
 * every kind of damage. The check sums were made with Pillow 9.4. */
#include <png.h>
#include <zlib.h>
#include "base/mem.h"
#include "data/image.h"
#include "data/loader.h"
#include "support.h"

static uint32_t crc(const void *bytes, size_t n)
{
    return (uint32_t)crc32(0, bytes, (uInt)n);
}

static sp_status decode(void *ctx, const uint8_t *bytes, size_t n, sp_error *err)
{
    sp_status st = sp_image_decode(ctx, "x.img", bytes, n, err);
    if (st == SP_OK)
        crc(((sp_image *)ctx)->rgb,
            (size_t)((sp_image *)ctx)->width * (size_t)((sp_image *)ctx)->height * 3); /* reads all */
    else
        cr_assert_not_null(strstr(err->text, "x.img: "), "%s", err->text);
    return st;
}

/* ---- decoding ---- */

/* Every file of a folder's DECODED.tsv: size and SHA-256 of the RGB bytes. Returns how many were compared. */
static int check_decoded(const char *folder, bool jpeg)
{
    char path[1024], line[1024], name[512], format[64], mode[64], sum[80], hex[65];
    sp_image im = {0};
    int compared = 0, width, height, progressive;
    FILE *list;
    snprintf(path, sizeof path, "%s/DECODED.tsv", folder);
    list = fopen(path, "r");
    if (!list)
        return -1;
    while (fgets(line, sizeof line, list)) {
        sp_error err = {0};
        size_t n;
        uint8_t *bytes;
        int fields = sscanf(line, "%511s %63s %63s %d %d %d %79s", name, format, mode, &width, &height,
                            &progressive, sum);
        if (line[0] == '#' || (!jpeg && strcmp(format, "JPEG") == 0))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        bytes = read_whole(path, &n);
        cr_assert_not_null(bytes, "%s", path);
        if (fields == 7) {
            cr_assert_eq(sp_image_decode(&im, path, bytes, n, &err), SP_OK, "%s", err.text);
            cr_assert(im.width == width && im.height == height, "%s: %d x %d", name, im.width, im.height);
            sha256_hex(im.rgb, (size_t)width * (size_t)height * 3, hex);
            cr_assert(strcmp(sum, "-") == 0 || strcmp(sum, hex) == 0, "%s: %s, not %s", name, hex, sum);
            compared++;
        } else {
            cr_assert_eq(sp_image_decode(&im, path, bytes, n, &err), SP_E_DATA, "%s", name);
            cr_assert_not_null(strstr(err.text, name), "%s", err.text);
        }
        free(bytes);
    }
    fclose(list);
    sp_image_free(&im);
    return compared;
}

Test(images, png_suite_as_pillow)
{
    int n = check_decoded(REAL_DATA "/png-suite", false);
    if (n < 0)
        cr_skip_test("no PngSuite folder");
    cr_assert_eq(n, 28);
}

Test(images, jpeg_variants_as_pillow)
{
    int n = check_decoded(REAL_DATA "/jpeg-variants", sp_jpeg_support() != NULL);
    if (n < 0)
        cr_skip_test("no folder of JPEG variants");
    cr_assert_eq(n, sp_jpeg_support() ? 18 : 2);
}

Test(images, imagenet_sample_as_pillow)
{
    int n = check_decoded(REAL_DATA "/imagenet-sample", sp_jpeg_support() != NULL);
    if (n < 0 || !sp_jpeg_support())
        cr_skip_test("no ImageNet sample folder, or built without JPEG");
    cr_assert_eq(n, 248);
}

static const struct {
    const char *name;
    uint32_t crc;
} jpegs[] = {{"tiny.jpg", 0xd27e2b55u},
             {"tiny_progressive.jpg", 0xd27e2b55u},
             {"tiny_grey.jpg", 0x9d47457au},
             {"tiny_cmyk.jpg", 0x463db1b9u}};

static uint8_t *fixture(const char *name, size_t *n)
{
    char path[1024];
    uint8_t *bytes;
    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    bytes = read_whole(path, n);
    cr_assert_not_null(bytes, "%s", path);
    return bytes;
}

Test(images, small_jpegs_as_pillow_or_refused_by_name)
{
    sp_image im = {0};
    for (size_t i = 0; i < sizeof jpegs / sizeof *jpegs; i++) {
        size_t n;
        uint8_t *bytes = fixture(jpegs[i].name, &n);
        sp_error err = {0};
        sp_status st = decode(&im, bytes, n, &err);
        if (sp_jpeg_support()) {
            cr_assert_eq(st, SP_OK, "%s", err.text);
            cr_assert(im.width == 17 && im.height == 11);
            cr_assert_eq(crc(im.rgb, 17 * 11 * 3), jpegs[i].crc, "%s: 0x%08x", jpegs[i].name,
                         crc(im.rgb, 17 * 11 * 3));
        } else {
            cr_assert_eq(st, SP_E_DATA);
            cr_assert(strstr(err.text, "without JPEG") && strstr(err.text, "libturbojpeg0-dev"), "%s",
                      err.text);
        }
        free(bytes);
    }
    sp_image_free(&im);
}

static void write_png(const char *path, int side, const uint8_t *rgb)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    image.width = image.height = (png_uint_32)side;
    cr_assert(png_image_write_to_file(&image, path, 0, rgb, 0, NULL), "%s", image.message);
}

/* A PNG with `width` x `height` in its header, check sum right, and one row of pixels for a 16 x 16 image. */
static uint8_t *small_png(uint32_t width, uint32_t height, size_t *n)
{
    char folder[512], path[600];
    uint8_t rgb[16 * 16 * 3], *bytes;
    uint32_t sum;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * i);
    make_folder(folder, sizeof folder, "png");
    snprintf(path, sizeof path, "%s/x.png", folder);
    write_png(path, 16, rgb);
    bytes = read_whole(path, n);
    remove_folder(folder);
    for (int i = 0; i < 4; i++) {
        bytes[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        bytes[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    sum = crc(bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (uint8_t)(sum >> (24 - 8 * i));
    return bytes;
}

Test(images, damaged_png_is_an_error)
{
    static const uint32_t sizes[][2] = {{0, 16},         {16, 0},        {32769, 16},
                                        {16, 32769},     {32768, 32768}, {0x7fffffff, 0x7fffffff},
                                        {0xffffffff, 1}, {17, 16},       {16, 17},
                                        {32768, 2048}};
    sp_image im = {0};
    sp_error err = {0};
    size_t n;
    uint8_t *bytes = small_png(16, 16, &n);
    cr_assert_eq(decode(&im, bytes, n, &err), SP_OK, "%s", err.text);
    damage(decode, &im, bytes, n, n, 2000, 500);
    cr_assert_eq(decode(&im, bytes, n - 20, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "truncated"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "at byte"), "%s", err.text);
    bytes[n / 2] ^= 1; /* noticed by a check sum */
    cr_assert_eq(decode(&im, bytes, n, &err), SP_E_DATA);
    free(bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bytes = small_png(sizes[i][0], sizes[i][1], &n);
        cr_assert_eq(decode(&im, bytes, n, &err), SP_E_DATA, "size %zu", i);
        free(bytes);
    }
    cr_assert_lt(im.rgb_bytes, (size_t)1 << 28);
    sp_image_free(&im);
}

Test(images, damaged_jpeg_is_an_error)
{
    sp_image im = {0};
    if (!sp_jpeg_support())
        cr_skip_test("built without JPEG");
    for (size_t i = 0; i < sizeof jpegs / sizeof *jpegs; i++) {
        size_t n;
        uint8_t *bytes = fixture(jpegs[i].name, &n);
        sp_error err = {0};
        damage(decode, &im, bytes, n, n, 1000, 200);
        for (size_t k = 0; k + 9 < n; k++) { /* the frame header: 65500 x 65500 pixels */
            if (bytes[k] == 0xff && (bytes[k + 1] == 0xc0 || bytes[k + 1] == 0xc2)) {
                bytes[k + 5] = bytes[k + 7] = 0xff;
                bytes[k + 6] = bytes[k + 8] = 0xdc;
                break;
            }
        }
        cr_assert_eq(decode(&im, bytes, n, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "65500 x 65500"), "%s", err.text);
        free(bytes);
    }
    sp_image_free(&im);
}

Test(images, what_is_neither_jpeg_nor_png_is_refused)
{
    static const char *const texts[] = {"", "G", "GIF89a.....", "\x89PNG", "\xff\xd8", "RIFF....WEBPVP8 "};
    sp_image im = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sp_error err = {0};
        cr_assert_eq(decode(&im, (const uint8_t *)texts[i], strlen(texts[i]), &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "byte 0"), "%s", err.text);
    }
    sp_image_free(&im);
}

/* ---- resampling ---- */

static void make_pattern(sp_image *im, int width, int height)
{
    sp_error err;
    cr_assert_eq(sp_image_room(&im->rgb, &im->rgb_bytes, (size_t)width * (size_t)height * 3, "pattern", &err),
                 SP_OK);
    im->width = width;
    im->height = height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                im->rgb[(y * width + x) * 3 + c] = (uint8_t)((x * 7 + y * 13 + c * 31) ^ (x * y * (c + 1)));
}

Test(images, resize_and_centre_crop_as_pillow)
{
    static const struct {
        int width, height, shorter, side;
        uint32_t crc;
    } cases[] = {{50, 37, 28, 24, 0x149dcdfau},   {37, 50, 28, 24, 0xe0918bb4u},
                 {20, 20, 64, 57, 0x846f8414u},   {333, 100, 32, 32, 0x84c16b96u},
                 {5, 200, 9, 8, 0x7ad64c2au},     {64, 64, 64, 64, 0x00fb676bu},
                 {401, 299, 25, 25, 0xf5669ea3u}, {1, 1, 3, 3, 0x171d23a7u},
                 {600, 7, 7, 7, 0x3830ab1cu}};
    sp_image im = {0};
    sp_resampler r = {0};
    uint8_t out[64 * 64 * 3];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_resize_window w =
            sp_resize_centre(cases[i].height, cases[i].width, cases[i].shorter, cases[i].side);
        sp_error err = {0};
        size_t n = (size_t)cases[i].side * (size_t)cases[i].side * 3;
        make_pattern(&im, cases[i].width, cases[i].height);
        cr_assert_eq(sp_image_resize(&r, &im, &w, out, &err), SP_OK);
        cr_assert_eq(crc(out, n), cases[i].crc, "case %zu: 0x%08x", i, crc(out, n));
    }
    sp_image_free(&im);
    sp_resampler_free(&r);
}

Test(images, a_resized_part_as_pillow)
{
    static const struct {
        int width, height;
        sp_part part;
        int side;
        uint32_t crc;
    } cases[] = {{50, 37, {5, 3, 30, 40}, 24, 0x744c0551u},
                 {50, 37, {0, 0, 37, 50}, 96, 0x5cdcecbdu},
                 {90, 70, {69, 89, 1, 1}, 8, 0x7005411fu},
                 {90, 70, {20, 10, 50, 17}, 32, 0x4d069ad6u},
                 {300, 200, {7, 0, 101, 299}, 16, 0xc08441f3u}};
    sp_image im = {0};
    sp_resampler r = {0};
    uint8_t out[96 * 96 * 3];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int side = cases[i].side;
        sp_resize_window w = {
            .part = cases[i].part, .full_height = side, .full_width = side, .height = side, .width = side};
        sp_error err = {0};
        make_pattern(&im, cases[i].width, cases[i].height);
        cr_assert_eq(sp_image_resize(&r, &im, &w, out, &err), SP_OK);
        cr_assert_eq(crc(out, (size_t)(side * side * 3)), cases[i].crc, "case %zu", i);
    }
    sp_image_free(&im);
    sp_resampler_free(&r);
}

/* ---- folders ---- */

static char root[512];

/* A square PNG of one colour. */
static void put_png(const char *folder, const char *name, int side, uint8_t grey)
{
    char path[1024];
    uint8_t *rgb = malloc((size_t)side * (size_t)side * 3);
    memset(rgb, grey, (size_t)side * (size_t)side * 3);
    snprintf(path, sizeof path, "%s/%s", root, folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    write_png(path, side, rgb);
    free(rgb);
}

static void make_tree(void)
{
    make_folder(root, sizeof root, "images");
    put_png("train", "not-a-class.png", 4, 1);
    put_png("train/b", "2.png", 40, 20);
    put_png("train/b", "1.PNG", 50, 10);
    put_png("train/a", "z.jpeg", 30, 30); /* PNG under another name, as ImageNet has one */
    put_png("train/c", "1.png", 64, 40);
    put_png("train/c", ".hidden.png", 64, 99);
    write_file(root, "train/c/notes.txt", "x", 1);
    put_png("val", "x.png", 4, 1);
    put_png("val/c", "v.png", 33, 50);
}

static sp_dataset_options folder_options(int train)
{
    return (sp_dataset_options){.name = "images", .path = root, .train = train, .size = 24};
}

Test(images, a_folder_is_a_data_set)
{
    static const int labels[] = {0, 1, 2, 1},
                     greys[] = {30, 10, 40, 20}; /* round after round over the classes */
    static float image[24 * 24 * 3];
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    make_tree();
    cr_assert_eq(open_set(folder_options(1), &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 4 && ds->info.classes == 3 && ds->info.channels == 3 &&
              ds->info.height == 24 && ds->info.width == 24 && ds->info.frames == 0);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, labels[i]);
        for (int k = 0; k < 24 * 24 * 3; k++)
            cr_assert_eq(image[k], (float)(greys[i] / 255.0));
    }
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 4}, image, &label, &err), SP_E_DATA);
    sp_dataset_close(&ds);
    cr_assert_eq(open_set(folder_options(0), &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 1 && ds->info.classes == 3);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, image, &label, &err), SP_OK, "%s", err.text);
    cr_assert_eq(label, 2, "the class's number in the training split");
    sp_dataset_close(&ds);
    remove_folder(root);
}

Test(images, a_wrong_folder_says_what_is_wrong)
{
    static const struct {
        const char *make, *expect;
        int train;
    } cases[] = {{"mkdir val/new && touch val/new/1.png", "val/new: the training split has no class", 0},
                 {"rm -r train/?", "0 class folders with .jpg", 1},
                 {"rm -r val/c", "no class folders", 0},
                 {"rm -r val", "no test split", 0},
                 {"rm -r train", "train/CLASS", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[2048];
        sp_dataset *ds;
        sp_error err;
        make_tree();
        snprintf(command, sizeof command, "cd '%s' && %s", root, cases[i].make);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(open_set(folder_options(cases[i].train), &ds, &err), SP_E_DATA, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "case %zu: %s", i, err.text);
        remove_folder(root);
    }
}

Test(images, options_are_checked)
{
    sp_dataset *ds;
    sp_error err;
    sp_dataset_options o;
    make_tree();
    o = folder_options(1), o.size = -1;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    o = folder_options(1), o.size = 5000;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    o = folder_options(1), o.resize = 23;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "resize is 23"), "%s", err.text);
    o = folder_options(1), o.augment.roll = 2;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "roll"), "%s", err.text);
    cr_assert_eq(open_set((sp_dataset_options){.name = "images"}, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "needs a path"), "%s", err.text);
    remove_folder(root);
}

Test(images, a_bad_file_is_named_and_the_rest_goes_on)
{
    static const struct {
        const char *make, *expect;
    } cases[] = {{"printf GIF89a > train/a/z.jpeg", "neither a JPEG nor a PNG"},
                 {": > train/a/z.jpeg", "empty"},
                 {"rm train/a/z.jpeg", "cannot be opened"},
                 {"rm train/a/z.jpeg && mkdir train/a/z.jpeg", "not a regular file"},
                 {"rm train/a/z.jpeg && mkfifo train/a/z.jpeg", "not a regular file"},
                 {"head -c 60 train/c/1.png > train/a/z.jpeg", "truncated"}};
    static float image[24 * 24 * 3];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[2048];
        sp_dataset *ds;
        sp_error err;
        int32_t label;
        make_tree();
        cr_assert_eq(open_set(folder_options(1), &ds, &err), SP_OK);
        snprintf(command, sizeof command, "cd '%s' && %s", root, cases[i].make);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, image, &label, &err), SP_E_DATA, "case %zu",
                     i);
        cr_assert(strstr(err.text, "train/a/z.jpeg: ") && strstr(err.text, cases[i].expect), "case %zu: %s",
                  i, err.text);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, image, &label, &err), SP_OK, "%s",
                     err.text);
        sp_dataset_close(&ds);
        remove_folder(root);
    }
}

Test(images, survives_failing_allocations)
{
    static float image[24 * 24 * 3];
    sp_dataset *ds = NULL;
    sp_dataset_options o;
    sp_status st;
    int64_t k = 0;
    make_tree();
    o = folder_options(1);
    do {
        sp_error err = {0};
        int32_t label;
        sp_mem_fail_at(++k);
        st = sp_dataset_open(&o, &ds, &err);
        if (st == SP_OK)
            st = ds->get(ds, (sp_sample_request){.index = 2}, image, &label, &err);
        sp_mem_fail_at(0);
        sp_dataset_close(&ds);
        cr_assert(st == SP_OK || err.text[0]);
    } while (st != SP_OK && k < 1000);
    cr_assert(k > 20 && k < 1000, "%d", (int)k);
    remove_folder(root);
}

Test(images, reading_again_allocates_nothing)
{
    static float image[24 * 24 * 3];
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    uint64_t before;
    sp_dataset_options o;
    make_tree();
    o = folder_options(1);
    o.augment = (sp_augment){.resized_crop = 0.08, .flip = 0.5};
    cr_assert_eq(open_set(o, &ds, &err), SP_OK);
    for (size_t i = 0; i < 4; i++)
        for (uint64_t epoch = 0; epoch < 100; epoch++)
            cr_assert_eq(ds->get(ds, (sp_sample_request){i, epoch, 0}, image, &label, &err), SP_OK);
    before = sp_mem_count();
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(ds->get(ds, (sp_sample_request){i, 1, 0}, image, &label, &err), SP_OK);
    cr_assert_eq(sp_mem_count(), before);
    sp_dataset_close(&ds);
    remove_folder(root);
}

/* The ImageNet sample as a data set: links to its class folders, both splits, by several threads. */
Test(images, real_photos_through_the_loader)
{
    char command[2048];
    sp_dataset *ds;
    sp_error err;
    size_t seen = 0;
    double mean[2] = {0};
    if (access(REAL_DATA "/imagenet-sample", R_OK) != 0 || !sp_jpeg_support())
        cr_skip_test("no ImageNet sample folder, or built without JPEG");
    make_folder(root, sizeof root, "images");
    snprintf(command, sizeof command, "cd '%s' && ln -s '%s' train && ln -s '%s' test", root,
             REAL_DATA "/imagenet-sample", REAL_DATA "/imagenet-sample");
    cr_assert_eq(system(command), 0);
    for (int train = 0; train < 2; train++) {
        sp_loader *l = NULL;
        const sp_batch *b;
        sp_dataset_options o = {.name = "images",
                                .path = root,
                                .train = train,
                                .size = 96,
                                .limit = 60,
                                .augment = {.resized_crop = 0.08, .flip = 0.5}};
        cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert(ds->info.classes == 10 && ds->info.count == 60);
        cr_assert_eq(sp_loader_create(ds, &(sp_loader_options){.batch = 16, .shuffle = train, .threads = 3},
                                      &l, &err),
                     SP_OK);
        cr_assert_eq(sp_loader_start(l, 0, 0, &err), SP_OK);
        for (;;) {
            cr_assert_eq(sp_loader_next(l, &b, &err), SP_OK, "%s", err.text);
            if (!b)
                break;
            for (size_t i = 0; i < b->n_valid * sample_items(ds); i++)
                mean[train] += (double)b->images[i] / (60.0 * 96 * 96 * 3);
            seen += b->n_valid;
            sp_loader_release(l, b);
        }
        sp_loader_destroy(&l);
        sp_dataset_close(&ds);
    }
    cr_assert_eq(seen, 120);
    cr_assert_float_eq(mean[0], mean[1], 0.05, "%f and %f", mean[0], mean[1]);
    cr_assert(mean[0] > 0.3 && mean[0] < 0.6, "%f", mean[0]);
    remove_folder(root);
}
