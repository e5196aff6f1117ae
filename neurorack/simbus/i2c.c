/* /dev/i2c-N: plain reads and writes, combined transfers, and the SMBus calls made of them (Documentation/i2c of the kernel). */
#include "simbus.h"

#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <string.h>

static int to_chip(struct sim *sim, struct sb_bus *bus, struct i2c_msg *message, int64_t now)
{
    struct sb_chip *chip = sim_chip(sim, bus, message->addr);
    int reading = message->flags & I2C_M_RD, refused = -1;
    if (!chip)
        return -1;
    if (sim_uniform(chip) >= chip->nack_rate) {
        if (chip->kind == SB_ADS1015 || chip->kind == SB_ADS1115)
            refused = ads1x15_i2c(sim, chip, message->buf, message->len, reading, now);
        else if (chip->kind == SB_IOEXPANDER)
            refused = ioexpander_i2c(sim, chip, message->buf, message->len, reading, now);
        else if (!reading && message->len) { /* an OLED: a control byte says what follows */
            oled_bytes(sim, chip, message->buf + 1, message->len - 1, message->buf[0] & 0x40);
            refused = 0;
        } else
            refused = 0;
    }
    *(refused ? &chip->refused : &chip->transfers) += 1;
    return refused;
}

/* One combined transfer: start, each message with its address, stop; 9 clocks a byte. */
static int transfer(struct sim *sim, int bus_index, unsigned timeout_10ms, struct i2c_msg *messages, unsigned count)
{
    struct sb_bus *bus = &sim->board->bus[bus_index];
    int64_t clock_ns = 1000000000 / (bus->speed_hz ? bus->speed_hz : 100000), end = 0;
    int result = (int)count;
    sim_lock(sim, bus_index);
    if (bus->stuck) {
        end = sim_use_bus(bus, timeout_10ms * INT64_C(10000000));
        errno = ETIMEDOUT;
        result = -1;
    } else {
        for (unsigned i = 0; i < count; i++) {
            end = sim_use_bus(bus, clock_ns * (9 * (messages[i].len + 1) + 2));
            if (to_chip(sim, bus, &messages[i], end)) {
                errno = EREMOTEIO;
                result = -1;
                break;
            }
        }
    }
    int error = errno;
    sim_unlock(sim, bus_index);
    sim_sleep_until(end);
    errno = error;
    return result;
}

ssize_t i2c_plain(struct sim *sim, int bus, uint16_t address, unsigned timeout_10ms, uint8_t *data, size_t size, int reading)
{
    struct i2c_msg message = {.addr = address, .flags = reading ? I2C_M_RD : 0, .len = size, .buf = data};
    return transfer(sim, bus, timeout_10ms, &message, 1) < 0 ? -1 : (ssize_t)size;
}

static int smbus(struct sim *sim, int bus, uint16_t address, unsigned timeout_10ms, struct i2c_smbus_ioctl_data *call)
{
    uint8_t out[I2C_SMBUS_BLOCK_MAX + 2] = {call->command}, in[I2C_SMBUS_BLOCK_MAX + 1] = {0};
    int reading = call->read_write == I2C_SMBUS_READ;
    struct i2c_msg m[2] = {{.addr = address, .len = 1, .buf = out}, {.addr = address, .flags = I2C_M_RD, .len = 1, .buf = in}};
    union i2c_smbus_data *data = call->data;
    unsigned block = 0;
    switch (call->size) {
    case I2C_SMBUS_QUICK:
        m[0].len = 0;
        return transfer(sim, bus, timeout_10ms, m, 1) < 0 ? -1 : 0;
    case I2C_SMBUS_BYTE:
        if (transfer(sim, bus, timeout_10ms, &m[reading], 1) < 0)
            return -1;
        if (reading)
            data->byte = in[0];
        return 0;
    case I2C_SMBUS_BYTE_DATA:
        out[1] = reading ? 0 : data->byte;
        m[0].len = reading ? 1 : 2;
        break;
    case I2C_SMBUS_WORD_DATA:
        if (!reading)
            out[1] = data->word & 0xff, out[2] = data->word >> 8;
        m[0].len = reading ? 1 : 3;
        m[1].len = 2;
        break;
    case I2C_SMBUS_I2C_BLOCK_DATA:
        block = data->block[0] > I2C_SMBUS_BLOCK_MAX ? I2C_SMBUS_BLOCK_MAX : data->block[0];
        if (!reading)
            memcpy(out + 1, data->block + 1, block);
        m[0].len = reading ? 1 : 1 + block;
        m[1].len = block;
        break;
    default:
        errno = EOPNOTSUPP;
        return -1;
    }
    if (transfer(sim, bus, timeout_10ms, m, reading ? 2 : 1) < 0)
        return -1;
    if (reading && call->size == I2C_SMBUS_BYTE_DATA)
        data->byte = in[0];
    else if (reading && call->size == I2C_SMBUS_WORD_DATA)
        data->word = in[0] | in[1] << 8;
    else if (reading)
        memcpy(data->block + 1, in, block);
    return 0;
}

int i2c_ioctl(struct sim *sim, int bus, uint16_t *address, unsigned *timeout_10ms, unsigned long request, void *argument)
{
    switch (request) {
    case I2C_FUNCS:
        *(unsigned long *)argument = I2C_FUNC_I2C | (I2C_FUNC_SMBUS_EMUL & ~(I2C_FUNC_SMBUS_BLOCK_DATA | I2C_FUNC_SMBUS_PEC));
        return 0;
    case I2C_SLAVE:
    case I2C_SLAVE_FORCE:
        *address = (uint16_t)(uintptr_t)argument;
        return 0;
    case I2C_TIMEOUT:
        *timeout_10ms = (unsigned)(uintptr_t)argument;
        return 0;
    case I2C_RETRIES:
    case I2C_PEC:
        return 0;
    case I2C_SMBUS:
        return smbus(sim, bus, *address, *timeout_10ms, argument);
    case I2C_RDWR: {
        struct i2c_rdwr_ioctl_data *data = argument;
        if (!data->nmsgs || data->nmsgs > I2C_RDWR_IOCTL_MAX_MSGS) {
            errno = EINVAL;
            return -1;
        }
        return transfer(sim, bus, *timeout_10ms, data->msgs, data->nmsgs);
    }
    }
    errno = ENOTTY;
    return -1;
}
