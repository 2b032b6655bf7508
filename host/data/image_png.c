/* PNG files to 8-bit RGB through libpng's row interface: its simplified one would apply gamma, which the
 * loaders of the published experiments do not. libpng reports errors by longjmp; what must survive one lives
 * in `reader`. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "data/image.h"

enum { MAX_CHUNK_BYTES = 8 << 20, MAX_CHUNKS = 1024 };

typedef struct reader {
    const uint8_t *bytes;
    size_t n, at;
    char text[160]; /* of the error */
    png_structp png;
    png_infop info;
    sp_status st; /* of an error of our own */
} reader;

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    reader *r = png_get_io_ptr(png);
    if (n > r->n - r->at) {
        r->at = r->n;
        png_error(png, "the file ends here: truncated");
    }
    memcpy(to, r->bytes + r->at, n);
    r->at += n;
}

static void on_error(png_structp png, png_const_charp text)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->text, sizeof r->text, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

/* Odd colour profiles, text and times are none of our business. */
static void on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void ask_for_rgb(png_structp png, png_infop info)
{
    int colour = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16)
        png_set_strip_16(png);
    png_set_strip_alpha(png);
    if (colour == PNG_COLOR_TYPE_GRAY || colour == PNG_COLOR_TYPE_GRAY_ALPHA)
        png_set_gray_to_rgb(png);
}

/* Between setjmp and the end: locals are not used after a longjmp. */
static void read_image(reader *r, sp_image *im, const char *name, sp_error *err)
{
    size_t width, height;
    int passes;
    png_set_read_fn(r->png, r, read_bytes);
    png_read_info(r->png, r->info);
    width = png_get_image_width(r->png, r->info);
    height = png_get_image_height(r->png, r->info);
    r->st = sp_image_check_size(name, "PNG", width, height, err);
    if (r->st == SP_OK)
        r->st = sp_image_room(&im->rgb, &im->rgb_bytes, width * height * 3, name, err);
    if (r->st != SP_OK)
        return;
    im->width = (int)width;
    im->height = (int)height;
    ask_for_rgb(r->png, r->info);
    passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != width * 3)
        png_error(r->png, "rows that are not RGB");
    while (passes-- > 0)
        for (size_t y = 0; y < height; y++)
            png_read_row(r->png, im->rgb + y * width * 3, NULL);
    png_read_end(r->png, NULL);
}

static bool guarded(reader *r, sp_image *im, const char *name, sp_error *err)
{
    if (setjmp(png_jmpbuf(r->png)))
        return false;
    read_image(r, im, name, err);
    return true;
}

sp_status sp_png_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err)
{
    reader r = {.bytes = bytes, .n = n};
    bool ok = false;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info) {
        png_set_user_limits(r.png, SP_IMAGE_MAX_SIDE, SP_IMAGE_MAX_SIDE);
        png_set_chunk_malloc_max(r.png, MAX_CHUNK_BYTES);
        png_set_chunk_cache_max(r.png, MAX_CHUNKS);
        ok = guarded(&r, im, name, err);
    } else {
        r.st = SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for libpng", name);
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (r.st != SP_OK)
        return r.st;
    if (!ok)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: damaged PNG file, at byte %zu of %zu: %s; fetch it again, or remove it", name,
                       r.at, n, r.text);
    return SP_OK;
}
