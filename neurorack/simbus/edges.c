/* What the lines do, told to whoever asked.
 *
 * A request's descriptor is the reading end of a pipe that stands for the kernel's event buffer, so poll, select and
 * read work on it as they are. Edges carry the time at which the wire moved. A full buffer loses events and counts them.
 */
#define _GNU_SOURCE
#include "simbus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 80 }; /* events in one piece: a pipe takes 4096 bytes whole or not at all */

int gpio_pipe(struct sim *sim, int slot, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", sim->board->creator, sim->board->request[slot].pipe_fd);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

int gpio_in_use(struct sb_request *request)
{
    if (request->used && kill(request->pid, 0) < 0 && errno == ESRCH)
        request->used = 0; /* its process died without a word */
    return (int)request->used;
}

static int event_of(struct sim *sim, struct sb_request *request, uint32_t i, int level, int64_t ns, uint8_t *out)
{
    uint64_t flags = request->flags[i];
    int rising = flags & GPIO_V2_LINE_FLAG_ACTIVE_LOW ? !level : level;
    if (!(flags & (rising ? GPIO_V2_LINE_FLAG_EDGE_RISING : GPIO_V2_LINE_FLAG_EDGE_FALLING)))
        return 0;
    if (flags & GPIO_V2_LINE_FLAG_EVENT_CLOCK_REALTIME || sim->board->old_kernel) {
        struct timespec real;
        clock_gettime(CLOCK_REALTIME, &real);
        ns += real.tv_sec * INT64_C(1000000000) + real.tv_nsec - sim_now();
    }
    request->sequence++;
    request->line_sequence[i]++;
    if (request->version == 1) {
        struct gpioevent_data event = {.timestamp = ns, .id = rising ? GPIOEVENT_EVENT_RISING_EDGE : GPIOEVENT_EVENT_FALLING_EDGE};
        memcpy(out, &event, sizeof event);
        return sizeof event;
    }
    struct gpio_v2_line_event event = {.timestamp_ns = ns, .id = rising ? GPIO_V2_LINE_EVENT_RISING_EDGE : GPIO_V2_LINE_EVENT_FALLING_EDGE,
                                       .offset = request->offset[i], .seqno = request->sequence, .line_seqno = request->line_sequence[i]};
    memcpy(out, &event, sizeof event);
    return sizeof event;
}

static void tell(struct sim *sim, int slot, const struct sb_edge *edges, int count, const uint8_t *changed)
{
    struct sb_request *request = &sim->board->request[slot];
    uint8_t data[BATCH * sizeof(struct gpio_v2_line_event)];
    int size = 0, events = 0;
    for (int k = 0; k < count; k++)
        for (uint32_t i = 0; changed[k] && i < request->lines; i++)
            if (request->offset[i] == edges[k].line) {
                int more = event_of(sim, request, i, (int)edges[k].level, edges[k].ns, data + size);
                size += more;
                events += more > 0;
            }
    if (!size)
        return;
    if (sim->pipe[slot] < 0)
        sim->pipe[slot] = gpio_pipe(sim, slot, O_WRONLY | O_NONBLOCK);
    if (sim->pipe[slot] < 0 || syscall(SYS_write, sim->pipe[slot], data, (size_t)size) != size)
        request->lost += events;
}

void gpio_drive(struct sim *sim, const struct sb_edge *edges, int count)
{
    sim_lock(sim, LOCK_GPIO);
    for (int from = 0; from < count; from += BATCH) {
        int some = count - from < BATCH ? count - from : BATCH;
        uint8_t changed[BATCH];
        for (int k = 0; k < some; k++) {
            const struct sb_edge *edge = &edges[from + k];
            changed[k] = edge->line < SB_LINES && sim->board->level[edge->line] != edge->level;
            if (changed[k])
                sim->board->level[edge->line] = (uint8_t)edge->level;
        }
        for (int slot = 0; slot < SB_REQUESTS; slot++)
            if (gpio_in_use(&sim->board->request[slot]))
                tell(sim, slot, edges + from, some, changed);
    }
    sim_unlock(sim, LOCK_GPIO);
}

/* The hands of Python: arrays of lines, levels and times. */
EXPORT void simbus_drive(struct sim *sim, const struct sb_edge *edges, int count) { gpio_drive(sim, edges, count); }

EXPORT void simbus_turn(struct sim *sim, int chip, int steps)
{
    struct sb_chip *expander = &sim->board->chip[chip];
    sim_lock(sim, (int)expander->bus);
    ioexpander_turn(sim, expander, steps);
    sim_unlock(sim, (int)expander->bus);
}
