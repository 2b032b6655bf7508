/* The training loop: batch, gradients, look at the loss, optimizer step; metrics, checkpoints, evaluation. */
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "data/loader.h"
#include "train/line.h"
#include "train/run_folder.h"
#include "train/train.h"
#include "train/width.h"

typedef struct trainer {
    sp_session *s;
    sp_replicas *replicas;
    const sp_train_options *o;
    const sp_dataset *test;
    sp_loader *loader;
    sp_metrics *metrics;
    sp_progress p;
    char *checkpoint, *best;
    char *classes, *fingerprint; /* of the training data */
    uint64_t *spikes;
    double *rates;
    sp_line line; /* the next metrics line */
    uint64_t line_start_ns, epoch_start_ns, run_start_ns;
    double seconds_before, epoch_start_cpu;
    int64_t run_iterations;
    bool writes; /* files and reports: rank 0 */
    bool stop;   /* asked of some rank */
    sp_ranks_time rank_time;
    int lock; /* of the run's folder */
} trainer;

static sp_status report(trainer *t, sp_train_event *e, sp_error *err)
{
    e->session = t->s;
    e->epochs = t->s->recipe.epochs;
    e->iteration = t->p.iteration;
    e->batches = (int64_t)sp_loader_batches(t->loader);
    e->best_accuracy = t->p.best_accuracy;
    e->ranks = t->o->ranks;
    if (!t->writes)
        return SP_OK;
    SP_TRY(sp_metrics_event(t->metrics, e, err));
    if (t->o->report)
        t->o->report(t->o->ctx, e);
    return SP_OK;
}

static double lr_now(const trainer *t)
{
    return sp_recipe_lr(&t->s->recipe, &t->p.measured, t->p.epoch, t->p.batch,
                        (int64_t)sp_loader_batches(t->loader));
}

/* Numbers that the network should give are neither right nor wrong. */
static double share_right(const trainer *t, int64_t correct, int64_t seen)
{
    return t->s->recipe.loss == SP_LOSS_MSE ? (double)NAN : (double)correct / (double)seen;
}

/* Moves what the device has counted to the sums of the line. */
static sp_status gather_spikes(trainer *t, sp_error *err)
{
    SP_TRY(sp_replicas_spikes(t->replicas, t->spikes, err));
    for (int i = 0; i < t->line.n; i++)
        t->line.spikes[i] += t->spikes[i];
    return SP_OK;
}

static sp_status save(trainer *t, const char *path, sp_error *err)
{
    sp_text line = {0};
    sp_status st = SP_OK;
    if (t->line.seen) { /* between two epochs no line is open */
        st = gather_spikes(t, err);
        sp_line_print(&t->line, &line);
    }
    t->p.train_seconds = t->seconds_before + (double)(sp_clock_ns() - t->run_start_ns) * 1e-9;
    t->p.open_line = line.s;
    if (st == SP_OK)
        st = sp_replicas_check_equal(t->replicas, err);
    if (st == SP_OK && t->writes)
        st = sp_checkpoint_save(path, t->s, &t->p, err);
    t->p.open_line = NULL;
    sp_text_free(&line);
    return st == SP_E_OPENCL ? sp_error_prefix(err, st, "saving %s: ", path) : st;
}

