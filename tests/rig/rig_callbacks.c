/* The fake card as alsa-lib sees it: the callbacks of one open stream. */
#include "rig.h"
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

/* A card pulled out takes every call and stands still: poll() alone tells, with -ENODEV (or POLLERR for ever). Told by an
 * error from here, PortAudio 19.6 takes it for an xrun that a restart will mend, and never leaves that loop. */
static int rig_prepare(snd_pcm_ioplug_t *io)
{
    struct rig *r = io->private_data;
    pthread_mutex_lock(&r->lock);
    r->running = r->ended = 0;
    if (r->data_fd >= 0)
        close(r->data_fd);
    r->data_fd = -1;
    r->run = atomic_fetch_add(&r->control->runs, 1);
    rig_arm(r);
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static int rig_start(snd_pcm_ioplug_t *io)
{
    struct rig *r = io->private_data;
    pthread_mutex_lock(&r->lock);
    if (!rig_unplugged(r))
        rig_start_run(r);
    rig_arm(r);
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static int rig_stop(snd_pcm_ioplug_t *io)
{
    struct rig *r = io->private_data;
    int64_t now = rig_now_ns();
    pthread_mutex_lock(&r->lock);
    if (rig_unplugged(r))
        rig_cut_run(r, RECORD_UNPLUG, r->control->unplug_ns);
    else
        rig_cut_run(r, RECORD_STOP, now);
    rig_arm(r);
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static snd_pcm_sframes_t rig_pointer(snd_pcm_ioplug_t *io)
{
    struct rig *r = io->private_data;
    int64_t at;
    pthread_mutex_lock(&r->lock);
    at = rig_reported(r);
    pthread_mutex_unlock(&r->lock);
    return at;
}

static int rig_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
    snd_pcm_sframes_t at = rig_pointer(io), appl = (snd_pcm_sframes_t)io->appl_ptr;
    if (at < 0)
        return (int)at;
    *delay = io->stream == SND_PCM_STREAM_PLAYBACK ? appl - at : at - appl;
    return 0;
}

static int rig_descriptors(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int space)
{
    struct rig *r = io->private_data;
    if (space < 1)
        return 0;
    pthread_mutex_lock(&r->lock);
    rig_arm(r);
    pthread_mutex_unlock(&r->lock);
    pfd->fd = io->poll_fd;
    pfd->events = POLLIN;
    return 1;
}

static int rig_revents(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int count, unsigned short *revents)
{
    struct rig *r = io->private_data;
    int64_t at;
    int result = 0;
    (void)pfd;
    (void)count;
    *revents = 0;
    pthread_mutex_lock(&r->lock);
    if (rig_unplugged(r)) {
        rig_cut_run(r, RECORD_UNPLUG, r->control->unplug_ns);
        if (r->control->unplug_how == UNPLUG_ENDS)
            result = -ENODEV;
        else
            *revents = POLLERR;
    } else if ((at = rig_reported(r)) < 0) {
        *revents = POLLERR;
    } else if (r->running && rig_available(r, at) >= (int64_t)r->avail_min) {
        *revents = io->stream == SND_PCM_STREAM_PLAYBACK ? POLLOUT : POLLIN;
    }
    rig_arm(r);
    pthread_mutex_unlock(&r->lock);
    return result;
}

static int data_file(struct rig *r)
{
    char path[4096];
    if (r->data_fd >= 0)
        return r->data_fd;
    snprintf(path, sizeof path, "%s/play-%u.raw", r->folder, r->run);
    return r->data_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static float heard_sample(const struct rig *r, int64_t frame, unsigned int channel)
{
    unsigned int channels = r->control->capture_channels;
    return frame < r->heard_frames && channel < channels ? r->heard[frame * channels + channel] : 0.0f;
}

/* Frame f of the run hears frame f of capture.f32: by position, since alsa-lib may ask for the same frames twice. */
static void fill_captured(const struct rig *r, char *to, snd_pcm_uframes_t frames)
{
    int64_t first = (int64_t)r->io.appl_ptr;
    for (snd_pcm_uframes_t i = 0; i < frames; i++)
        for (unsigned int c = 0; c < r->io.channels; c++) {
            double x = fmin(fmax(heard_sample(r, first + (int64_t)i, c), -1.0), 1.0);
            size_t k = i * r->io.channels + c;
            if (r->io.format == SND_PCM_FORMAT_FLOAT_LE)
                ((float *)to)[k] = heard_sample(r, first + (int64_t)i, c);
            else if (r->io.format == SND_PCM_FORMAT_S32_LE)
                ((int32_t *)to)[k] = (int32_t)fmin(rint(x * 2147483648.0), 2147483647.0);
            else
                ((int16_t *)to)[k] = (int16_t)fmin(rint(x * 32768.0), 32767.0);
        }
}

static snd_pcm_sframes_t rig_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                      snd_pcm_uframes_t offset, snd_pcm_uframes_t frames)
{
    struct rig *r = io->private_data;
    char *data = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    size_t bytes = frames * io->channels * (size_t)snd_pcm_format_physical_width(io->format) / 8;
    int64_t at;
    pthread_mutex_lock(&r->lock);
    at = rig_reported(r);
    pthread_mutex_unlock(&r->lock);
    if (at < 0)
        return at;
    if (io->stream == SND_PCM_STREAM_CAPTURE) {
        fill_captured(r, data, frames);
        return (snd_pcm_sframes_t)frames;
    }
    if (data_file(r) < 0 || write(r->data_fd, data, bytes) != (ssize_t)bytes)
        return -EIO;
    return (snd_pcm_sframes_t)frames;
}

static int rig_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
    struct rig *r = io->private_data;
    (void)params;
    r->avail_min = io->period_size;
    if (io->period_size < r->control->period_min || io->period_size > r->control->period_max)
        return -EINVAL;
    return rig_unplugged(r) ? -ENODEV : 0;
}

static int rig_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
    struct rig *r = io->private_data;
    return snd_pcm_sw_params_get_avail_min(params, &r->avail_min);
}

static int rig_close(snd_pcm_ioplug_t *io)
{
    struct rig *r = io->private_data;
    close(io->poll_fd);
    close(r->log_fd);
    if (r->data_fd >= 0)
        close(r->data_fd);
    if (r->heard)
        munmap((void *)r->heard, r->heard_bytes);
    munmap(r->control, sizeof *r->control);
    pthread_mutex_destroy(&r->lock);
    free(r->folder);
    free(r);
    return 0;
}

const snd_pcm_ioplug_callback_t rig_callbacks = {
    .start = rig_start, .stop = rig_stop, .pointer = rig_pointer, .transfer = rig_transfer, .close = rig_close,
    .hw_params = rig_hw_params, .sw_params = rig_sw_params, .prepare = rig_prepare, .delay = rig_delay,
    .poll_descriptors = rig_descriptors, .poll_revents = rig_revents };

