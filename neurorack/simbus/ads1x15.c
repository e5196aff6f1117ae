/* ADS1015 (12 bit, 3300 conversions a second) and ADS1115 (16 bit, 860), Texas Instruments SBAS473E and SBAS444D
 * (January 2018; drivers/ads1x15.py says which of their pages were at hand).
 *
 * Registers (section 8.6): 0 conversion, 1 configuration, 2 and 3 comparator thresholds. One conversion at a time: a
 * single shot starts with a write of OS = 1 (about 25 us to wake, 8.4.2.1); in continuous mode one follows the other, and new
 * settings hold from the next one on (8.4.2.2). Time is worked out when somebody looks; only the ALERT/RDY pin needs a
 * clock of its own (the ticker), because its edges come by themselves.
 */
#include "simbus.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

enum { CONVERSION, CONFIG, LOW, HIGH };
enum { WAKE_NS = 25000, READY_PULSE_NS = 8000 };

static const int rates_1015[8] = {128, 250, 490, 920, 1600, 2400, 3300, 3300};
static const int rates_1115[8] = {8, 16, 32, 64, 128, 250, 475, 860};
static const double ranges[8] = {6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256};
static const int positive[8] = {0, 0, 1, 2, 0, 1, 2, 3}, negative[8] = {1, 3, 3, 3, -1, -1, -1, -1};

static int64_t conversion_ns(struct sb_chip *chip, uint32_t config)
{
    int rate = (chip->kind == SB_ADS1015 ? rates_1015 : rates_1115)[config >> 5 & 7];
    return (int64_t)(1e9 / rate * (1.0 + chip->clock_error));
}

static uint16_t sample(struct sim *sim, struct sb_chip *chip, uint32_t config)
{
    int mux = config >> 12 & 7, bits = chip->kind == SB_ADS1015 ? 12 : 16;
    double full = ranges[config >> 9 & 7], half = 1 << (bits - 1), rail = chip->supply_volts + 0.3;
    double high = fmin(rail, fmax(-0.3, sim_pin(sim, chip, positive[mux])));
    double low = negative[mux] < 0 ? 0.0 : fmin(rail, fmax(-0.3, sim_pin(sim, chip, negative[mux])));
    double code = round((high - low) / full * half + chip->noise_lsb * sim_noise(chip));
    return (uint16_t)((int)fmin(half - 1, fmax(-half, code)) * (1 << (16 - bits)));
}

static int ready_mode(struct sb_chip *chip) { return chip->word[HIGH] & 0x8000 && !(chip->word[LOW] & 0x8000); }

static void alert(struct sim *sim, struct sb_chip *chip, int asserted, int64_t ns)
{
    int level = chip->word[CONFIG] & 0x8 ? asserted : !asserted; /* COMP_POL; an open drain with a pull-up */
    if (chip->alert_line < 0 || sim->board->level[chip->alert_line] == level)
        return;
    struct sb_edge edge = {chip->alert_line, level, ns};
    gpio_drive(sim, &edge, 1);
}

static void compare(struct sim *sim, struct sb_chip *chip, int64_t ns)
{
    uint32_t config = chip->word[CONFIG], queue = config & 3;
    int16_t value = chip->word[CONVERSION], high = chip->word[HIGH], low = chip->word[LOW];
    if (queue == 3)
        return;
    if (ready_mode(chip)) { /* page 26, 8.6.4: a pulse in continuous mode, the OS bit in single shots; 8 us long by 8.3.8, not at hand */
        alert(sim, chip, 1, ns);
        if (!(config & 0x100))
            alert(sim, chip, 0, ns + READY_PULSE_NS);
        return;
    }
    int window = config & 0x10, outside = value > high || (window && value < low);
    int inside = window ? !outside : value < low;
    chip->count = outside ? chip->count + 1 : 0;
    if (chip->count >= 1 << queue)
        alert(sim, chip, 1, ns);
    else if (inside && !(config & 0x4)) /* not latching */
        alert(sim, chip, 0, ns);
}