static sp_status batch_line(trainer *t, sp_error *err)
{
    int64_t batches = (int64_t)sp_loader_batches(t->loader);
    double seconds = (double)(sp_clock_ns() - t->line_start_ns) * 1e-9,
           rate = (double)(t->line.seen - t->line.restored) / seconds;
    int64_t left = (t->s->recipe.epochs - t->p.epoch) * batches - t->p.batch;
    SP_TRY(gather_spikes(t, err));
    SP_TRY(sp_ranks_time_line(t->o->ranks, &t->rank_time, seconds, err));
    SP_TRY(sp_session_rates(t->s, t->line.spikes, t->line.seen, t->rates, err));
    sp_train_event e = {.kind = SP_EVENT_BATCH,
                        .epoch = t->p.epoch + 1,
                        .batch = t->p.batch,
                        .loss = t->line.loss / (double)t->line.seen,
                        .accuracy = share_right(t, t->line.correct, t->line.seen),
                        .backprop_steps = (double)t->line.steps / (double)t->line.batches,
                        .lr = lr_now(t),
                        .samples_per_second = rate,
                        .seconds_left = (double)(left * t->s->recipe.batch) / rate,
                        .spike_rate = t->rates,
                        .rank_time = &t->rank_time};
    SP_TRY(report(t, &e, err));
    sp_line_reset(&t->line);
    t->line_start_ns = sp_clock_ns();
    return SP_OK;
}

/* Before the mini-batch runs; its time is not training's. */
static sp_status measure_similarity(void *ctx, const sp_exec_batch *b, sp_error *err)
{
    trainer *t = ctx;
    uint64_t start = sp_clock_ns();
    sp_train_event e = {.kind = SP_EVENT_SIMILARITY, .epoch = t->p.epoch + 1, .batch = t->p.batch + 1};
    SP_TRY(sp_similarity_measure(t->s->similarity, b, &e.similarity, err));
    SP_TRY(report(t, &e, err));
    t->line_start_ns += sp_clock_ns() - start;
    return SP_OK;
}

/* Before the first mini-batch of an epoch runs, on that mini-batch; its time is not training's. */
static sp_status adapt_width(trainer *t, const sp_exec_batch *b, sp_error *err)
{
    uint64_t start = sp_clock_ns();
    sp_width_choice c;
    SP_TRY(sp_width_choose(t->s, b, (uint64_t)t->p.epoch, &c, err));
    t->p.width = c.width;
    if (t->writes)
        sp_log(SP_LOG_INFO,
               "epoch %lld: width of the surrogates %g, before %g; cosines at %g, %g, %g: %.3f, %.3f, %.3f",
               (long long)t->p.epoch + 1, c.width, c.tried[1], c.tried[0], c.tried[1], c.tried[2],
               c.cosine[0], c.cosine[1], c.cosine[2]);
    t->line_start_ns += sp_clock_ns() - start;
    return SP_OK;
}

static sp_status run_batch(trainer *t, const sp_batch *b, sp_error *err)
{
    const sp_session *s = t->s;
    bool measure = s->similarity && t->p.iteration % s->recipe.monitor.every == 0;
    sp_exec_batch e = {.images = b->images,
                       .labels = b->labels,
                       .targets = b->targets,
                       .iteration = (int32_t)t->p.iteration,
                       .lr = lr_now(t)};
    const int64_t n = s->recipe.batch; /* whole ones only: an epoch drops the last samples */
    sp_step_result r;
    if (s->recipe.width_step > 0 && t->p.batch == 0)
        SP_TRY(adapt_width(t, &e, err));
    SP_TRY(sp_train_step(t->replicas, &e, (size_t)n, measure ? measure_similarity : NULL, t, &r, err));
    t->stop = t->stop || r.stop;
    t->line.steps += r.backprop_steps;
    t->line.batches++;
    t->line.loss += r.loss;
    t->line.correct += r.correct;
    t->line.seen += n;
    t->p.loss_sum += r.loss;
    t->p.correct += r.correct;
    t->p.seen += n;
    t->p.iteration++;
    t->p.batch++;
    t->run_iterations++;
    return SP_OK;
}

static bool must_stop(const trainer *t)
{
    const bool asked = t->o->ranks ? t->stop : t->o->stop && *t->o->stop; /* ranks stop together */
    return asked || (t->o->max_iterations && t->run_iterations >= t->o->max_iterations);
}

