/* MCP3208, eight 12-bit inputs on SPI (Microchip DS21298E).
 *
 * Page 19, section 5.0: after the start bit come SGL/DIFF, D2, D1, D0; the input is sampled from the fourth rising edge
 * after it to the falling edge of the fifth clock; a null bit, twelve bits from the highest, then the same from the lowest, then zeros. Until the null bit DOUT floats (read as 0
 * here). Page 1: 50 000 samples a second at 2.7 V and 100 000 at 5 V, of 20 clocks: 1 MHz and 2 MHz; a faster clock
 * leaves the sampling capacitor short of its voltage. Modes 0,0 and 1,1 (page 21, section 6.1).
 */
#include "simbus.h"

#include <math.h>
#include <string.h>

static int bit(const uint8_t *data, int i) { return data[i / 8] >> (7 - i % 8) & 1; }

static int convert(struct sim *sim, struct sb_chip *chip, int single, int channel, uint32_t speed_hz)
{
    double limit_hz = 1e6 + (fmin(5.0, fmax(2.7, chip->supply_volts)) - 2.7) / 2.3 * 1e6;
    double volts = single ? sim_pin(sim, chip, channel) : sim_pin(sim, chip, channel) - sim_pin(sim, chip, channel ^ 1);
    if (speed_hz > limit_hz)
        volts *= 1.0 - exp(-8.0 * limit_hz / speed_hz);
    double code = floor(volts / chip->supply_volts * 4096.0 + chip->noise_lsb * sim_noise(chip));
    chip->conversions++;
    return (int)fmin(4095.0, fmax(0.0, code));
}

void mcp3208_spi(struct sim *sim, struct sb_chip *chip, const uint8_t *out, uint8_t *in, int size, uint32_t speed_hz, uint32_t mode)
{
    int bits = size * 8, start = 0;
    memset(in, 0, size);
    while (start < bits && !bit(out, start))
        start++;
    if (start + 4 >= bits || ((mode & 3) != 0 && (mode & 3) != 3))
        return;
    int single = bit(out, start + 1);
    int channel = bit(out, start + 2) << 2 | bit(out, start + 3) << 1 | bit(out, start + 4);
    int code = convert(sim, chip, single, channel, speed_hz);
    for (int i = 0; i < 23; i++) { /* B11 .. B0, then B1 .. B11 */
        int at = start + 7 + i, which = i < 12 ? 11 - i : i - 11;
        if (at < bits && code >> which & 1)
            in[at / 8] |= 1 << (7 - at % 8);
    }
}