/* Finish every conversion that has ended by now. */
static void advance(struct sim *sim, struct sb_chip *chip, int64_t now)
{
    while (chip->end_ns && chip->end_ns <= now) {
        int64_t ended = chip->end_ns, length = conversion_ns(chip, chip->word[CONFIG]);
        int continuous = !(chip->word[CONFIG] & 0x100);
        int64_t skipped = continuous && now - ended > 2 * length ? (now - ended) / length - 1 : 0;
        if (skipped) /* nobody looked for long: what these held is gone */
            chip->active = chip->word[CONFIG];
        ended += skipped * length;
        chip->word[CONVERSION] = sample(sim, chip, chip->active);
        chip->conversions += skipped + 1;
        chip->active = chip->word[CONFIG];
        chip->end_ns = continuous ? ended + length : 0;
        compare(sim, chip, ended);
    }
}

struct ticking { struct sim *sim; struct sb_chip *chip; };

/* Times the ALERT/RDY pin for as long as conversions run and this process is the one that set them going. */
static void *tick(void *argument)
{
    struct ticking ticking = *(struct ticking *)argument;
    struct sb_chip *chip = ticking.chip;
    int64_t next = sim_now();
    for (;;) {
        sim_sleep_until(next);
        sim_lock(ticking.sim, chip->bus);
        if (chip->ticker != getpid() || (chip->word[CONFIG] & 3) == 3) {
            if (chip->ticker == getpid())
                chip->ticker = 0;
            sim_unlock(ticking.sim, chip->bus);
            return NULL;
        }
        int64_t now = sim_now();
        if (!chip->absent)
            advance(ticking.sim, chip, now);
        next = chip->end_ns > now ? chip->end_ns : now + 1000000;
        sim_unlock(ticking.sim, chip->bus);
    }
}

static void keep_ticking(struct sim *sim, struct sb_chip *chip)
{
    static struct ticking ticking[SB_CHIPS];
    struct ticking *mine = &ticking[chip - sim->board->chip];
    pthread_t thread;
    if (chip->alert_line < 0 || (chip->word[CONFIG] & 3) == 3 || chip->ticker == getpid())
        return;
    *mine = (struct ticking){sim, chip};
    chip->ticker = getpid();
    if (!pthread_create(&thread, NULL, tick, mine))
        pthread_detach(thread);
}

static void configure(struct sim *sim, struct sb_chip *chip, uint16_t value, int64_t now)
{
    int was_continuous = !(chip->word[CONFIG] & 0x100) && chip->end_ns, continuous = !(value & 0x100);
    chip->word[CONFIG] = value & 0x7fff;
    if (continuous && !was_continuous && !chip->end_ns) {
        chip->active = value;
        chip->end_ns = now + WAKE_NS + conversion_ns(chip, value);
    } else if (!continuous && value & 0x8000 && !chip->end_ns) { /* OS has no effect while one runs */
        if (ready_mode(chip) && (value & 3) != 3)
            alert(sim, chip, 0, now);
        chip->active = value;
        chip->end_ns = now + WAKE_NS + conversion_ns(chip, value);
    }
    keep_ticking(sim, chip);
}

int ads1x15_i2c(struct sim *sim, struct sb_chip *chip, uint8_t *data, int size, int reading, int64_t now)
{
    advance(sim, chip, now);
    if (reading) {
        uint16_t value = chip->word[chip->pointer & 3];
        if ((chip->pointer & 3) == CONFIG)
            value = (value & 0x7fff) | (chip->end_ns ? 0 : 0x8000);
        for (int i = 0; i < size; i++)
            data[i] = i & 1 ? value & 0xff : value >> 8;
        if ((chip->pointer & 3) == CONVERSION && chip->word[CONFIG] & 0x4 && !ready_mode(chip))
            alert(sim, chip, 0, now); /* reading clears a latched comparator */
        return 0;
    }
    if (size >= 1)
        chip->pointer = data[0];
    if (size >= 3) {
        uint16_t value = data[1] << 8 | data[2];
        if ((data[0] & 3) == CONFIG)
            configure(sim, chip, value, now);
        else if ((data[0] & 3) != CONVERSION)
            chip->word[data[0] & 3] = value;
    }
    return 0;
}
