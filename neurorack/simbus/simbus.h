/* The simulated board as its parts see it.
 *
 * A program's device calls arrive in preload.c, become transfers in i2c.c, spi.c and gpio.c, and end in the chips.
 * All state lies in the shared block (layout.py), so several programs may hold the same chip, as on a real bus. A
 * transfer is told to its chip at the time at which it ends on the wires; the caller sleeps until then.
 */
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#include "simbus_layout.h"

/* One process's hold on a block. */
struct sim {
    struct sb_simbus *board;
    int fd;
    int pipe[SB_REQUESTS]; /* event buffers opened for writing, -1 = not yet */
};

enum { LOCK_GPIO = SB_BUSES, LOCKS };
enum { MAX_MESSAGE = 8192 };

#define EXPORT __attribute__((visibility("default")))

/* sim.c */
struct sim *sim_here(void);                     /* the block named by $NEURORACK_SIMBUS, NULL where there is none */
void sim_lock(struct sim *sim, int which);      /* 0..BUSES-1: a bus; LOCK_GPIO: lines and requests */
void sim_unlock(struct sim *sim, int which);
int64_t sim_now(void);                          /* CLOCK_MONOTONIC, ns */
void sim_sleep_until(int64_t ns);
int64_t sim_use_bus(struct sb_bus *bus, int64_t ns); /* reserve the wires; returns when the transfer ends */
struct sb_bus *sim_bus(struct sim *sim, uint32_t kind, uint32_t number);
struct sb_chip *sim_chip(struct sim *sim, struct sb_bus *bus, uint32_t address); /* NULL: nothing there (now) */
double sim_uniform(struct sb_chip *chip);       /* 0..1 */
double sim_noise(struct sb_chip *chip);         /* normal, RMS 1 */
double sim_pin(struct sim *sim, struct sb_chip *chip, int pin); /* volts at an analog pin, offset and gain error included */

/* i2c.c, spi.c, gpio.c, edges.c: what preload.c calls; results as the system calls give them, errno set */
int i2c_ioctl(struct sim *sim, int bus, uint16_t *address, unsigned *timeout_10ms, unsigned long request, void *argument);
ssize_t i2c_plain(struct sim *sim, int bus, uint16_t address, unsigned timeout_10ms, uint8_t *data, size_t size, int reading);
struct spi_settings { uint32_t speed_hz, mode; uint8_t bits; };
int spi_ioctl(struct sim *sim, int bus, int select, struct spi_settings *settings, unsigned long request, void *argument);
ssize_t spi_plain(struct sim *sim, int bus, int select, struct spi_settings *settings, const uint8_t *out, uint8_t *in, size_t size);
int gpio_chip_ioctl(struct sim *sim, unsigned long request, void *argument, int *slot); /* slot: -1, or the request made */
int gpio_line_ioctl(struct sim *sim, int slot, unsigned long request, void *argument);
void gpio_release(struct sim *sim, int slot);
int gpio_pipe(struct sim *sim, int slot, int flags); /* open a request's event buffer */
int gpio_in_use(struct sb_request *request);        /* 0 also when its process died without a word */
/* Lines driven from outside: events go to whoever asked for them, in one piece. Takes LOCK_GPIO. */
struct sb_edge { uint32_t line, level; int64_t ns; };
void gpio_drive(struct sim *sim, const struct sb_edge *edges, int count);

/* chips: one I2C message (write or read; 0, or -1 when not acknowledged), or one SPI transfer while selected */
int ads1x15_i2c(struct sim *sim, struct sb_chip *chip, uint8_t *data, int size, int reading, int64_t now);
int ioexpander_i2c(struct sim *sim, struct sb_chip *chip, uint8_t *data, int size, int reading, int64_t now);
void ioexpander_turn(struct sim *sim, struct sb_chip *chip, int steps);
void mcp3208_spi(struct sim *sim, struct sb_chip *chip, const uint8_t *out, uint8_t *in, int size, uint32_t speed_hz, uint32_t mode);
void oled_bytes(struct sim *sim, struct sb_chip *chip, const uint8_t *data, int size, int is_data);
void st7789_bytes(struct sim *sim, struct sb_chip *chip, const uint8_t *data, int size, int is_data);
