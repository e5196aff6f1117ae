/* A sound card that isn't there: a paced, recording ALSA card as an I/O plug-in (alsa-lib's external PCM SDK).
 *
 * It behaves as a card with a DMA engine does. Its clock is CLOCK_MONOTONIC; its position is reported a period at a
 * time; a playback stream whose position reaches the last frame written is an underrun (-EPIPE), found whether or not
 * the program looks, as the kernel finds it in the period interrupt; poll() is level-triggered on "a period is free".
 *
 * Files, all in one folder named by the ALSA configuration:
 *   control       struct rig_control, mapped by this plug-in and by tests/rig/card.py, which owns its layout's twin
 *   log           struct rig_record, appended: one for each start, change of the clock, and end of a run
 *   play-N.raw    every frame written in run N, as the stream's own format, interleaved
 *   capture.f32   what the capture side hears, float32, interleaved (absent: silence)
 *
 * Who writes what: card.py writes the settings, unplug_* and commands; the plug-in only runs, xruns and overruns, which
 * are atomic since playback and capture, or two processes, may count at once. One instance is one open stream. */
#ifndef RIG_H
#define RIG_H
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define RIG_MAGIC 0x31676972u
#define NS_PER_S 1000000000LL

enum { RECORD_START = 1, RECORD_CLOCK, RECORD_STOP, RECORD_XRUN, RECORD_UNPLUG };
enum { UNPLUG_ENDS = 1, UNPLUG_SPINS = 2 };
enum { FORMAT_S16 = 1, FORMAT_S32 = 2, FORMAT_FLOAT = 4 };

struct rig_command { int64_t at_ns, stall_ns, jump_frames; };

struct rig_control {
    uint32_t magic, formats;
    uint32_t rates[8]; /* Hz, zero-terminated */
    uint32_t channels_min, channels_max, period_min, period_max; /* frames */
    uint32_t periods_max, capture_channels;
    _Atomic uint32_t unplug_count; /* a stream opened under another count is dead */
    uint32_t unplugged, unplug_how;
    _Atomic uint32_t runs;
    int64_t unplug_ns;
    _Atomic uint64_t xruns, overruns;
    _Atomic uint32_t commands;
    uint32_t reserved;
    struct rig_command command[64];
};

struct rig_record {
    uint32_t type, run, capture, format, channels, rate, period, buffer;
    int64_t frame, ns; /* from `frame` on, frame f of the run passes the jack at ns + (f - frame) / rate */
};

struct rig {
    snd_pcm_ioplug_t io;
    struct rig_control *control;
    char *folder;
    int log_fd, data_fd;
    const float *heard; /* capture: mapped capture.f32 */
    int64_t heard_frames;
    size_t heard_bytes;
    snd_pcm_uframes_t avail_min;
    pthread_mutex_t lock; /* guards what follows: poll callbacks run outside alsa-lib's own lock */
    uint32_t run, commands_done, unplug_seen;
    int running, ended;
    int64_t base_frame, base_ns; /* the clock's current segment */
};

/* rig_clock.c: the card's clock and its log. Call with the lock held. */
int64_t rig_now_ns(void);
int64_t rig_frame_time(const struct rig *r, int64_t frame);
int64_t rig_position_at(const struct rig *r, int64_t ns);
int64_t rig_reported(struct rig *r);
int64_t rig_available(const struct rig *r, int64_t at);
void rig_start_run(struct rig *r);
void rig_cut_run(struct rig *r, uint32_t type, int64_t ns);
void rig_arm(struct rig *r);
int rig_unplugged(const struct rig *r);

/* rig_callbacks.c: what alsa-lib calls. */
extern const snd_pcm_ioplug_callback_t rig_callbacks;

#endif
