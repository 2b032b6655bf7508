/* The loader: threads fill a ring of batches ahead of the consumer. Batch i of an epoch is a pure function of
 * (data set, seed, epoch, i), whatever the threads, so a run that stops anywhere can go on with the same
 * batches. One consumer.
 *
 * The ring is counted, not flagged: claimed, made, given and freed count batches since start(); batch k lives
 * in slot k % depth. freed <= given <= made <= claimed <= freed + depth. Threads claim a few samples at a
 * time, in order: an error stops the claiming, and once the rest has come in, the first of the errors is the
 * epoch's. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/rng.h"
#include "base/scope.h"
#include "base/thread.h"
#include "data/loader.h"
#include "data/order.h"

enum { PAGE_BYTES = 4096, MAX_DEPTH = 1024, MAX_THREADS = 64, MAX_CLAIM = 16 };

typedef struct slot {
    sp_batch batch;
    size_t claimed, done; /* samples */
} slot;

typedef struct worker {
    sp_loader *loader;
    pthread_t thread;
    const sp_scope *scope; /* of who made the loader */
    float *scratch;        /* one sample, for sequences only */
} worker;

/* Samples from..to-1 of batch `k` of the ring. */
typedef struct task {
    size_t k, from, to;
    uint64_t epoch;
} task;

struct sp_loader {
    const sp_dataset *ds;
    sp_loader_options opt;
    size_t n_batches;
    size_t frames, frame_items; /* frames is 1 for static images */
    sp_order order;             /* of this epoch */
    float *scratch;             /* [threads][sample], for sequences only */
    slot *slots;                /* [depth] */
    worker *workers;            /* [threads] */
    size_t n_workers;           /* started */

    pthread_mutex_t lock; /* guards everything below, and claimed and done of the slots */
    pthread_cond_t for_threads, for_consumer;
    bool running; /* start() was called */
    bool quit;
    bool drop;   /* what is being read is not wanted any more: start() or destroy() */
    size_t busy; /* threads that are reading (outside the lock) */
    uint64_t epoch;
    size_t first;
    size_t claimed, made, given, freed;
    uint64_t failed_at; /* place of the failing sample in the epoch; UINT64_MAX: none */
    sp_error failure;
    double wait_seconds;
};

static bool dropped(sp_loader *l)
{
    bool yes;
    pthread_mutex_lock(&l->lock);
    yes = l->drop || l->quit;
    pthread_mutex_unlock(&l->lock);
    return yes;
}

static slot *slot_of(const sp_loader *l, size_t k)
{
    return &l->slots[k % (size_t)l->opt.depth];
}

/* Reads the sample at `place` of the epoch into place i of the batch; sequences are spread out so that time
 * comes first. */
static sp_status fill_sample(const sp_loader *l, const task *t, sp_batch *b, size_t i, float *scratch,
                             sp_error *err)
{
    size_t n = l->frame_items, batch = l->opt.batch;
    size_t at = b->index * l->opt.whole + l->opt.at + i;
    sp_sample_request want = {.index = l->order.index[at],
                              .epoch = t->epoch,
                              .repeat = l->order.repeat ? l->order.repeat[at] : 0};
    if (b->targets)
        l->ds->target(l->ds, want.index, b->targets + i * (size_t)l->ds->info.targets);
    if (l->frames == 1)
        return l->ds->get(l->ds, want, b->images + i * n, &b->labels[i], err);
    SP_TRY(l->ds->get(l->ds, want, scratch, &b->labels[i], err));
    for (size_t f = 0; f < l->frames; f++)
        memcpy(b->images + (f * batch + i) * n, scratch + f * n, n * sizeof(float));
    return SP_OK;
}

/* Past the last sample of the epoch: sample 0 of the batch again, so that the network sees ordinary numbers.
 */
void sp_loader_pad(const sp_loader *l, sp_batch *b)
{
    size_t n = l->frame_items, batch = l->opt.batch;
    for (size_t k = b->n_valid; k < batch; k++) {
        b->labels[k] = -1;
        for (size_t t = 0; t < l->frames; t++)
            memcpy(b->images + (t * batch + k) * n, b->images + t * batch * n, n * sizeof(float));
    }
}

static size_t claim_size(const sp_loader *l)
{
    size_t share = l->opt.batch / (4 * (size_t)l->opt.threads);
    return share < 1 ? 1 : share > MAX_CLAIM ? MAX_CLAIM : share;
}

