/* ST7789V (Sitronix, version 1.3 of March 2014, section 9.1; pages 158 to 254 of the ST7789V2's version 1.0): the pixels as addressed by CASET, RASET and RAMWR.
 *
 * Display memory: 240 columns by 320 rows of red, green, blue, 8 bits each, at the column and row the program wrote to
 * (what MADCTL then turns and mirrors is kept in byte[0x36], but not done). 16 and 18 bits a pixel (COLMOD 0x3A).
 */
#include "simbus.h"

enum { COLUMNS = 240, ROWS = 320 };
enum { COMMAND, GOT, COLUMN, ROW, FIRST_COLUMN, LAST_COLUMN, FIRST_ROW, LAST_ROW, LIT, AWAKE, INVERSE };
enum { CASET = 0x2A, RASET = 0x2B, RAMWR = 0x2C, RAMWRC = 0x3C, MADCTL = 0x36, COLMOD = 0x3A };

static void begin(struct sb_chip *chip, uint32_t *w, int code)
{
    w[COMMAND] = code, w[GOT] = 0;
    switch (code) {
    case 0x01: /* software reset */
        w[FIRST_COLUMN] = w[FIRST_ROW] = w[LIT] = w[AWAKE] = w[INVERSE] = 0;
        w[LAST_COLUMN] = COLUMNS - 1, w[LAST_ROW] = ROWS - 1;
        chip->byte[COLMOD] = 0x66, chip->byte[MADCTL] = 0;
        break;
    case 0x10: case 0x11: w[AWAKE] = code & 1; break;
    case 0x20: case 0x21: w[INVERSE] = code & 1; break;
    case 0x28: case 0x29: w[LIT] = code & 1; break;
    case RAMWR: w[COLUMN] = w[FIRST_COLUMN], w[ROW] = w[FIRST_ROW]; break;
    }
}

static void pixel(uint32_t *w, uint8_t *ram, uint8_t red, uint8_t green, uint8_t blue)
{
    if (w[COLUMN] < COLUMNS && w[ROW] < ROWS) {
        uint8_t *at = ram + (w[ROW] * COLUMNS + w[COLUMN]) * 3;
        at[0] = red, at[1] = green, at[2] = blue;
    }
    if (w[COLUMN]++ >= w[LAST_COLUMN]) {
        w[COLUMN] = w[FIRST_COLUMN];
        w[ROW] = w[ROW] >= w[LAST_ROW] ? w[FIRST_ROW] : w[ROW] + 1;
    }
}

void st7789_bytes(struct sim *sim, struct sb_chip *chip, const uint8_t *data, int size, int is_data)
{
    uint32_t *w = chip->word;
    uint8_t *ram = sim->board->ram + (chip->display > 0 ? SB_RAM_BYTES : 0), *part = chip->byte + 240;
    for (int i = 0; i < size; i++) {
        if (!is_data) {
            begin(chip, w, data[i]);
            continue;
        }
        uint32_t got = w[GOT]++, code = w[COMMAND];
        if ((code == CASET || code == RASET) && got < 4) {
            uint32_t *first = &w[code == CASET ? FIRST_COLUMN : FIRST_ROW];
            part[got] = data[i];
            if (got == 3)
                first[0] = part[0] << 8 | part[1], first[1] = part[2] << 8 | part[3];
        } else if ((code == MADCTL || code == COLMOD) && got == 0) {
            chip->byte[code] = data[i];
        } else if (code == RAMWR || code == RAMWRC) {
            int wide = (chip->byte[COLMOD] & 7) == 6, bytes = wide ? 3 : 2;
            part[got % bytes] = data[i];
            if (got % bytes == (uint32_t)bytes - 1 && wide)
                pixel(w, ram, part[0] & 0xFC, part[1] & 0xFC, part[2] & 0xFC);
            else if (got % bytes == (uint32_t)bytes - 1)
                pixel(w, ram, part[0] & 0xF8, (part[0] << 5 | part[1] >> 3) & 0xFC, part[1] << 3);
        }
    }
}
