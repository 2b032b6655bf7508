/* Choosing one device of a list by a person's words, and saying why, or what there is instead. Works on the
 * list alone: no OpenCL call is made here but for the list of sp_device_of_local_rank. */
#include "cl/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/suggest.h"

static const char *const type_words[] = {"auto", "cpu", "gpu", "accelerator"};
enum { N_TYPE_WORDS = sizeof type_words / sizeof *type_words };

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, n) == 0)
            return true;
    return false;
}

/* Higher is better in the automatic choice; 0 is never chosen. A simulator calls itself a GPU, and is slower
 * than any device; a graphics driver on the CPU claims more compute units than there are cores. */
static int rank(const sp_device_info *info)
{
    static const int by_type[] = {[SP_DEVICE_CPU] = 3, [SP_DEVICE_ACCELERATOR] = 4, [SP_DEVICE_GPU] = 5};
    if (sp_device_unusable(info) || info->type == SP_DEVICE_OTHER)
        return 0;
    return info->quirks & SP_QUIRK_SLOW_SIMULATOR    ? 1
           : info->quirks & SP_QUIRK_GRAPHICS_ON_CPU ? 2
                                                     : by_type[info->type];
}

/* Best usable device of the type, or of all types for type < 0; list->n when there is none. *others counts
 * rivals. */
static size_t best_of(const sp_device_list *list, int type, size_t *others)
{
    size_t best = list->n, n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const sp_device_info *a = &list->items[i];
        if (rank(a) == 0 || (type >= 0 && (int)a->type != type))
            continue;
        n++;
        if (best == list->n || rank(a) > rank(&list->items[best]) ||
            (rank(a) == rank(&list->items[best]) && a->compute_units > list->items[best].compute_units))
            best = i;
    }
    *others = n ? n - 1 : 0;
    return best;
}

static size_t by_number(const sp_device_list *list, const char *selector)
{
    char *end;
    long first = strtol(selector, &end, 10), second = *end == ':' ? strtol(end + 1, NULL, 10) : -1;
    for (size_t i = 0; i < list->n; i++) {
        const sp_device_info *info = &list->items[i];
        if (second < 0 ? info->index == first : info->platform_index == first && info->device_index == second)
            return i;
    }
    return list->n;
}

/* First usable device whose name or platform has the part in it, or the first of the unusable ones. */
static size_t by_name(const sp_device_list *list, const char *part, size_t *others)
{
    size_t first = list->n, first_unusable = list->n, n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (!contains(list->items[i].name, part) && !contains(list->items[i].platform, part))
            continue;
        if (sp_device_unusable(&list->items[i])) {
            first_unusable = first_unusable == list->n ? i : first_unusable;
            continue;
        }
        if (n++ == 0)
            first = i;
    }
    *others = n ? n - 1 : 0;
    return n ? first : first_unusable;
}

/* "3" or "0:1". */
static bool is_number(const char *s)
{
    size_t n = strspn(s, "0123456789");
    if (n == 0)
        return false;
    if (s[n] == ':') {
        size_t m = strspn(s + n + 1, "0123456789");
        return m > 0 && s[n + 1 + m] == '\0';
    }
    return s[n] == '\0';
}

/* What the loader was told in the environment, because it is the usual reason for a missing device. */
static void add_environment(sp_text *t)
{
    static const char *const names[] = {"OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH", "OCL_ICD_FILENAMES",
                                        "RUSTICL_ENABLE", "POCL_DEVICES"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value)
            sp_text_add(t, "; %s is set to \"%.80s\": is that meant?", names[i], value);
    }
}

static sp_status nothing_there(const sp_device_list *list, sp_error *err)
{
    sp_text t = {0};
    if (list->n_platforms == 0)
        sp_text_add(&t, "no OpenCL platform was found");
    else
        sp_text_add(&t, "%zu OpenCL platform%s, but no device", list->n_platforms,
                    list->n_platforms == 1 ? " was found" : "s were found");
    sp_text_add(&t, "; install a driver (Debian packages: pocl-opencl-icd for any CPU, intel-opencl-icd for "
                    "Intel GPUs, mesa-opencl-icd for AMD and others, which shows a GPU only with "
                    "RUSTICL_ENABLE=<driver>, or the vendor's own)");
    add_environment(&t);
    sp_status st = SP_FAIL(err, SP_E_DEVICE, "%s", t.s ? t.s : "no OpenCL device was found");
    sp_text_free(&t);
    return st;
}

