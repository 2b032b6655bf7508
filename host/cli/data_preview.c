/* spikeport data preview: a sheet of samples as the network gets them, augmentation included, with their
 * labels. Still images fill a grid; a sequence is a row of its frames; spike trains without a picture are a
 * raster, time to the right. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/data.h"
#include "plot/picture.h"

enum { TILE_PIXELS = 96, MAX_FRAMES = 32, SHEET_WIDTH = 1600 };

typedef struct preview {
    const sp_recipe *recipe;
    const sp_dataset *ds;
    bool raster;               /* a tile is [channels][frames], not a frame */
    int width, height, frames; /* of a tile; tiles of a sample */
    size_t n, frame_items;
    float *sample;
    uint8_t *pixels;
    char (*texts)[48];
    sp_tile *tiles;
} preview;

static double byte_of(double v)
{
    return v < 0.0 ? 0.0 : v > 1.0 ? 255.0 : v * 255.0 + 0.5;
}

/* Pictures are shown as before the normalisation. */
static double plain(const sp_recipe *r, double v, int channel)
{
    double mean = r->data.n_means ? r->data.means[channel % r->data.n_means] : r->data.mean;
    double std = r->data.n_stds ? r->data.stds[channel % r->data.n_stds] : r->data.std;
    return v * std + mean;
}

static void put(uint8_t *rgb, double r, double g, double b)
{
    rgb[0] = (uint8_t)byte_of(r);
    rgb[1] = (uint8_t)byte_of(g);
    rgb[2] = (uint8_t)byte_of(b);
}

/* Two polarities on white: the first blue, the second red, darker where there were more events; roots, so
 * that single events beside busy pixels can be seen. */
static void draw_polarities(const float *from, size_t pixels, double most, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++) {
        double off = sqrt(fmax(0.0, (double)from[2 * i]) / most),
               on = sqrt(fmax(0.0, (double)from[2 * i + 1]) / most);
        put(rgb + 3 * i, 1.0 - off, 1.0 - 0.85 * fmax(off, on), 1.0 - on);
    }
}

static void draw_frame(const preview *p, const float *from, double most, uint8_t *rgb)
{
    int channels = p->ds->info.channels;
    size_t pixels = (size_t)p->width * (size_t)p->height;
    if (channels == 2) {
        draw_polarities(from, pixels, most, rgb);
        return;
    }
    for (size_t i = 0; i < pixels; i++, from += channels) {
        double v[3];
        for (int c = 0; c < 3; c++)
            v[c] = plain(p->recipe, (double)from[channels == 3 ? c : 0], channels == 3 ? c : 0);
        put(rgb + 3 * i, v[0], v[1], v[2]);
    }
}

static void draw_raster(const preview *p, double most, uint8_t *rgb)
{
    for (int t = 0; t < p->width; t++)
        for (int c = 0; c < p->height; c++) {
            double v =
                1.0 - sqrt(fmax(0.0, (double)p->sample[(size_t)t * (size_t)p->height + (size_t)c]) / most);
            put(rgb + 3 * ((size_t)c * (size_t)p->width + (size_t)t), v, v, v);
        }
}

static void draw_sample(preview *p, size_t i, int32_t label)
{
    size_t tile_bytes = (size_t)p->width * (size_t)p->height * 3, frames = (size_t)p->frames;
    size_t items = p->frame_items * (p->ds->info.frames ? (size_t)p->ds->info.frames : 1);
    double most = 1.0;
    for (size_t k = 0; k < items; k++)
        most = fmax(most, (double)p->sample[k]);
    sp_text targets = {0};
    if (p->ds->info.targets)
        sp_dataset_target_text(p->ds, i, &targets);
    if (targets.s)
        snprintf(p->texts[i], sizeof p->texts[i], "%zu: %s", i, targets.s);
    else
        snprintf(p->texts[i], sizeof p->texts[i], "%zu: class %d", i, (int)label);
    sp_text_free(&targets);
    for (size_t f = 0; f < frames; f++) {
        sp_tile *tile = &p->tiles[i * frames + f];
        uint8_t *rgb = p->pixels + (i * frames + f) * tile_bytes;
        *tile = (sp_tile){rgb, f == 0 ? p->texts[i] : NULL};
        if (p->raster)
            draw_raster(p, most, rgb);
        else
            draw_frame(p, p->sample + f * p->frame_items, most, rgb);
    }
}

