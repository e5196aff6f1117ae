/* The machine's own stalls: one thread a core sleeps to a fixed beat and notes each wake that comes late.
 *
 * usage: stalls THRESHOLD_NS INTERVAL_NS PRIORITY   (until its standard input closes)
 *
 * A thread of SCHED_FIFO above everything else wakes late only when its core was taken away: by the hypervisor, by an
 * interrupt or a kernel section that would not let go. Where FIFO is refused the threads run as ordinary ones and what
 * they see includes the scheduler's own turns; each core's line says which it was.
 *
 * Standard output, text: "core N fifo|other" for each core at the start, "stall CORE EXPECTED_NS LATE_NS" for each late
 * wake, "wakes CORE COUNT" at the end. Each thread owns the head of its ring, main the tail; a full ring drops the newest
 * and counts it ("lost CORE COUNT"). The threads neither allocate nor print. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING 4096
#define NS_PER_S 1000000000LL

struct stall { int64_t expected_ns, late_ns; };

struct watcher {
    pthread_t thread;
    int core, fifo;
    _Atomic uint32_t head, tail, lost;
    int64_t wakes;
    struct stall ring[RING];
};

static int64_t threshold_ns, interval_ns;
static _Atomic int stop;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void *watch(void *argument)
{
    struct watcher *w = argument;
    int64_t next = now_ns() + interval_ns, late;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct timespec t = { next / NS_PER_S, next % NS_PER_S };
        uint32_t head = atomic_load_explicit(&w->head, memory_order_relaxed);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
        late = now_ns() - next;
        w->wakes++;
        if (late >= threshold_ns) {
            if (head - atomic_load_explicit(&w->tail, memory_order_acquire) == RING) {
                atomic_fetch_add(&w->lost, 1);
            } else {
                w->ring[head % RING] = (struct stall){ next, late };
                atomic_store_explicit(&w->head, head + 1, memory_order_release);
            }
        }
        next += (late / interval_ns + 1) * interval_ns; /* beats slept through belong to the one stall just noted */
    }
    return NULL;
}

static void drain(struct watcher *w)
{
    uint32_t tail = atomic_load_explicit(&w->tail, memory_order_relaxed);
    while (tail != atomic_load_explicit(&w->head, memory_order_acquire)) {
        struct stall s = w->ring[tail % RING];
        atomic_store_explicit(&w->tail, ++tail, memory_order_release);
        printf("stall %d %lld %lld\n", w->core, (long long)s.expected_ns, (long long)s.late_ns);
    }
}

static int start(struct watcher *w, int priority)
{
    pthread_attr_t attributes;
    struct sched_param param = { .sched_priority = priority };
    cpu_set_t core;
    int err;
    CPU_ZERO(&core);
    CPU_SET(w->core, &core);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 16);
    pthread_attr_setaffinity_np(&attributes, sizeof core, &core);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &param);
    err = priority > 0 ? pthread_create(&w->thread, &attributes, watch, w) : EPERM;
    w->fifo = err == 0;
    if (err) {
        pthread_attr_setinheritsched(&attributes, PTHREAD_INHERIT_SCHED);
        err = pthread_create(&w->thread, &attributes, watch, w);
    }
    pthread_attr_destroy(&attributes);
    return err;
}

int main(int argc, char **argv)
{
    static struct watcher watchers[256];
    cpu_set_t allowed;
    int count = 0, err;
    struct pollfd input = { .fd = 0, .events = POLLIN };
    char byte;
    if (argc != 4)
        return 2;
    threshold_ns = atoll(argv[1]);
    interval_ns = atoll(argv[2]);
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return 1;
    for (int core = 0; core < CPU_SETSIZE && count < 256; core++)
        if (CPU_ISSET(core, &allowed)) {
            watchers[count].core = core;
            if ((err = start(&watchers[count], atoi(argv[3])))) {
                fprintf(stderr, "no thread on core %d: %s\n", core, strerror(err));
                return 1;
            }
            printf("core %d %s\n", core, watchers[count++].fifo ? "fifo" : "other");
        }
    fflush(stdout);
    mlockall(MCL_CURRENT); /* refused without the right; the few pages in use stay in memory then too, most likely */
    for (;;) {
        int ready = poll(&input, 1, 50);
        if (ready > 0 && read(0, &byte, 1) <= 0)
            break;
        for (int k = 0; k < count; k++)
            drain(&watchers[k]);
        fflush(stdout);
    }
    atomic_store(&stop, 1);
    for (int k = 0; k < count; k++) {
        pthread_join(watchers[k].thread, NULL);
        drain(&watchers[k]);
        printf("wakes %d %lld\nlost %d %u\n", watchers[k].core, (long long)watchers[k].wakes, watchers[k].core,
               atomic_load(&watchers[k].lost));
    }
    return 0;
}
