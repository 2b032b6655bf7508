/* PNG files through libpng's simplified interface (no longjmp): encoded in memory, then the file is replaced
 * as a whole, so that a reader never sees half a picture. */
#include <png.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/file.h"
#include "base/output.h"
#include "plot/picture.h"

enum { MAX_SIDE = 65535 };

sp_status sp_png_write_rgb(const char *path, int width, int height, const uint8_t *rgb, sp_error *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes;
    sp_bytes part = {0};
    void *data;
    sp_status st;

    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return SP_FAIL(err, SP_E_FAILED, "%s: a picture of %d x %d pixels; choose sides of 1 to %d", path,
                       width, height, MAX_SIDE);
    SP_TRY(sp_output_check(path, SP_OUTPUT_PICTURE, NULL, 0, err));
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
    data = sp_alloc(bytes);
    if (!data)
        return SP_FAIL(err, SP_E_MEMORY, "%s: no memory for a picture of %d x %d pixels", path, width,
                       height);
    if (png_image_write_to_memory(&image, data, &bytes, 0, rgb, 0, NULL)) {
        part = (sp_bytes){data, bytes};
        st = sp_file_replace(path, &part, 1, err);
    } else {
        st = SP_FAIL(err, SP_E_FAILED, "%s: cannot be encoded as PNG: %s", path, image.message);
    }
    sp_free(data);
    return st;
}
