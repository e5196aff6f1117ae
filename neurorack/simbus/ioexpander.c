/* Pimoroni's IO expander, a Nuvoton MS51 with their firmware, as on the RGB encoder breakout (address 0x0F).
 *
 * Register map as published with their library (github.com/pimoroni/ioe-python, ioexpander/ioe_regs.py): a pointer that
 * counts up; ports P0 to P3 are written a bit at a time (bit 3 the value, bits 0-2 which); encoder 1 is counted by the
 * chip itself in register 6; a change sets bit 0 of INT and, when bit 1 allows, pulls the interrupt pin low until bit 0
 * is cleared.
 */
#include "simbus.h"

#include <string.h>

enum { ENC_EN = 0x04, ENC_1_COUNT = 0x06, P0 = 0x40, P1 = 0x50, P2 = 0x60, P3 = 0x70, PWMCON0 = 0x98, USER_FLASH = 0xD0,
       INT = 0xF9, CHIP_ID_L = 0xFA, CHIP_ID_H = 0xFB, VERSION = 0xFC, CTRL = 0xFE };
enum { STARTED = 0 };

static void reset(struct sb_chip *chip)
{
    memset(chip->byte, 0, sizeof chip->byte);
    chip->byte[CHIP_ID_L] = 0x6A;
    chip->byte[CHIP_ID_H] = 0xE2;
    chip->byte[VERSION] = 2;
    chip->byte[USER_FLASH] = 0x78;
    chip->byte[P0] = chip->byte[P1] = chip->byte[P3] = 0xFF;
    chip->word[STARTED] = 1;
}

static void interrupt(struct sim *sim, struct sb_chip *chip)
{
    int low = (chip->byte[INT] & 3) == 3;
    if (chip->alert_line < 0 || sim->board->level[chip->alert_line] == !low)
        return;
    struct sb_edge edge = {chip->alert_line, !low, sim_now()};
    gpio_drive(sim, &edge, 1);
}

void ioexpander_turn(struct sim *sim, struct sb_chip *chip, int steps)
{
    if (!chip->word[STARTED])
        reset(chip);
    if (!(chip->byte[ENC_EN] & 1))
        return;
    chip->byte[ENC_1_COUNT] += steps;
    chip->byte[INT] |= 1;
    interrupt(sim, chip);
}

int ioexpander_i2c(struct sim *sim, struct sb_chip *chip, uint8_t *data, int size, int reading, int64_t now)
{
    (void)now;
    if (!chip->word[STARTED])
        reset(chip);
    if (reading) {
        for (int i = 0; i < size; i++)
            data[i] = chip->byte[chip->pointer++ & 0xFF];
        return 0;
    }
    if (size >= 1)
        chip->pointer = data[0];
    for (int i = 1; i < size; i++) {
        uint32_t at = chip->pointer++ & 0xFF;
        if (at == P0 || at == P1 || at == P2 || at == P3)
            chip->byte[at] = data[i] & 8 ? chip->byte[at] | 1 << (data[i] & 7) : chip->byte[at] & ~(1 << (data[i] & 7));
        else if (at == CTRL && data[i] & 2)
            reset(chip);
        else if (at < CHIP_ID_L || at > VERSION)
            chip->byte[at] = data[i];
        if (at == PWMCON0)
            chip->byte[at] &= ~0x50; /* loaded, cleared: at once */
        if (at == INT)
            interrupt(sim, chip);
    }
    return 0;
}