static sp_status no_match(const sp_device_list *list, const char *selector, bool from_env, sp_error *err)
{
    sp_text t = {0};
    sp_text_add(&t, "no %sdevice fits %s\"%.60s\"; there is", strcmp(selector, "auto") == 0 ? "usable " : "",
                from_env ? "SPIKEPORT_DEVICE=" : "", selector);
    for (size_t i = 0; i < list->n; i++) {
        const sp_device_info *info = &list->items[i];
        if (i == 6) {
            sp_text_add(&t, "; and %zu more (spikeport devices)", list->n - i);
            break;
        }
        const char *unusable = sp_device_unusable(info);
        sp_text_add(&t, "%s %d (%d:%d) %s \"%s\" of %s%s%s", i ? ";" : "", info->index, info->platform_index,
                    info->device_index, sp_device_type_name(info->type), info->name, info->platform,
                    unusable ? ", unusable: " : "", unusable ? unusable : "");
    }
    sp_text_add(&t, ". Choose by number, platform:device, type (gpu, cpu, accelerator) or a part of a name");
    const char *near = sp_suggest(selector, type_words, N_TYPE_WORDS);
    if (near && strcasecmp(near, selector) != 0)
        sp_text_add(&t, "; did you mean \"%s\"?", near);
    else if (strcasecmp(selector, "gpu") == 0)
        sp_text_add(&t, "; Mesa shows a GPU only with RUSTICL_ENABLE=<driver>");
    add_environment(&t);
    sp_status st = SP_FAIL(err, SP_E_DEVICE, "%s", t.s ? t.s : "no device fits, and memory is out");
    sp_text_free(&t);
    return st;
}

/* Index of the type word: -1 for "auto", else an sp_device_type; -2 when it is none. */
static int type_of(const char *selector)
{
    if (strcasecmp(selector, "auto") == 0)
        return -1;
    for (int type = SP_DEVICE_CPU; type <= SP_DEVICE_ACCELERATOR; type++)
        if (strcasecmp(selector, sp_device_type_name((sp_device_type)type)) == 0)
            return type;
    return -2;
}

sp_status sp_device_choose(const sp_device_list *list, const char *selector, size_t *chosen, char *why,
                           size_t why_size, sp_error *err)
{
    bool from_env = false;
    if (!selector) {
        const char *env = sp_setting("SPIKEPORT_DEVICE");
        from_env = env && *env;
        selector = from_env ? env : "auto";
    }
    if (*selector == '\0')
        selector = "auto";
    if (list->n == 0)
        return nothing_there(list, err);
    int type = type_of(selector);
    size_t others = 0, i;
    const char *how;
    if (type >= -1) {
        i = best_of(list, type, &others);
        how = type == -1 ? "automatic choice (gpu, accelerator, cpu, simulator; most compute units)"
                         : "first by compute units";
    } else if (is_number(selector)) {
        i = by_number(list, selector);
        how = "asked for by number";
    } else {
        i = by_name(list, selector, &others);
        how = others ? "first whose name fits" : "the only one whose name fits";
    }
    if (i == list->n)
        return no_match(list, selector, from_env, err);
    const char *unusable = sp_device_unusable(&list->items[i]);
    if (unusable)
        return SP_FAIL(err, SP_E_DEVICE,
                       "device %d \"%s\" cannot be used: %s; choose another one (spikeport devices)",
                       list->items[i].index, list->items[i].name, unusable);
    *chosen = i;
    char rivals[48] = "";
    if (others)
        snprintf(rivals, sizeof rivals, ", of %zu candidates", others + 1);
    if (why && why_size)
        snprintf(why, why_size, "%s\"%.60s\": %s%s", from_env ? "SPIKEPORT_DEVICE=" : "", selector, how,
                 rivals);
    return SP_OK;
}

static bool is_like(const sp_device_info *a, const sp_device_info *b)
{
    return a->platform_index == b->platform_index && a->type == b->type && strcmp(a->name, b->name) == 0 &&
           !sp_device_unusable(a);
}

sp_status sp_device_of_local_rank(const char *selector, int local, char number[16], sp_error *err)
{
    sp_device_list list = {0};
    size_t chosen, n = 0;
    sp_status st = sp_device_list_init(&list, err);
    if (st == SP_OK)
        st = sp_device_choose(&list, selector, &chosen, NULL, 0, err);
    const sp_device_info *like = st == SP_OK ? &list.items[chosen] : NULL;
    for (size_t i = 0; like && i < list.n; i++)
        n += is_like(&list.items[i], like);
    size_t left = n ? (size_t)local % n : 0;
    for (size_t i = 0; like && i < list.n && !(selector && is_number(selector)); i++)
        if (is_like(&list.items[i], like) && left-- == 0) {
            like = &list.items[i];
            break;
        }
    if (like)
        snprintf(number, 16, "%d", like->index);
    sp_device_list_fini(&list);
    return st;
}
