/* Compiled programs on disk. Forced on here: on PoCL, which keeps its own, normal runs do without. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sha256.h"
#include "cl/internal.h"
#include "cl/program.h"

static char folder[64], programs[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/spikeport-cache-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(programs, sizeof programs, "%s/programs", folder);
    setenv("SPIKEPORT_CACHE_DIR", folder, 1);
    setenv("SPIKEPORT_PROGRAM_CACHE", "on", 1);
}

static void setup(void)
{
    sp_error err = {0};
    sp_device *dev = NULL;
    make_folder();
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
    bool slow = dev->info.quirks & SP_QUIRK_SLOW_SIMULATOR;
    sp_device_close(&dev);
    if (slow)
        cr_skip_test("a simulator: its programs are not for keeping");
}

static void teardown(void)
{
    char line[128];
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    cr_assert_eq(system(line), 0);
}
TestSuite(cache, .init = setup, .fini = teardown);

/* Builds and runs a program that writes `value`; tells how many programs were built and how many came from
 * the cache. No assertion in here: forked processes would all wait for answers on the one socket of the test.
 */
static const char *use(int value, uint64_t *built, uint64_t *cached)
{
    static const sp_source piece = {"f.cl", "kernel void f(global int *x) { x[get_global_id(0)] = VALUE; }"};
    static sp_error err;
    sp_device *dev = NULL;
    cl_program program;
    cl_mem mem = NULL;
    char options[32];
    int32_t got[4] = {0};
    size_t global = 4;
    snprintf(options, sizeof options, "-DVALUE=%d", value);
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        return err.text;
    if (sp_program_get(dev, "test:f", &piece, 1, options, &program, &err) != SP_OK ||
        sp_device_alloc(dev, sizeof got, "x", &mem, &err) != SP_OK)
        return err.text;
    cl_kernel k = clCreateKernel(program, "f", NULL);
    if (!k || clSetKernelArg(k, 0, sizeof mem, &mem) != CL_SUCCESS)
        return "no kernel";
    if (sp_device_enqueue(dev, k, "f", 1, &global, NULL, &err) != SP_OK ||
        sp_device_read(dev, (sp_range){mem, 0}, got, sizeof got, &err) != SP_OK)
        return err.text;
    *built = dev->n_builds;
    *cached = dev->n_cached;
    clReleaseKernel(k);
    sp_device_free(dev, &mem);
    sp_device_close(&dev);
    return got[0] == value && got[3] == value ? NULL : "another number than the program writes";
}

static int files(char *last, size_t last_size)
{
    int n = 0;
    DIR *d = opendir(programs);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            n++;
            if (last)
                snprintf(last, last_size, "%s/%s", programs, e->d_name);
        }
    if (d)
        closedir(d);
    return n;
}

static void expect(int value, uint64_t built, uint64_t cached, const char *when)
{
    uint64_t b, c;
    const char *why = use(value, &b, &c);
    cr_assert_null(why, "%s: %s", when, why);
    cr_assert(b == built && c == cached, "%s: %d built, %d kept", when, (int)b, (int)c);
}

Test(cache, a_program_is_built_once_and_then_taken_from_disk)
{
    expect(7, 1, 0, "first");
    cr_assert_eq(files(NULL, 0), 1);
    expect(7, 0, 1, "second");
    expect(8, 1, 0, "other options");
    cr_assert_eq(files(NULL, 0), 2);
}