static sp_status interrupted(trainer *t, sp_error *err)
{
    SP_TRY(save(t, t->checkpoint, err));
    return SP_FAIL(err, SP_E_INTERRUPTED,
                   "interrupted in epoch %lld after mini-batch %lld; saved. Continue with: spikeport "
                   "train --resume %s",
                   (long long)t->p.epoch + 1, (long long)t->p.batch, t->o->out);
}

static sp_status run_batches(trainer *t, sp_error *err)
{
    const sp_recipe *r = &t->s->recipe;
    SP_TRY(sp_loader_start(t->loader, (uint64_t)t->p.epoch, (size_t)t->p.batch, err));
    for (;;) {
        const sp_batch *b;
        uint64_t at = sp_clock_ns();
        SP_TRY(sp_loader_next(t->loader, &b, err));
        sp_trace_host("wait for data", at);
        if (!b)
            return t->line.seen ? batch_line(t, err) : SP_OK;
        sp_status st = run_batch(t, b, err);
        if (st == SP_E_OPENCL || st == SP_E_MEMORY || st == SP_E_NUMERIC)
            sp_error_prefix(err, st, "epoch %lld, mini-batch %lld%s: ", (long long)t->p.epoch + 1,
                            (long long)t->p.batch + 1,
                            st == SP_E_NUMERIC ? " (the last checkpoint is untouched)" : "");
        SP_TRY(st);
        sp_loader_release(t->loader, b);
        if (t->p.iteration % r->log_every == 0)
            SP_TRY(batch_line(t, err));
        if (must_stop(t))
            return interrupted(t, err);
        if (r->checkpoint_every && t->p.iteration % r->checkpoint_every == 0)
            SP_TRY(save(t, t->checkpoint, err));
    }
}

/* Evaluation and the epoch's line and checkpoints. A stop during evaluation counts as before it: the
 * checkpoint is then that of the finished training epoch, and resuming evaluates again. */
static sp_status finish_epoch(trainer *t, sp_error *err)
{
    sp_session *s = t->s;
    sp_train_event e = {.kind = SP_EVENT_EPOCH,
                        .epoch = t->p.epoch + 1,
                        .lr = lr_now(t),
                        .loss = t->p.loss_sum / (double)t->p.seen,
                        .accuracy = share_right(t, t->p.correct, t->p.seen),
                        .epoch_seconds = (double)(sp_clock_ns() - t->epoch_start_ns) * 1e-9,
                        .epoch_cpu_seconds = sp_clock_cpu_seconds() - t->epoch_start_cpu};
    sp_ranks_time_epoch(t->o->ranks, &t->rank_time, e.epoch, e.epoch_seconds);
    e.wait_fraction = e.epoch_seconds > 0 ? sp_loader_wait_seconds(t->loader) / e.epoch_seconds : 0;
    sp_status st = sp_session_evaluate(s, t->test, t->o->ranks, t->o->stop, &e.test, err);
    if (st == SP_E_INTERRUPTED) {
        sp_free(e.test.spike_rate);
        return interrupted(t, err);
    }
    if (st == SP_OK) {
        const double values[] = {e.test.accuracy, e.test.loss, e.accuracy, e.loss};
        bool better = sp_measured_add(&t->p.measured, &s->recipe, values[s->recipe.measure]);
        t->p.best_accuracy = fmax(t->p.best_accuracy, e.test.accuracy);
        e.spike_rate = e.test.spike_rate;
        if (t->writes)
            sp_session_warn_silent(s, e.spike_rate, e.epoch);
        st = report(t, &e, err);
        t->p.epoch++;
        t->p.batch = 0;
        t->p.loss_sum = 0;
        t->p.correct = t->p.seen = 0;
        if (st == SP_OK && better)
            st = save(t, t->best, err);
        if (st == SP_OK)
            st = save(t, t->checkpoint, err);
    }
    sp_free(e.test.spike_rate);
    return st;
}

