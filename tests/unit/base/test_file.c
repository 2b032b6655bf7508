/* Replacing files safely, locks, folders, lines. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static char folder[64];
static char path[96], temp[96], other[96];
static sp_error err;

static void make(void)
{
    strcpy(folder, "/tmp/spikeport-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(temp, sizeof temp, "%s/file.tmp", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

static void clean(void)
{
    char *remove = sp_format("rm -rf %s", folder);
    cr_assert_eq(system(remove), 0);
    sp_free(remove);
}

TestSuite(file, .init = make, .fini = clean);

static void expect(const char *file, const char *want)
{
    char *text;
    size_t n;
    cr_assert_eq(sp_file_read(file, 1000, &text, &n, &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(text, want);
    sp_free(text);
}

/* The temporary file's name can be known beforehand: what lies there must not be written to. */
Test(file, replace_never_writes_through_a_planted_name)
{
    for (int kind = 0; kind < 4; kind++) {
        cr_assert_eq(sp_file_replace_text(other, "precious", &err), SP_OK);
        if (kind == 0)
            cr_assert_eq(symlink(other, temp), 0);
        else if (kind == 1)
            cr_assert_eq(link(other, temp), 0);
        else if (kind == 2)
            cr_assert_eq(mkfifo(temp, 0600), 0);
        else
            cr_assert_eq(symlink("/no/such/place", temp), 0);
        cr_assert_eq(sp_file_replace_text(path, "mine", &err), SP_OK, "%d: %s", kind, err.text);
        expect(path, "mine");
        expect(other, "precious");
        cr_assert_eq(access(temp, F_OK), -1);
    }
}

Test(file, replace_takes_over_what_a_dead_process_left)
{
    if (fork() == 0) {
        FILE *f = fopen(temp, "w");
        fputs("half of a very long file", f);
        fflush(f);
        raise(SIGKILL);
    }
    wait(NULL);
    cr_assert_eq(access(temp, F_OK), 0);
    cr_assert_eq(sp_file_replace_text(path, "whole", &err), SP_OK, "%s", err.text);
    expect(path, "whole");
    cr_assert_eq(access(temp, F_OK), -1);
}

static void *write_many(void *letter)
{
    char text[5000];
    memset(text, *(char *)letter, sizeof text);
    for (int i = 0; i < 50; i++)
        if (sp_file_replace(path, &(sp_bytes){text, sizeof text}, 1, NULL) != SP_OK)
            return letter;
    return NULL;
}

Test(file, writers_of_one_file_do_not_mix)
{
    static char letters[4] = "abcd";
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_many, &letters[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    char *text;
    size_t n;
    cr_assert_eq(sp_file_read(path, 10000, &text, &n, &err), SP_OK);
    cr_assert_eq(n, 5000u);
    for (size_t i = 1; i < n; i++)
        cr_assert_eq(text[i], text[0]);
    sp_free(text);
}

Test(file, a_lock_ends_with_its_process)
{
    int ready[2], fd;
    char c;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sp_file_lock(path, true);
        cr_assert_eq(write(ready[1], "x", 1), 1);
        pause();
    }
    cr_assert_eq(read(ready[0], &c, 1), 1);
    cr_assert_eq(sp_file_lock(path, false), -1);
    cr_assert_eq(errno, EWOULDBLOCK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_geq(fd = sp_file_lock(path, false), 0);
    close(fd);
}

Test(file, makes_folders_on_the_way)
{
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
    cr_assert_eq(sp_folder_make(deep, 0777, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_folder_make(deep, 0777, &err), SP_OK, "%s", err.text);
    cr_assert(sp_path_is_folder(deep));
    snprintf(deep, sizeof deep, "%s/d/e/file", folder);
    cr_assert_eq(sp_folder_make_of(deep, 0777, &err), SP_OK, "%s", err.text);
    cr_assert(!sp_path_exists(deep));
    *strrchr(deep, '/') = '\0';
    cr_assert(sp_path_exists(deep));
    cr_assert_eq(sp_file_replace_text(path, "", &err), SP_OK);
    cr_assert_eq(sp_folder_make(path, 0777, &err), SP_E_IO); /* a file is there */
}

Test(file, only_regular_files_are_opened)
{
    const char *const wrong[] = {other, folder, "/dev/zero", "/dev/null"};
    char *text;
    size_t n;
    sp_lines l;
    cr_assert_eq(mkfifo(other, 0600), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(sp_file_open(wrong[i], &err), -1, "%s", wrong[i]);
        cr_assert(errno == ENOTSUP && err.status == SP_E_IO && strstr(err.text, "not a regular file"));
        cr_assert_null(sp_file_stream(wrong[i], NULL));
        cr_assert_eq(sp_file_read(wrong[i], 1000, &text, &n, &err), SP_E_IO);
        cr_assert(!sp_lines_open(&l, NULL, wrong[i], &err));
        sp_lines_close(&l);
    }
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    char *handed_over = sp_format("/dev/fd/%d", ends[0]);
    expect(handed_over, "piped");
    sp_free(handed_over);
    close(ends[0]);
}

Test(file, lines)
{
    sp_lines l;
    cr_assert_eq(sp_file_replace_text(path, "{\"a\":1}\n\n \t\r\nno json\n[2]", &err), SP_OK);
    cr_assert(sp_lines_open(&l, folder, "file", &err) && sp_lines_next(&l) && l.number == 1);
    json_t *j = sp_lines_json(&l);
    cr_assert(json_is_array(j) && l.number == 5);
    json_decref(j);
    cr_assert(!sp_lines_next(&l) && !sp_lines_json(&l));
    sp_lines_close(&l);
    cr_assert(!sp_lines_open(&l, folder, "missing", &err) && errno == ENOENT && !sp_lines_next(&l));
    sp_lines_close(&l);
}
