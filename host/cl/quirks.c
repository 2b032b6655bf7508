/* Matching a device against quirks.inc. Quirks are data: nothing else in the code asks for a vendor's name.
 */
#include "cl/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct rule {
    const char *platform, *types, *vendor, *driver;
    uint32_t flags;
    const char *evidence;
} rule;

/* The flags of a rule are written without their prefix; short names keep the table readable. */
enum {
#define SHORT_NAME(name, text) name = SP_QUIRK_##name,
    SP_QUIRKS(SHORT_NAME)
#undef SHORT_NAME
};

static const rule rules[] = {
#define QUIRKS(platform, types, vendor, driver, flags, evidence)                                             \
    {(platform), (types), (vendor), (driver), (flags), (evidence)},
#include "quirks.inc"
#undef QUIRKS
};
enum { N_RULES = sizeof rules / sizeof *rules };

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text || n == 0; text++)
        if (strncasecmp(text, part, n) == 0)
            return true;
    return false;
}

static bool fits(const rule *r, const sp_device_info *info)
{
    return contains(info->platform, r->platform) && contains(info->vendor, r->vendor) &&
           contains(info->driver, r->driver) &&
           (r->types[0] == '\0' || strchr(r->types, sp_device_type_name(info->type)[0]));
}

uint32_t sp_quirks_find(const sp_device_info *info)
{
    uint32_t flags = 0;
    for (size_t i = 0; i < N_RULES; i++)
        if (fits(&rules[i], info))
            flags |= rules[i].flags;
    return flags;
}

const char *sp_device_quirk_evidence(const sp_device_info *info, uint32_t quirk)
{
    if (!(info->quirks & quirk))
        return NULL;
    for (size_t i = 0; i < N_RULES; i++)
        if ((rules[i].flags & quirk) && fits(&rules[i], info))
            return rules[i].evidence;
    return quirk == SP_QUIRK_NARROW_CPU ? "the device says so: CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT is below "
                                          "16"
                                        : "the device says so: CL_DEVICE_LOCAL_MEM_TYPE is CL_GLOBAL";
}

void sp_device_quirk_names(uint32_t quirks, char *out, size_t out_size)
{
    static const char *const names[] = {
#define NAME(name, text) #name,
        SP_QUIRKS(NAME)
#undef NAME
    };
    size_t n = 0;
    if (out_size)
        out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names && n < out_size; i++)
        if (quirks & (1u << i))
            n += (size_t)snprintf(out + n, out_size - n, "%s%s", n ? ", " : "", names[i]);
}