static sp_status run_epochs(trainer *t, sp_error *err)
{
    const sp_recipe *r = &t->s->recipe;
    while (t->p.epoch < r->epochs && !sp_measured_ends(&t->p.measured, r)) {
        t->epoch_start_ns = sp_clock_ns();
        t->epoch_start_cpu = sp_clock_cpu_seconds();
        t->line_start_ns = sp_clock_ns();
        sp_ranks_time_start(t->o->ranks);
        SP_TRY(sp_replicas_clear_spikes(t->replicas, err)); /* evaluation has used the same memory */
        SP_TRY(run_batches(t, err));
        SP_TRY(finish_epoch(t, err));
        if (t->p.epoch < r->epochs && must_stop(t))
            return interrupted(t, err);
    }
    if (t->p.epoch < r->epochs)
        sp_log(SP_LOG_INFO,
               "training ends after epoch %lld of %lld: %s has not become better for %lld epochs; "
               "best.safetensors is of the best one",
               (long long)t->p.epoch, (long long)r->epochs, sp_measure_name(r->measure),
               (long long)t->p.measured.stopping.stale);
    return SP_OK;
}

static sp_status take_folder(trainer *t, sp_error *err)
{
    const char *from = t->o->resume ? t->o->resume->file.path : NULL;
    if (t->o->lock <= 0)
        SP_TRY(sp_run_folder_open(t->o->out, from, t->o->overwrite, &t->lock, err));
    if (!from || !sp_run_folder_has(t->o->out, from))
        return sp_run_folder_write_recipe(t->o->out, &t->s->recipe, true, err);
    sp_run_folder_compare(t->o->out, &t->s->recipe, t->o->sets, t->o->n_sets);
    return sp_run_folder_write_recipe(t->o->out, &t->s->recipe, false, err);
}

/* With another batch than before, the epoch continues at the same sample. */
static sp_status restore(trainer *t, sp_error *err)
{
    int64_t batch = t->s->recipe.batch;
    SP_TRY(sp_checkpoint_check_recipe(t->o->resume, &t->s->recipe, err));
    t->p = t->o->resume->progress;
    if (t->p.epoch == t->s->recipe.epochs && t->p.seen == 0)
        sp_log(SP_LOG_INFO,
               "%s: all %lld epochs are done, there is nothing to train; more with --set epochs=N",
               t->o->resume->file.path, (long long)t->p.epoch);
    t->p.batch = t->p.seen / batch;
    SP_TRY(sp_checkpoint_restore(t->o->resume, t->s, true, err));
    return sp_line_restore(&t->line, t->p.open_line, t->o->resume->file.path, err);
}

static sp_status allocate(trainer *t, const sp_dataset *train, sp_error *err)
{
    const sp_recipe *r = &t->s->recipe;
    size_t batch = (size_t)r->batch, nodes = (size_t)t->s->graph->n_nodes;
    if (train->info.count < batch)
        return SP_FAIL(err, SP_E_CONFIG, "%s: batch is %zu, but there are only %zu training samples",
                       r->doc.file, batch, train->info.count);
    if (train->info.count % batch)
        sp_log(SP_LOG_INFO,
               "%zu of %zu training samples, other ones in every epoch, are left out: they do not fill a "
               "mini-batch of %zu",
               train->info.count % batch, train->info.count, batch);
    t->checkpoint = sp_format("%s/checkpoint.safetensors", t->o->out);
    t->best = sp_format("%s/best.safetensors", t->o->out);
    t->spikes = sp_alloc_array(nodes, sizeof *t->spikes);
    t->line.n = t->s->graph->n_nodes;
    t->line.spikes = sp_alloc_array(nodes, sizeof *t->line.spikes);
    t->rates = sp_alloc_array(nodes, sizeof *t->rates);
    if (!t->checkpoint || !t->best || !t->spikes || !t->line.spikes || !t->rates)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    return sp_ranks_time_init(&t->rank_time, t->o->ranks, err);
}