/* The next samples that nobody reads yet, or false. Under the lock. */
static bool claim(sp_loader *l, task *t)
{
    slot *s = l->claimed > 0 ? slot_of(l, l->claimed - 1) : NULL;
    if (!l->running || l->drop || l->failed_at != UINT64_MAX)
        return false;
    if (!s || s->claimed == s->batch.n_valid) {
        size_t index = l->first + l->claimed, left;
        if (index >= l->n_batches || l->claimed >= l->freed + (size_t)l->opt.depth)
            return false;
        s = slot_of(l, l->claimed++);
        left = l->ds->info.count - index * l->opt.whole;
        s->batch.index = index;
        s->batch.n_valid = left < l->opt.batch ? left : l->opt.batch;
        s->claimed = s->done = 0;
    }
    *t = (task){.k = l->claimed - 1, .from = s->claimed, .to = s->claimed + claim_size(l), .epoch = l->epoch};
    if (t->to > s->batch.n_valid)
        t->to = s->batch.n_valid;
    s->claimed = t->to;
    return true;
}

/* Reads the samples of a task; *i is the place in the batch where an error or a drop ended it, t->to:
 * nowhere. */
static sp_status read_samples(sp_loader *l, const task *t, float *scratch, size_t *i, sp_error *err)
{
    for (*i = t->from; *i < t->to; ++*i) {
        if (dropped(l))
            return SP_OK;
        SP_TRY(fill_sample(l, t, &slot_of(l, t->k)->batch, *i, scratch, err));
    }
    return SP_OK;
}

static void note_failure(sp_loader *l, const task *t, size_t i, sp_status st, sp_error *err)
{
    size_t index = l->first + t->k;
    uint64_t place = (uint64_t)index * l->opt.whole + i;
    if (place >= l->failed_at)
        return;
    sp_error_prefix(err, st, "while reading batch %zu of epoch %llu: ", index + 1,
                    (unsigned long long)t->epoch + 1);
    l->failed_at = place;
    l->failure = *err;
    l->failure.status = st; /* also when a reader forgot to fill in the record */
}

/* A task that was read to its end. Under the lock, which is let go while the last batch is padded. */
static void finish_task(sp_loader *l, const task *t)
{
    slot *s = slot_of(l, t->k);
    size_t n = t->to - t->from;
    if (s->done + n == s->batch.n_valid && s->batch.n_valid < l->opt.batch) {
        pthread_mutex_unlock(&l->lock);
        sp_loader_pad(l, &s->batch);
        pthread_mutex_lock(&l->lock);
    }
    s->done += n;
    while (l->made < l->claimed && slot_of(l, l->made)->done == slot_of(l, l->made)->batch.n_valid)
        l->made++;
}

static void run_task(sp_loader *l, const task *t, float *scratch)
{
    sp_error err = {0};
    sp_status st;
    size_t i;
    l->busy++;
    pthread_mutex_unlock(&l->lock);
    st = read_samples(l, t, scratch, &i, &err);
    pthread_mutex_lock(&l->lock);
    if (!l->drop && st != SP_OK)
        note_failure(l, t, i, st, &err);
    else if (!l->drop && i == t->to)
        finish_task(l, t);
    l->busy--;
    pthread_cond_broadcast(&l->for_consumer);
}

static void *thread_main(void *arg)
{
    worker *w = arg;
    sp_loader *l = w->loader;
    sp_scope_enter(w->scope);
    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        task t;
        if (claim(l, &t))
            run_task(l, &t, w->scratch);
        else
            pthread_cond_wait(&l->for_threads, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static sp_status check_options(const sp_dataset *ds, const sp_loader_options *o, sp_error *err)
{
    if (o->batch == 0)
        return SP_FAIL(err, SP_E_CONFIG, "batch is 0; choose 1 or more");
    if (o->depth < 0 || o->depth > MAX_DEPTH)
        return SP_FAIL(err, SP_E_CONFIG,
                       "the loader reads %d batches ahead; choose 1 to %d, or 0 for the default", o->depth,
                       MAX_DEPTH);
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return SP_FAIL(err, SP_E_CONFIG, "the loader has %d threads; choose 1 to %d, or 0 for the default",
                       o->threads, MAX_THREADS);
    if (ds->info.count == 0 || ds->info.count > UINT32_MAX)
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\" has %zu samples; 1 to %lu can be loaded",
                       ds->info.name, ds->info.count, (unsigned long)UINT32_MAX);
    if (o->whole && (!o->drop_last || o->at > o->whole || o->batch > o->whole - o->at))
        return SP_FAIL(err, SP_E_CONFIG, "samples %zu to %zu are no part of a batch of %zu", o->at + 1,
                       o->at + o->batch, o->whole);
    if (o->drop_last && ds->info.count < (o->whole ? o->whole : o->batch))
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\" has %zu samples, fewer than one batch of %zu, and an incomplete "
                       "batch is dropped; choose a smaller batch",
                       ds->info.name, ds->info.count, o->batch);
    if (ds->info.frames < 0 || ds->info.channels < 1 || ds->info.height < 1 || ds->info.width < 1)
        return SP_FAIL(err, SP_E_DATA,
                       "data set \"%s\" has samples of %d frames of %dx%dx%d; sizes must be positive",
                       ds->info.name, ds->info.frames, ds->info.channels, ds->info.height, ds->info.width);
    return SP_OK;
}

