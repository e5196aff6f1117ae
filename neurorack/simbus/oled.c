/* SSD1306 (Solomon Systech, rev 1.1 of April 2008, sections 9 and 10) and SH1106 (Sino Wealth, version 2.3): what their memories hold.
 *
 * Both keep pages of eight rows, a byte for each column, bit 0 on top. The SSD1306 has 128 columns and three ways to
 * go on after a byte (10.1.3); the SH1106 has 132 columns, of which a 128-pixel panel shows 2 to 129, and goes on
 * within its page only. Display memory: 132 bytes a page for both.
 */
#include "simbus.h"

enum { STRIDE = 132 };
enum { MODE, COLUMN, PAGE, FIRST_COLUMN, LAST_COLUMN, FIRST_PAGE, LAST_PAGE, LIT, CONTRAST, INVERSE, COMMAND, WANTED, GOT, STARTED };

static int arguments(struct sb_chip *chip, int command)
{
    int ssd = chip->kind == SB_SSD1306;
    switch (command) {
    case 0x20: case 0x8D: return ssd ? 1 : 0;
    case 0x21: case 0x22: case 0xA3: return ssd ? 2 : 0;
    case 0x26: case 0x27: return ssd ? 6 : 0;
    case 0x29: case 0x2A: return ssd ? 5 : 0;
    case 0xAD: return ssd ? 0 : 1;
    case 0x81: case 0xA8: case 0xD3: case 0xD5: case 0xD9: case 0xDA: case 0xDB: return 1;
    default: return 0;
    }
}

static void command(struct sb_chip *chip, uint32_t *w, int code)
{
    const uint8_t *argument = chip->byte;
    if (code <= 0x0F)
        w[COLUMN] = (w[COLUMN] & 0xF0) | code;
    else if (code <= 0x1F)
        w[COLUMN] = (w[COLUMN] & 0x0F) | (code & 0x0F) << 4;
    else if (code >= 0xB0 && code <= 0xB7)
        w[PAGE] = code & 7;
    switch (code) {
    case 0x20:
        if (chip->kind == SB_SSD1306)
            w[MODE] = argument[0] & 3;
        break;
    case 0x21: w[FIRST_COLUMN] = w[COLUMN] = argument[0] & 0x7F, w[LAST_COLUMN] = argument[1] & 0x7F; break;
    case 0x22: w[FIRST_PAGE] = w[PAGE] = argument[0] & 7, w[LAST_PAGE] = argument[1] & 7; break;
    case 0x81: w[CONTRAST] = argument[0]; break;
    case 0xA6: case 0xA7: w[INVERSE] = code & 1; break;
    case 0xAE: case 0xAF: w[LIT] = code & 1; break;
    }
}

static void write_byte(struct sb_chip *chip, uint32_t *w, uint8_t *ram, uint8_t value)
{
    uint32_t columns = chip->kind == SB_SSD1306 ? 128 : STRIDE;
    if (w[COLUMN] < columns)
        ram[w[PAGE] * STRIDE + w[COLUMN]] = value;
    if (w[MODE] == 2 || chip->kind == SB_SH1106) { /* within the page; the SH1106 stops at its end */
        w[COLUMN] = w[COLUMN] + 1 < columns ? w[COLUMN] + 1 : chip->kind == SB_SSD1306 ? 0 : columns;
    } else if (w[MODE] == 0) {
        if (w[COLUMN]++ == w[LAST_COLUMN]) {
            w[COLUMN] = w[FIRST_COLUMN];
            w[PAGE] = w[PAGE] == w[LAST_PAGE] ? w[FIRST_PAGE] : (w[PAGE] + 1) & 7;
        }
    } else if (w[PAGE]++ == w[LAST_PAGE]) {
        w[PAGE] = w[FIRST_PAGE];
        w[COLUMN] = w[COLUMN] == w[LAST_COLUMN] ? w[FIRST_COLUMN] : w[COLUMN] + 1;
    }
}

void oled_bytes(struct sim *sim, struct sb_chip *chip, const uint8_t *data, int size, int is_data)
{
    uint32_t *w = chip->word;
    uint8_t *ram = sim->board->ram + (chip->display > 0 ? SB_RAM_BYTES : 0);
    if (!w[STARTED]) { /* as after reset */
        w[MODE] = 2, w[LAST_COLUMN] = 127, w[LAST_PAGE] = 7, w[CONTRAST] = 0x7F, w[STARTED] = 1;
    }
    for (int i = 0; i < size; i++) {
        if (is_data)
            write_byte(chip, w, ram, data[i]);
        else if (w[WANTED]) {
            chip->byte[w[GOT]++] = data[i];
            if (--w[WANTED] == 0)
                command(chip, w, w[COMMAND]);
        } else {
            w[COMMAND] = data[i], w[GOT] = 0, w[WANTED] = arguments(chip, data[i]);
            if (!w[WANTED])
                command(chip, w, data[i]);
        }
    }
}
