/* /dev/spidevB.C: messages of transfers (Documentation/spi/spidev.rst of the kernel). */
#include "simbus.h"

#include <errno.h>
#include <linux/spi/spidev.h>
#include <string.h>

/* While a chip stays selected its transfers are one piece to it; the wires cost 8 clocks a byte and a little for each select. */
enum { SELECT_NS = 1000 };

static void to_chip(struct sim *sim, struct sb_bus *bus, int select, const uint8_t *out, uint8_t *in, int size, uint32_t speed_hz, uint32_t mode)
{
    struct sb_chip *chip = bus->stuck ? NULL : sim_chip(sim, bus, select);
    memset(in, 0, size); /* nobody drives MISO: the controller's pull-down */
    if (!chip)
        return;
    if (sim_uniform(chip) < chip->nack_rate) { /* SPI knows no acknowledge: a transfer that fails reads nothing */
        chip->refused++;
        return;
    }
    chip->transfers++;
    if (chip->kind == SB_MCP3208) {
        mcp3208_spi(sim, chip, out, in, size, speed_hz, mode);
        return;
    }
    int is_data = chip->dc_line >= 0 && sim->board->driven[chip->dc_line];
    if (chip->kind == SB_SSD1306 || chip->kind == SB_SH1106)
        oled_bytes(sim, chip, out, size, is_data);
    else if (chip->kind == SB_ST7789)
        st7789_bytes(sim, chip, out, size, is_data);
}

static int message(struct sim *sim, int bus_index, int select, struct spi_settings *settings, struct spi_ioc_transfer *transfers, int count)
{
    struct sb_bus *bus = &sim->board->bus[bus_index];
    uint8_t out[MAX_MESSAGE], in[MAX_MESSAGE];
    int total = 0, size = 0, first = 0;
    int64_t end = 0;
    sim_lock(sim, bus_index);
    for (int i = 0; i < count; i++) {
        struct spi_ioc_transfer *t = &transfers[i];
        uint32_t speed_hz = t->speed_hz ? t->speed_hz : settings->speed_hz;
        if (size + t->len > MAX_MESSAGE) {
            sim_unlock(sim, bus_index);
            errno = EMSGSIZE;
            return -1;
        }
        if (t->tx_buf)
            memcpy(out + size, (const void *)(uintptr_t)t->tx_buf, t->len);
        else
            memset(out + size, 0, t->len);
        size += t->len;
        total += t->len;
        end = sim_use_bus(bus, (int64_t)t->len * 8 * 1000000000 / (speed_hz ? speed_hz : 500000) + t->delay_usecs * 1000);
        if (!t->cs_change && i < count - 1)
            continue;
        end = sim_use_bus(bus, SELECT_NS);
        to_chip(sim, bus, select, out, in, size, speed_hz, settings->mode);
        for (int at = 0; first <= i; first++) {
            if (transfers[first].rx_buf)
                memcpy((void *)(uintptr_t)transfers[first].rx_buf, in + at, transfers[first].len);
            at += transfers[first].len;
        }
        size = 0;
    }
    sim_unlock(sim, bus_index);
    sim_sleep_until(end);
    return total;
}

ssize_t spi_plain(struct sim *sim, int bus, int select, struct spi_settings *settings, const uint8_t *out, uint8_t *in, size_t size)
{
    struct spi_ioc_transfer one = {.tx_buf = (uintptr_t)out, .rx_buf = (uintptr_t)in, .len = size};
    return message(sim, bus, select, settings, &one, 1);
}

int spi_ioctl(struct sim *sim, int bus, int select, struct spi_settings *settings, unsigned long request, void *argument)
{
    if (_IOC_TYPE(request) != SPI_IOC_MAGIC) {
        errno = ENOTTY;
        return -1;
    }
    switch (request) {
    case SPI_IOC_RD_MODE: *(uint8_t *)argument = settings->mode; return 0;
    case SPI_IOC_WR_MODE: settings->mode = *(uint8_t *)argument; return 0;
    case SPI_IOC_RD_MODE32: *(uint32_t *)argument = settings->mode; return 0;
    case SPI_IOC_WR_MODE32: settings->mode = *(uint32_t *)argument; return 0;
    case SPI_IOC_RD_LSB_FIRST: *(uint8_t *)argument = 0; return 0;
    case SPI_IOC_WR_LSB_FIRST: return 0;
    case SPI_IOC_RD_BITS_PER_WORD: *(uint8_t *)argument = settings->bits; return 0;
    case SPI_IOC_WR_BITS_PER_WORD: settings->bits = *(uint8_t *)argument; return 0;
    case SPI_IOC_RD_MAX_SPEED_HZ: *(uint32_t *)argument = settings->speed_hz; return 0;
    case SPI_IOC_WR_MAX_SPEED_HZ: settings->speed_hz = *(uint32_t *)argument; return 0;
    }
    if (_IOC_NR(request) != 0 || _IOC_SIZE(request) % sizeof(struct spi_ioc_transfer)) {
        errno = EINVAL;
        return -1;
    }
    return message(sim, bus, select, settings, argument, _IOC_SIZE(request) / sizeof(struct spi_ioc_transfer));
}
