/* Photos: a file's bytes to 8-bit RGB, and from there to the size a network takes. Inside the folder only. */
#ifndef SP_DATA_IMAGE_H
#define SP_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "data/augment.h"
#include "spikeport/status.h"

/* The shorter side before the crop, where a recipe does not say it: 256 for 224. */
#define SP_IMAGE_RESIZE(size) (((size)*8 + 3) / 7)

/* A header that asks for more is refused before anything is allocated. */
enum { SP_IMAGE_MAX_SIDE = 32768, SP_IMAGE_MAX_PIXELS = 1 << 26 };

/* Memory that is used again from image to image; zero it before the first, free it after the last. One
 * thread. */
typedef struct sp_image {
    int width, height;
    uint8_t *rgb;     /* [height][width][3] */
    size_t rgb_bytes; /* allocated */
    uint8_t *raw;     /* CMYK pixels of a JPEG file */
    size_t raw_bytes;
    void *decoder; /* of TurboJPEG */
} sp_image;
void sp_image_free(sp_image *im);

/* Makes *bytes hold at least n; what it held is lost. */
sp_status sp_image_room(uint8_t **memory, size_t *bytes, size_t n, const char *name, sp_error *err);
sp_status sp_image_check_size(const char *name, const char *format, uint64_t width, uint64_t height,
                              sp_error *err);

/* Decodes JPEG or PNG, told apart by the first bytes, not by the name. As Pillow's convert("RGB"): grey and
 * palettes become RGB, 16 bits keep the upper 8, an alpha channel is dropped (not blended), CMYK is Adobe's
 * inverted one, EXIF rotation and colour profiles are ignored. Damage is SP_E_DATA naming `name` and, for
 * PNG, the byte that was reached. */
sp_status sp_image_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err);

/* image_jpeg.c; refuses by name where the program was built without libjpeg-turbo. */
sp_status sp_jpeg_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err);
void sp_jpeg_close(sp_image *im);
const char *sp_jpeg_support(void); /* "libjpeg-turbo" or NULL */

/* image_png.c */
sp_status sp_png_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err);

/* image_resize.c: antialiased bilinear resampling, bit for bit as Pillow's Image.resize(BILINEAR) on 8-bit
 * RGB. */
typedef struct sp_resampler {
    int *bounds;      /* [out][2]: first input pixel and how many */
    int32_t *weights; /* [out][window] of 22 bits after the point */
    size_t bounds_cap, weights_cap;
    uint8_t *rows; /* horizontally resized rows */
    size_t rows_bytes;
} sp_resampler;
void sp_resampler_free(sp_resampler *r);

/* `part` of the image, resized to full_height x full_width, of that the window of height x width at (top,
 * left): out [height][width][3]. */
typedef struct sp_resize_window {
    sp_part part;
    int full_height, full_width, top, left, height, width;
} sp_resize_window;
sp_status sp_image_resize(sp_resampler *r, const sp_image *im, const sp_resize_window *w, uint8_t *out,
                          sp_error *err);

/* As torchvision's Resize(shorter) and CenterCrop(side). */
sp_resize_window sp_resize_centre(int height, int width, int shorter, int side);

bool sp_name_is_image(int at, const char *name, const void *ctx); /* image_folder.c: .jpg, .jpeg, .png */

#endif
