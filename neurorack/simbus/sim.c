/* The block, its locks, the time on the wires, and what all chips share. */
#define _GNU_SOURCE
#include "simbus.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutexes[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

/* Open a block by its path; NULL when it is none. System calls directly: this library stands in for the usual ones. */
EXPORT struct sim *simbus_attach(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    struct sb_simbus *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct sim *sim = malloc(sizeof *sim);
    if (board == MAP_FAILED || !sim || board->magic != SB_MAGIC) {
        syscall(SYS_close, fd);
        free(sim);
        return NULL;
    }
    sim->board = board;
    sim->fd = fd;
    for (int i = 0; i < SB_REQUESTS; i++)
        sim->pipe[i] = -1;
    return sim;
}

EXPORT void simbus_detach(struct sim *sim)
{
    for (int i = 0; i < SB_REQUESTS; i++)
        if (sim->pipe[i] >= 0)
            syscall(SYS_close, sim->pipe[i]);
    munmap(sim->board, sizeof *sim->board);
    syscall(SYS_close, sim->fd);
    free(sim);
}

static struct sim *here;

static void attach_here(void)
{
    const char *path = getenv("NEURORACK_SIMBUS");
    here = path ? simbus_attach(path) : NULL;
}

struct sim *sim_here(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, attach_here);
    return here;
}

/* Between threads by a mutex, between processes by a lock on the file that the kernel opens again when its holder dies. */
void sim_lock(struct sim *sim, int which)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};
    pthread_mutex_lock(&mutexes[which]);
    while (fcntl(sim->fd, F_OFD_SETLKW, &lock) < 0 && errno == EINTR)
        ;
}

void sim_unlock(struct sim *sim, int which)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};
    int error = errno;
    fcntl(sim->fd, F_OFD_SETLK, &lock);
    pthread_mutex_unlock(&mutexes[which]);
    errno = error;
}

int64_t sim_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A controller's interrupt wakes its caller at once; a timer of an ordinary thread may be 50 us late unless told not to. */
void sim_sleep_until(int64_t ns)
{
    static __thread int sharp;
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int error = errno;
    if (!sharp) {
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        sharp = 1;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    errno = error;
}

int64_t sim_use_bus(struct sb_bus *bus, int64_t ns)
{
    int64_t now = sim_now();
    int64_t start = bus->free_ns > now ? bus->free_ns : now;
    bus->busy_ns += ns;
    bus->transfers++;
    return bus->free_ns = start + ns;
}

struct sb_bus *sim_bus(struct sim *sim, uint32_t kind, uint32_t number)
{
    for (int i = 0; i < SB_BUSES; i++)
        if (sim->board->bus[i].kind == kind && sim->board->bus[i].number == number)
            return &sim->board->bus[i];
    return NULL;
}

struct sb_chip *sim_chip(struct sim *sim, struct sb_bus *bus, uint32_t address)
{
    for (int i = 0; i < SB_CHIPS; i++) {
        struct sb_chip *chip = &sim->board->chip[i];
        int here = chip->kind && chip->bus == (uint32_t)(bus - sim->board->bus) && chip->address == address;
        if (here && !chip->absent && sim_now() >= chip->appears_ns)
            return chip;
    }
    return NULL;
}

/* xorshift64* (G. Marsaglia, 2003; S. Vigna, 2016) */
double sim_uniform(struct sb_chip *chip)
{
    uint64_t x = chip->random ? chip->random : 0x9E3779B97F4A7C15u;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    chip->random = x;
    return (double)((x * 0x2545F4914F6CDD1Du) >> 11) * 0x1p-53;
}

double sim_noise(struct sb_chip *chip)
{
    double radius = sqrt(-2.0 * log(sim_uniform(chip) + 1e-300));
    return radius * cos(6.283185307179586 * sim_uniform(chip));
}

double sim_pin(struct sim *sim, struct sb_chip *chip, int pin)
{
    int net = chip->net[pin & 7];
    double volts = net >= 0 && net < SB_NETS ? sim->board->volts[net] : 0.0;
    return volts * chip->gain + chip->offset_volts;
}
