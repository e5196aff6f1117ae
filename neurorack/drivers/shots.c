/* A round over the converters of one I2C bus that make single shots: each is waited for, then its transfer is made.
 *
 * In C because it happens 1700 times a second and chip, and each wait and each transfer in Python would hand the
 * interpreter's lock to and fro. Nothing is held here: the caller made the transfers (smbus2's structures).
 */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>

enum { RDWR = 0x0707 }; /* I2C_RDWR of linux/i2c-dev.h */

/* One chip, all in 64 bits as the caller's array has it; without a transfer (an address) it is left out. */
struct shot { int64_t ready_ns, wait_ns, ended_ns, transfer, fd, error; };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Afterwards ended_ns is the time before each transfer, error its errno or 0, ready_ns when what it began has ended at the latest. */
__attribute__((visibility("default"))) void nr_shots(struct shot *shots, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        struct shot *shot = &shots[i];
        struct timespec until = {.tv_sec = shot->ready_ns / 1000000000, .tv_nsec = shot->ready_ns % 1000000000};
        if (!shot->transfer)
            continue;
        if (now_ns() < shot->ready_ns)
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
                ;
        shot->ended_ns = now_ns();
        shot->error = ioctl((int)shot->fd, RDWR, (void *)(intptr_t)shot->transfer) < 0 ? errno : 0;
        shot->ready_ns = now_ns() + shot->wait_ns;
    }
}