static void measure(preview *p, int64_t count)
{
    const sp_dataset_info *d = &p->ds->info;
    p->raster = d->frames > 0 && d->height == 1 && d->width == 1;
    p->width = p->raster ? d->frames : d->width;
    p->height = p->raster ? d->channels : d->height;
    p->frames = d->frames == 0 || p->raster ? 1 : d->frames > MAX_FRAMES ? MAX_FRAMES : d->frames;
    p->frame_items = (size_t)d->height * (size_t)d->width * (size_t)d->channels;
    p->n = (size_t)count < d->count ? (size_t)count : d->count;
}

static sp_status allocate(preview *p, sp_error *err)
{
    size_t frames = p->ds->info.frames ? (size_t)p->ds->info.frames : 1, tiles = p->n * (size_t)p->frames;
    p->sample = sp_alloc_array(frames * p->frame_items, sizeof *p->sample);
    p->pixels = sp_alloc_array(tiles * (size_t)p->width, (size_t)p->height * 3);
    p->texts = sp_alloc_array(p->n, sizeof *p->texts);
    p->tiles = sp_alloc_array(tiles, sizeof *p->tiles);
    return p->sample && p->pixels && p->texts && p->tiles
               ? SP_OK
               : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sheet; show fewer");
}

static sp_status draw_sheet(preview *p, const sp_cli_data *o, sp_error *err)
{
    int side = p->width > p->height ? p->width : p->height,
        zoom = side < TILE_PIXELS ? TILE_PIXELS / side : 1;
    int columns = p->frames > 1 ? p->frames : SHEET_WIDTH / (p->width * zoom + 6);
    sp_sheet sheet = {.tiles = p->tiles,
                      .n = p->n * (size_t)p->frames,
                      .width = p->width,
                      .height = p->height,
                      .zoom = zoom};
    sheet.columns = columns < 1 ? 1 : (size_t)columns > sheet.n ? (int)sheet.n : columns;
    SP_TRY(allocate(p, err));
    sheet.tiles = p->tiles;
    for (size_t i = 0; i < p->n; i++) {
        sp_sample_request want = {.index = i, .epoch = (uint64_t)o->epoch};
        int32_t label = 0;
        SP_TRY(p->ds->get(p->ds, want, p->sample, &label, err));
        draw_sample(p, i, label);
    }
    SP_TRY(sp_sheet_write(o->out, &sheet, err));
    if (o->json)
        return sp_cli_json_line(json_pack("{s:o, s:I, s:s}", "path", sp_cli_json_text(o->out), "samples",
                                          (json_int_t)p->n, "split", o->test ? "test" : "train"));
    printf("%s: %zu samples of %s, %s split, epoch %lld\n", o->out, p->n, p->ds->info.name,
           o->test ? "test" : "training", (long long)o->epoch);
    return SP_OK;
}

sp_status sp_cli_data_preview(const sp_cli_data *o, sp_error *err)
{
    sp_dataset *ds = NULL;
    preview p = {.recipe = &o->recipe};
    sp_status st;
    SP_TRY(sp_picture_check(o->out, err));
    SP_TRY(sp_session_dataset(&o->recipe, !o->test, &ds, err));
    p.ds = ds;
    measure(&p, o->count);
    st = draw_sheet(&p, o, err);
    sp_free(p.sample);
    sp_free(p.pixels);
    sp_free(p.texts);
    sp_free(p.tiles);
    sp_dataset_close(&ds);
    return st;
}