/* Bytes of a batch, a whole number of pages; false when it does not fit size_t. */
static bool batch_bytes(const sp_loader *l, size_t *bytes)
{
    const sp_dataset_info *i = &l->ds->info;
    int64_t n;
    if (l->opt.batch > INT64_MAX ||
        !SP_SIZE_MUL(&n, (int64_t)l->frames, (int64_t)l->opt.batch, i->height, i->width, i->channels,
                     sizeof(float)) ||
        n > INT64_MAX - PAGE_BYTES)
        return false;
    *bytes = ((size_t)n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    return true;
}

static sp_status allocate(sp_loader *l, sp_error *err)
{
    size_t bytes = 0, depth = (size_t)l->opt.depth, threads = (size_t)l->opt.threads;
    bool ok = batch_bytes(l, &bytes);
    sp_order_kind kind = l->opt.balanced  ? SP_ORDER_BALANCED
                         : l->opt.shuffle ? SP_ORDER_SHUFFLED
                                          : SP_ORDER_PLAIN;
    ok = ok && sp_order_init(&l->order, l->ds, kind, l->opt.seed);
    l->slots = ok ? sp_alloc_array(depth, sizeof *l->slots) : NULL;
    l->workers = ok ? sp_alloc_array(threads, sizeof *l->workers) : NULL;
    ok = ok && l->slots && l->workers;
    if (ok && l->frames > 1)
        ok = (l->scratch = sp_alloc_array(threads * l->frames, l->frame_items * sizeof(float))) != NULL;
    for (size_t i = 0; ok && i < depth; i++) {
        l->slots[i].batch.images = sp_alloc_aligned(bytes, PAGE_BYTES);
        l->slots[i].batch.labels = sp_alloc_pages(l->opt.batch, sizeof(int32_t));
        ok = l->slots[i].batch.images && l->slots[i].batch.labels;
        if (ok && l->ds->info.targets)
            ok = (l->slots[i].batch.targets =
                      sp_alloc_pages(l->opt.batch, (size_t)l->ds->info.targets * sizeof(float))) != NULL;
    }
    if (!ok)
        return SP_FAIL(err, SP_E_MEMORY,
                       "no memory for %zu batches of %zu samples (%zu bytes each); choose a smaller batch",
                       depth, l->opt.batch, bytes);
    return SP_OK;
}

static void free_memory(sp_loader *l)
{
    for (size_t i = 0; l->slots && i < (size_t)l->opt.depth; i++) {
        sp_free(l->slots[i].batch.images);
        sp_free(l->slots[i].batch.labels);
        sp_free(l->slots[i].batch.targets);
    }
    sp_free(l->slots);
    sp_free(l->workers);
    sp_free(l->scratch);
    sp_order_fini(&l->order);
    sp_free(l);
}

static int start_threads(sp_loader *l)
{
    int code = 0;
    while (code == 0 && l->n_workers < (size_t)l->opt.threads) {
        worker *w = &l->workers[l->n_workers];
        w->loader = l;
        w->scope = sp_scope_now();
        w->scratch = l->scratch ? l->scratch + l->n_workers * l->frames * l->frame_items : NULL;
        code = sp_thread_start(&w->thread, thread_main, w);
        l->n_workers += code == 0;
    }
    return code;
}

static void stop_threads(sp_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->for_threads);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->n_workers; i++)
        pthread_join(l->workers[i].thread, NULL);
}

static void fini_locks(sp_loader *l)
{
    pthread_cond_destroy(&l->for_threads);
    pthread_cond_destroy(&l->for_consumer);
    pthread_mutex_destroy(&l->lock);
}

static void init(sp_loader *l, const sp_dataset *ds, const sp_loader_options *o)
{
    l->ds = ds;
    l->opt = *o;
    l->opt.depth = o->depth ? o->depth : 3;
    l->opt.threads = o->threads ? o->threads : sysconf(_SC_NPROCESSORS_ONLN) >= 4 ? 2 : 1;
    l->frames = ds->info.frames > 0 ? (size_t)ds->info.frames : 1;
    l->frame_items = sp_dataset_frame_items(&ds->info);
    l->opt.whole = o->whole ? o->whole : o->batch;
    l->n_batches = ds->info.count / l->opt.whole + (!o->drop_last && ds->info.count % o->batch ? 1 : 0);
    l->failed_at = UINT64_MAX;
}