Test(cache, whatever_is_wrong_with_a_file_the_program_is_built_again)
{
    char path[400];
    struct stat info;
    expect(7, 1, 0, "first");
    cr_assert_eq(files(path, sizeof path), 1);
    cr_assert_eq(stat(path, &info), 0);
    const long at[] = {
        3, 30, 40, 80, info.st_size / 2, info.st_size - 1}; // format, length, key, sum, payload
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        FILE *f = fopen(path, "r+b");
        fseek(f, at[i], SEEK_SET);
        int c = fgetc(f);
        fseek(f, at[i], SEEK_SET);
        fputc(c ^ 1, f);
        fclose(f);
        expect(7, 1, 0, "a flipped bit");
        expect(7, 0, 1, "mended");
    }
    const long sizes[] = {0, 10, 96, info.st_size - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cr_assert_eq(truncate(path, sizes[i]), 0);
        expect(7, 1, 0, "cut off");
        expect(7, 0, 1, "mended");
    }
    FILE *f = fopen(path, "ab");
    fputc(0, f);
    fclose(f);
    expect(7, 1, 0, "too long");
}

/* No OpenCL before the fork: a driver's threads do not live on in a child. */
Test(processes, four_with_one_empty_cache_all_finish, .fini = teardown, .timeout = 120)
{
    pid_t child[4];
    bool none = false;
    make_folder();
    for (int i = 0; i < 4; i++)
        if ((child[i] = fork()) == 0) {
            uint64_t b = 0, c = 0;
            sp_device *dev = NULL;
            if (sp_device_open(NULL, NULL, &dev, NULL) != SP_OK)
                _exit(77);
            sp_device_close(&dev);
            for (int value = 1; value <= 3; value++)
                if (use(value, &b, &c))
                    _exit(2);
            _exit(b + c == 1 ? 0 : 1);
        }
    for (int i = 0; i < 4; i++) {
        int status;
        cr_assert_eq(waitpid(child[i], &status, 0), child[i]);
        none = none || (WIFEXITED(status) && WEXITSTATUS(status) == 77);
        cr_assert(none || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "process %d: %x", i,
                  (unsigned)status);
    }
    if (none)
        cr_skip_test("no OpenCL device");
    cr_assert_eq(files(NULL, 0), 3);
    expect(2, 0, 1, "afterwards");
}

static char said[1024];

static void listen(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    if (level == SP_LOG_WARNING)
        strncat(said, text, sizeof said - strlen(said) - 1);
}

Test(cache, a_folder_that_cannot_be_written_is_one_warning)
{
    FILE *f = fopen(programs, "w"); // a file where the folder should be: not even root can write into it
    fclose(f);
    sp_log_install(listen, NULL);
    expect(7, 1, 0, "first");
    expect(8, 1, 0, "another");
    const char *first = strstr(said, "compiled programs are not kept");
    cr_assert(first && strstr(said, programs), "%s", said);
    cr_assert_null(strstr(first + 1, "compiled programs are not kept"), "twice: %s", said);
}

Test(cache, off_where_the_driver_keeps_its_own)
{
    sp_device dev = {0};
    unsetenv("SPIKEPORT_PROGRAM_CACHE");
    cr_assert(sp_cache_wanted(&dev));
    dev.info.quirks = SP_QUIRK_HAS_PROGRAM_CACHE;
    cr_assert(!sp_cache_wanted(&dev));
    dev.info.quirks = SP_QUIRK_NO_BINARY_QUERY;
    cr_assert(!sp_cache_wanted(&dev));
    setenv("SPIKEPORT_PROGRAM_CACHE", "on", 1);
    cr_assert(sp_cache_wanted(&dev));
    dev.info.quirks = 0;
    setenv("SPIKEPORT_PROGRAM_CACHE", "off", 1);
    cr_assert(!sp_cache_wanted(&dev));
}

/* The examples of FIPS 180-4. */
Test(sha256, known_answers)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45"
                                                                     "964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < 3; i++) {
        unsigned char sum[32];
        char hex[65];
        sp_sha256 h;
        sp_sha256_init(&h);
        sp_sha256_add(&h, known[i].text, strlen(known[i].text));
        sp_sha256_finish(&h, sum);
        for (int k = 0; k < 32; k++)
            snprintf(hex + 2 * k, 3, "%02x", sum[k]);
        cr_assert_str_eq(hex, known[i].hex);
    }
}
