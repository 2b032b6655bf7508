/* Photos: which decoder a file is for, and the limits that hold for all of them. */
#include "data/image.h"
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"

sp_status sp_image_room(uint8_t **memory, size_t *bytes, size_t n, const char *name, sp_error *err)
{
    if (n <= *bytes)
        return SP_OK;
    sp_free(*memory);
    *memory = sp_alloc(n);
    *bytes = *memory ? n : 0;
    return *memory ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: no memory for %zu bytes of pixels", name, n);
}

sp_status sp_image_check_size(const char *name, const char *format, uint64_t width, uint64_t height,
                              sp_error *err)
{
    if (width < 1 || height < 1)
        return SP_FAIL(err, SP_E_DATA, "%s: the %s header says %llu x %llu pixels; the file is damaged", name,
                       format, (unsigned long long)width, (unsigned long long)height);
    int64_t pixels;
    if (width > SP_IMAGE_MAX_SIDE || height > SP_IMAGE_MAX_SIDE ||
        !SP_SIZE_MUL(&pixels, (int64_t)width, (int64_t)height) || pixels > SP_IMAGE_MAX_PIXELS)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: the %s header says %llu x %llu pixels; sides of up to %d and %d pixels in all "
                       "are read: damaged, or to be made smaller first",
                       name, format, (unsigned long long)width, (unsigned long long)height, SP_IMAGE_MAX_SIDE,
                       SP_IMAGE_MAX_PIXELS);
    return SP_OK;
}

sp_status sp_image_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (n == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); remove it, or fetch it again", name);
    if (n >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return sp_png_decode(im, name, bytes, n, err);
    if (n >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return sp_jpeg_decode(im, name, bytes, n, err);
    return SP_FAIL(err, SP_E_DATA,
                   "%s: byte 0: 0x%02x 0x%02x begins neither a JPEG nor a PNG file; convert it, or remove it "
                   "from the folder",
                   name, bytes[0], n > 1 ? bytes[1] : 0u);
}

void sp_image_free(sp_image *im)
{
    sp_jpeg_close(im);
    sp_free(im->rgb);
    sp_free(im->raw);
    memset(im, 0, sizeof *im);
}