sp_status sp_loader_create(const sp_dataset *ds, const sp_loader_options *o, sp_loader **out, sp_error *err)
{
    sp_loader *l;
    sp_status st;
    int code;

    SP_TRY(check_options(ds, o, err));
    l = sp_alloc(sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while making a loader");
    init(l, ds, o);
    st = allocate(l, err);
    if (st != SP_OK) {
        free_memory(l);
        return st;
    }
    pthread_mutex_init(&l->lock, NULL); /* these cannot fail with default attributes on Linux */
    pthread_cond_init(&l->for_threads, NULL);
    pthread_cond_init(&l->for_consumer, NULL);
    code = start_threads(l);
    if (code != 0) {
        sp_loader_destroy(&l);
        return SP_FAIL(err, SP_E_FAILED,
                       "the loader's threads cannot be started: %s; is the process limit reached?",
                       strerror(code));
    }
    *out = l;
    return SP_OK;
}

void sp_loader_destroy(sp_loader **lp)
{
    sp_loader *l = lp ? *lp : NULL;
    if (!l)
        return;
    stop_threads(l);
    fini_locks(l);
    free_memory(l);
    *lp = NULL;
}

size_t sp_loader_batches(const sp_loader *l)
{
    return l->n_batches;
}

int sp_loader_threads(const sp_loader *l)
{
    return l->opt.threads;
}

sp_status sp_loader_start(sp_loader *l, uint64_t epoch, size_t first, sp_error *err)
{
    if (first > l->n_batches)
        return SP_FAIL(err, SP_E_CONFIG,
                       "epoch %llu cannot start at batch %zu: it has %zu; was the batch size changed since "
                       "the checkpoint?",
                       (unsigned long long)epoch, first, l->n_batches);
    pthread_mutex_lock(&l->lock);
    l->drop = true;
    while (l->busy > 0)
        pthread_cond_wait(&l->for_consumer, &l->lock);
    sp_order_make(&l->order, epoch); /* the threads read the order only while busy */
    l->epoch = epoch;
    l->first = first;
    l->claimed = l->made = l->given = l->freed = 0;
    l->failed_at = UINT64_MAX;
    l->drop = false;
    l->running = true;
    pthread_cond_broadcast(&l->for_threads);
    pthread_mutex_unlock(&l->lock);
    return SP_OK;
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool decided(const sp_loader *l)
{
    return l->made > l->given || (l->failed_at != UINT64_MAX && l->busy == 0);
}

/* Waits, under the lock, until batch `given` is there or can never come. */
static void wait_for_batch(sp_loader *l)
{
    double from;
    if (decided(l))
        return;
    from = now_seconds();
    while (!decided(l))
        pthread_cond_wait(&l->for_consumer, &l->lock);
    l->wait_seconds += now_seconds() - from;
}

static sp_status next_locked(sp_loader *l, const sp_batch **out, sp_error *err)
{
    if (!l->running)
        return SP_FAIL(err, SP_E_FAILED, "the loader has no epoch; call sp_loader_start first");
    if (l->first + l->given >= l->n_batches)
        return SP_OK;
    if (l->given - l->freed >= (size_t)l->opt.depth)
        return SP_FAIL(err, SP_E_FAILED,
                       "all %d batches of the loader are in use; give one back with sp_loader_release",
                       l->opt.depth);
    wait_for_batch(l);
    if (l->made == l->given) {
        if (err)
            *err = l->failure;
        return l->failure.status;
    }
    *out = &slot_of(l, l->given++)->batch;
    return SP_OK;
}

sp_status sp_loader_next(sp_loader *l, const sp_batch **out, sp_error *err)
{
    sp_status st;
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    st = next_locked(l, out, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}

void sp_loader_release(sp_loader *l, const sp_batch *b)
{
    pthread_mutex_lock(&l->lock);
    /* A batch from before the last start(), or out of turn, is not counted. */
    if (l->freed < l->given && b == &slot_of(l, l->freed)->batch) {
        l->freed++;
        pthread_cond_broadcast(&l->for_threads);
    }
    pthread_mutex_unlock(&l->lock);
}

double sp_loader_wait_seconds(const sp_loader *l)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&l->lock; /* the lock is not part of the loader's value */
    double seconds;
    pthread_mutex_lock(lock);
    seconds = l->wait_seconds;
    pthread_mutex_unlock(lock);
    return seconds;
}