static sp_status make_loader(trainer *t, const sp_recipe *r, const sp_dataset *train, sp_error *err)
{
    int64_t at, n = sp_replicas_samples(t->replicas, &at);
    sp_loader_options lo = sp_session_loader_options(r, true);
    lo.drop_last = true;
    lo.whole = lo.batch, lo.batch = (size_t)n, lo.at = (size_t)at;
    return sp_loader_create(train, &lo, &t->loader, err);
}

static sp_status open_files(trainer *t, sp_error *err)
{
    if (!t->writes)
        return SP_OK;
    SP_TRY(take_folder(t, err));
    return sp_metrics_open(t->o->out, t->o->resume ? &t->p : NULL, &t->metrics, err);
}

static sp_status prepare(trainer *t, const sp_dataset *train, sp_error *err)
{
    const sp_recipe *r = &t->s->recipe;
    SP_TRY(allocate(t, train, err));
    if (t->o->resume)
        SP_TRY(restore(t, err));
    SP_TRY(sp_data_describe(train, t->o->resume, &t->classes, &t->fingerprint, err));
    SP_TRY(sp_data_check_outputs(train, t->s, err));
    t->p.classes = t->classes;
    t->p.fingerprint = t->fingerprint;
    const sp_weights_from from = {.file = r->init_from, .map = r->init_map, .lenient = !r->init_strict};
    /* the weights of another run; optimizer and epochs start anew */
    sp_status st = r->init_from && !t->o->resume ? sp_weights_load_from(&from, t->s, err) : SP_OK;
    if (st != SP_OK)
        return sp_error_prefix(err, st, "init_from: ");
    sp_session *const *members = t->o->n_members ? t->o->members : &t->s;
    const size_t n = t->o->n_members ? t->o->n_members : 1;
    SP_TRY(sp_replicas_create(members, n, t->o->ranks, &t->replicas, err));
    SP_TRY(sp_ranks_check_start(t->o->ranks, t->s, sp_replicas_mixed(t->replicas), &t->p, err));
    SP_TRY(sp_replicas_share_model(t->replicas, err));
    if (r->width_step > 0)
        SP_TRY(sp_width_start(t->s, t->p.width, err));
    t->seconds_before = t->p.train_seconds;
    SP_TRY(make_loader(t, r, train, err));
    return open_files(t, err);
}

static void fini(trainer *t)
{
    sp_replicas_finish(t->replicas); /* after an error an upload may still read the loader's memory */
    sp_replicas_destroy(&t->replicas);
    sp_loader_destroy(&t->loader);
    sp_metrics_close(&t->metrics);
    if (t->lock > 0)
        sp_run_folder_close(t->o->out, t->lock);
    void *all[] = {t->classes, t->fingerprint, t->checkpoint, t->best,
                   t->spikes,  t->line.spikes, t->rates,      t->rank_time.wait};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
}

sp_status sp_train(sp_session *s, const sp_dataset *train, const sp_dataset *test, const sp_train_options *o,
                   sp_error *err)
{
    trainer t = {.s = s, .o = o, .test = test, .run_start_ns = sp_clock_ns()};
    t.p.measured = sp_measured_start(s->recipe.measure);
    t.writes = !o->ranks || o->ranks->rank == 0;
    sp_status st = SP_OK;
    SP_TRY_GOTO(prepare(&t, train, err));
    sp_train_event start = {.kind = SP_EVENT_START, .epoch = t.p.epoch + 1, .batch = t.p.batch};
    SP_TRY_GOTO(report(&t, &start, err));
    SP_TRY_GOTO(run_epochs(&t, err));
    sp_train_event end = {.kind = SP_EVENT_END, .epoch = t.p.epoch};
    SP_TRY_GOTO(report(&t, &end, err));
    if (t.writes)
        st = sp_curves_write(o->out, s->recipe.name, err);
done:
    fini(&t);
    return st;
}
