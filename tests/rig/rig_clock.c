/* The fake card's clock: where its position stands, when a stream has run dry, when poll() has to return. */
#include "rig.h"
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

int64_t rig_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* When `frame` passes the jack, rounded up, so that the position at that time is `frame` and not one less. */
int64_t rig_frame_time(const struct rig *r, int64_t frame)
{
    __int128 scaled = (__int128)(frame - r->base_frame) * NS_PER_S;
    return r->base_ns + (int64_t)((scaled + (scaled > 0 ? r->io.rate - 1 : 0)) / r->io.rate);
}

/* Frames that have passed the jack before `ns`. */
int64_t rig_position_at(const struct rig *r, int64_t ns)
{
    if (ns <= r->base_ns)
        return r->base_frame;
    return r->base_frame + (int64_t)((__int128)(ns - r->base_ns) * r->io.rate / NS_PER_S);
}

static void append(struct rig *r, uint32_t type, int64_t frame, int64_t ns)
{
    struct rig_record record = {
        .type = type, .run = r->run, .capture = r->io.stream == SND_PCM_STREAM_CAPTURE,
        .format = (uint32_t)r->io.format, .channels = r->io.channels, .rate = r->io.rate,
        .period = (uint32_t)r->io.period_size, .buffer = (uint32_t)r->io.buffer_size, .frame = frame, .ns = ns };
    if (write(r->log_fd, &record, sizeof record) != (ssize_t)sizeof record)
        SNDERR("rig: the log cannot be written: %s", strerror(errno));
}

/* Stalls and jumps ordered since the last look. They take effect at the time they were ordered, however late we look. */
static void follow_commands(struct rig *r)
{
    uint32_t ordered = atomic_load_explicit(&r->control->commands, memory_order_acquire);
    for (; r->commands_done != ordered; r->commands_done++) {
        const struct rig_command *c = &r->control->command[r->commands_done % 64];
        int64_t next = rig_position_at(r, c->at_ns) + 1, ns = rig_frame_time(r, next);
        r->base_frame = next + c->jump_frames;
        r->base_ns = ns + c->stall_ns;
        append(r, RECORD_CLOCK, r->base_frame, r->base_ns);
    }
}

static void end_run(struct rig *r, uint32_t type, int64_t frame, int64_t ns)
{
    if (r->running)
        append(r, type, frame, ns);
    r->running = 0;
    r->ended = type;
}

void rig_start_run(struct rig *r)
{
    r->commands_done = atomic_load(&r->control->commands);
    r->base_frame = 0;
    r->base_ns = rig_now_ns();
    r->running = 1;
    append(r, RECORD_START, 0, r->base_ns);
}

/* Ends the run at `ns`, by a stop or by the plug: what was not played by then never is. */
void rig_cut_run(struct rig *r, uint32_t type, int64_t ns)
{
    int64_t at;
    if (r->running) {
        follow_commands(r);
        at = rig_position_at(r, ns);
        if (r->io.stream == SND_PCM_STREAM_PLAYBACK && at > (int64_t)r->io.appl_ptr)
            at = (int64_t)r->io.appl_ptr;
        end_run(r, type, at, ns);
    }
    r->ended = type;
}

int rig_unplugged(const struct rig *r)
{
    return atomic_load_explicit(&r->control->unplug_count, memory_order_acquire) != r->unplug_seen;
}

/* The position the driver reports: whole periods. Ends the run when the stream ran dry (or, capturing, over). */
int64_t rig_reported(struct rig *r)
{
    const snd_pcm_ioplug_t *io = &r->io;
    int64_t appl = (int64_t)io->appl_ptr, at;
    if (r->ended == RECORD_XRUN)
        return -EPIPE;
    if (!r->running || rig_unplugged(r))
        return (int64_t)io->hw_ptr;
    follow_commands(r);
    at = rig_position_at(r, rig_now_ns());
    at -= at % (int64_t)io->period_size;
    if (io->stream == SND_PCM_STREAM_PLAYBACK) {
        if (at < appl)
            return at;
        if (io->state == SND_PCM_STATE_DRAINING)
            return appl;
        atomic_fetch_add(&r->control->xruns, 1);
        end_run(r, RECORD_XRUN, appl, rig_frame_time(r, appl));
        return -EPIPE;
    }
    if (at - appl >= (int64_t)io->buffer_size) {
        atomic_fetch_add(&r->control->overruns, 1);
        end_run(r, RECORD_XRUN, at, rig_frame_time(r, at));
        return -EPIPE;
    }
    return at;
}

/* Frames the program may write (or read) now, from an already reported position. */
int64_t rig_available(const struct rig *r, int64_t at)
{
    int64_t appl = (int64_t)r->io.appl_ptr;
    return r->io.stream == SND_PCM_STREAM_PLAYBACK ? (int64_t)r->io.buffer_size - (appl - at) : at - appl;
}

/* Sets the timer to the moment poll() has to return: level-triggered, since it stays readable until set anew. */
void rig_arm(struct rig *r)
{
    const snd_pcm_ioplug_t *io = &r->io;
    int64_t appl = (int64_t)io->appl_ptr, period = (int64_t)io->period_size, frame, ns = 1;
    struct itimerspec when = { { 0, 0 }, { 0, 0 } };
    if (!rig_unplugged(r) && r->ended != RECORD_XRUN) {
        if (!r->running)
            goto set;
        frame = io->state == SND_PCM_STATE_DRAINING ? appl : appl + (int64_t)r->avail_min;
        if (io->stream == SND_PCM_STREAM_PLAYBACK && io->state != SND_PCM_STATE_DRAINING)
            frame -= (int64_t)io->buffer_size;
        frame = (frame + period - 1) / period * period;
        ns = frame > 0 ? rig_frame_time(r, frame) : 1;
    }
    when.it_value.tv_sec = ns / NS_PER_S;
    when.it_value.tv_nsec = ns % NS_PER_S;
set:
    timerfd_settime(io->poll_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

