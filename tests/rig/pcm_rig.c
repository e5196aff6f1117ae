/* Opening the fake card: alsa-lib loads this plug-in for `type rig` and calls the function at the end. */
#include "rig.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int set_limits(struct rig *r)
{
    const struct rig_control *c = r->control;
    unsigned int access[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
    unsigned int formats[3], rates[8], n = 0, m = 0, narrowest = 4;
    int err;
    if (c->formats & FORMAT_S16)
        formats[n++] = SND_PCM_FORMAT_S16_LE, narrowest = 2;
    if (c->formats & FORMAT_S32)
        formats[n++] = SND_PCM_FORMAT_S32_LE;
    if (c->formats & FORMAT_FLOAT)
        formats[n++] = SND_PCM_FORMAT_FLOAT_LE;
    while (m < 8 && c->rates[m])
        rates[m] = c->rates[m], m++;
    if ((err = snd_pcm_ioplug_set_param_list(&r->io, SND_PCM_IOPLUG_HW_ACCESS, 2, access)) < 0
        || (err = snd_pcm_ioplug_set_param_list(&r->io, SND_PCM_IOPLUG_HW_FORMAT, n, formats)) < 0
        || (err = snd_pcm_ioplug_set_param_list(&r->io, SND_PCM_IOPLUG_HW_RATE, m, rates)) < 0
        || (err = snd_pcm_ioplug_set_param_minmax(&r->io, SND_PCM_IOPLUG_HW_CHANNELS, c->channels_min, c->channels_max)) < 0
        || (err = snd_pcm_ioplug_set_param_minmax(&r->io, SND_PCM_IOPLUG_HW_PERIOD_BYTES,
                                                  c->period_min * c->channels_min * narrowest,
                                                  c->period_max * c->channels_max * 4)) < 0
        || (err = snd_pcm_ioplug_set_param_minmax(&r->io, SND_PCM_IOPLUG_HW_PERIODS, 2, c->periods_max)) < 0)
        return err;
    return snd_pcm_ioplug_set_param_minmax(&r->io, SND_PCM_IOPLUG_HW_BUFFER_BYTES,
                                           2 * c->period_min * c->channels_min * narrowest,
                                           c->periods_max * c->period_max * c->channels_max * 4);
}

static void *map_file(const char *folder, const char *name, int writable, size_t *bytes)
{
    char path[4096];
    struct stat info;
    void *address = NULL;
    int fd;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        *bytes = (size_t)info.st_size;
        address = mmap(NULL, *bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    }
    close(fd);
    return address == MAP_FAILED ? NULL : address;
}

static int open_files(struct rig *r, const char *folder)
{
    char path[4096];
    size_t bytes = 0;
    r->folder = strdup(folder);
    r->control = map_file(folder, "control", 1, &bytes);
    if (!r->control || bytes < sizeof *r->control || r->control->magic != RIG_MAGIC)
        return -ENOENT;
    if (r->control->unplugged)
        return -ENODEV;
    r->unplug_seen = atomic_load(&r->control->unplug_count);
    snprintf(path, sizeof path, "%s/log", folder);
    r->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (r->log_fd < 0)
        return -errno;
    if (r->io.stream == SND_PCM_STREAM_CAPTURE && r->control->capture_channels) {
        r->heard = map_file(folder, "capture.f32", 0, &r->heard_bytes);
        r->heard_frames = r->heard ? (int64_t)(r->heard_bytes / sizeof(float) / r->control->capture_channels) : 0;
    }
    return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(rig)
{
    snd_config_iterator_t i, next;
    const char *folder = NULL, *id;
    struct rig *r;
    int err;
    (void)root;
    snd_config_for_each(i, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(i);
        if (snd_config_get_id(entry, &id) >= 0 && !strcmp(id, "folder"))
            snd_config_get_string(entry, &folder);
    }
    if (!folder || !(r = calloc(1, sizeof *r)))
        return folder ? -ENOMEM : -EINVAL;
    r->log_fd = r->data_fd = -1;
    r->io.stream = stream;
    pthread_mutex_init(&r->lock, NULL);
    if ((err = open_files(r, folder)) < 0) {
        if (r->control)
            munmap(r->control, sizeof *r->control);
        free(r->folder);
        free(r);
        return err;
    }
    r->io.version = SND_PCM_IOPLUG_VERSION;
    r->io.name = "rig";
    r->io.callback = &rig_callbacks;
    r->io.private_data = r;
    r->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA | SND_PCM_IOPLUG_FLAG_MONOTONIC;
    r->io.poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    r->io.poll_events = POLLIN;
    if ((err = snd_pcm_ioplug_create(&r->io, name, stream, mode)) < 0) {
        rig_callbacks.close(&r->io);
        return err;
    }
    if ((err = set_limits(r)) < 0) {
        snd_pcm_ioplug_delete(&r->io);
        return err;
    }
    *pcmp = r->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(rig);
