/* JPEG files to 8-bit RGB through TurboJPEG, with the slow accurate transform and smooth chroma, as Pillow
 * and torchvision use it. Without libjpeg-turbo this file refuses. Does not look at EXIF or colour profiles.
 */
#include <string.h>
#include "base/error.h"
#include "data/image.h"

#ifdef SP_WITH_JPEG

#include <turbojpeg.h>

const char *sp_jpeg_support(void)
{
    return "libjpeg-turbo";
}

/* Padding before a marker is common in old photos and costs no pixel; every other warning means lost pixels.
 */
static bool harmless(tjhandle decoder)
{
    return strstr(tjGetErrorStr2(decoder), "extraneous bytes before marker") != NULL;
}

/* TurboJPEG does not find its way back from an error in a header, so the next file gets a new decoder. */
static sp_status damaged(sp_image *im, const char *name, size_t n, sp_error *err)
{
    sp_status st =
        SP_FAIL(err, SP_E_DATA, "%s: damaged JPEG file of %zu bytes: %s; fetch it again, or remove it", name,
                n, tjGetErrorStr2(im->decoder));
    sp_jpeg_close(im);
    return st;
}

static sp_status decompress(sp_image *im, const char *name, const uint8_t *bytes, size_t n, uint8_t *to,
                            int format, sp_error *err)
{
    const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
    int failed = tjDecompress2(im->decoder, bytes, n, to, im->width, 0, im->height, format,
                               flags | TJFLAG_STOPONWARNING);
    if (failed && harmless(im->decoder))
        failed = tjDecompress2(im->decoder, bytes, n, to, im->width, 0, im->height, format, flags) &&
                 !harmless(im->decoder);
    return failed ? damaged(im, name, n, err) : SP_OK;
}

static unsigned times(unsigned a, unsigned b)
{
    unsigned t = a * b + 128u;
    return (t + (t >> 8)) >> 8;
}

/* Adobe's files, the only ones in use, hold 255 - ink. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++, cmyk += 4)
        for (int c = 0; c < 3; c++) {
            int v = cmyk[3] - (int)times(255u - cmyk[c], cmyk[3]);
            *rgb++ = (uint8_t)(v < 0 ? 0 : v);
        }
}

sp_status sp_jpeg_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err)
{
    int subsampling = -1, colours = -1;
    size_t pixels;
    if (!im->decoder)
        im->decoder = tjInitDecompress();
    if (!im->decoder)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for TurboJPEG", name);
    if (tjDecompressHeader3(im->decoder, bytes, n, &im->width, &im->height, &subsampling, &colours) != 0)
        return damaged(im, name, n, err);
    SP_TRY(sp_image_check_size(name, "JPEG", (uint64_t)(im->width < 0 ? 0 : im->width),
                               (uint64_t)(im->height < 0 ? 0 : im->height), err));
    pixels = (size_t)im->width * (size_t)im->height;
    SP_TRY(sp_image_room(&im->rgb, &im->rgb_bytes, pixels * 3, name, err));
    if (colours != TJCS_CMYK && colours != TJCS_YCCK)
        return decompress(im, name, bytes, n, im->rgb, TJPF_RGB, err);
    SP_TRY(sp_image_room(&im->raw, &im->raw_bytes, pixels * 4, name, err));
    SP_TRY(decompress(im, name, bytes, n, im->raw, TJPF_CMYK, err));
    cmyk_to_rgb(im->raw, pixels, im->rgb);
    return SP_OK;
}

void sp_jpeg_close(sp_image *im)
{
    if (im->decoder)
        tjDestroy(im->decoder);
    im->decoder = NULL;
}

#else

const char *sp_jpeg_support(void)
{
    return NULL;
}

sp_status sp_jpeg_decode(sp_image *im, const char *name, const uint8_t *bytes, size_t n, sp_error *err)
{
    (void)im, (void)bytes;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: a JPEG file of %zu bytes, but this spikeport was built without JPEG; install "
                   "libjpeg-turbo (Debian: libturbojpeg0-dev) and configure again with "
                   "-DSPIKEPORT_WITH_JPEG=ON, or convert the images to PNG",
                   name, n);
}

void sp_jpeg_close(sp_image *im)
{
    (void)im;
}

#endif
