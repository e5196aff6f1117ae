/* /dev/gpiochip0: line requests of both kernel interfaces (include/uapi/linux/gpio.h). Their edges are in edges.c. */
#define _GNU_SOURCE
#include "simbus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int value_of(struct sim *sim, struct sb_request *request, uint32_t i)
{
    uint32_t line = request->offset[i];
    int level = request->flags[i] & GPIO_V2_LINE_FLAG_OUTPUT ? sim->board->driven[line] : sim->board->level[line];
    return request->flags[i] & GPIO_V2_LINE_FLAG_ACTIVE_LOW ? !level : level;
}

static void put(struct sim *sim, struct sb_request *request, uint32_t i, int value)
{
    uint32_t line = request->offset[i];
    sim->board->is_output[line] = (request->flags[i] & GPIO_V2_LINE_FLAG_OUTPUT) != 0;
    if (sim->board->is_output[line])
        sim->board->driven[line] = request->flags[i] & GPIO_V2_LINE_FLAG_ACTIVE_LOW ? !value : value;
}

/* A free place for these lines; its descriptor through *fd. -1 with errno when a line is taken. */
static int take(struct sim *sim, int version, const uint32_t *offsets, uint32_t lines, int *fd)
{
    uint8_t rest[4096];
    int slot = -1;
    int outside = !lines || lines > GPIO_V2_LINES_MAX;
    for (uint32_t i = 0; !outside && i < lines; i++)
        outside = offsets[i] >= SB_LINES;
    if (outside) {
        errno = EINVAL;
        return -1;
    }
    for (int k = 0; k < SB_REQUESTS; k++) {
        struct sb_request *other = &sim->board->request[k];
        if (!gpio_in_use(other)) {
            slot = slot < 0 ? k : slot;
            continue;
        }
        for (uint32_t i = 0; i < other->lines; i++)
            for (uint32_t j = 0; j < lines; j++)
                if (other->offset[i] == offsets[j]) {
                    errno = EBUSY;
                    return -1;
                }
    }
    if (slot < 0) {
        errno = ENOMEM;
        return -1;
    }
    *fd = gpio_pipe(sim, slot, O_RDONLY | O_NONBLOCK);
    if (*fd < 0)
        return -1;
    while (syscall(SYS_read, *fd, rest, sizeof rest) > 0)
        ; /* left by a request of before */
    fcntl(*fd, F_SETFL, 0);
    struct sb_request *request = &sim->board->request[slot];
    int pipe_fd = request->pipe_fd;
    memset(request, 0, sizeof *request);
    request->pipe_fd = pipe_fd, request->pid = getpid(), request->version = version, request->lines = lines;
    memcpy(request->offset, offsets, lines * sizeof *offsets);
    return slot;
}

static void apply(struct sim *sim, struct sb_request *request, const struct gpio_v2_line_config *config)
{
    for (uint32_t i = 0; i < request->lines; i++) {
        uint64_t flags = config->flags, bit = UINT64_C(1) << i;
        int value = 0;
        for (uint32_t a = 0; a < config->num_attrs && a < GPIO_V2_LINE_NUM_ATTRS_MAX; a++) {
            const struct gpio_v2_line_config_attribute *attribute = &config->attrs[a];
            if (attribute->mask & bit && attribute->attr.id == GPIO_V2_LINE_ATTR_ID_FLAGS)
                flags = attribute->attr.flags;
            if (attribute->mask & bit && attribute->attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES)
                value = (attribute->attr.values & bit) != 0;
        }
        request->flags[i] = flags;
        put(sim, request, i, value);
    }
}

static uint64_t flags_of_v1(uint32_t handle)
{
    return (handle & GPIOHANDLE_REQUEST_OUTPUT ? GPIO_V2_LINE_FLAG_OUTPUT : GPIO_V2_LINE_FLAG_INPUT)
         | (handle & GPIOHANDLE_REQUEST_ACTIVE_LOW ? GPIO_V2_LINE_FLAG_ACTIVE_LOW : 0);
}

static int request_v2(struct sim *sim, struct gpio_v2_line_request *asked, int *slot)
{
    *slot = take(sim, 2, asked->offsets, asked->num_lines, &asked->fd);
    if (*slot < 0)
        return -1;
    apply(sim, &sim->board->request[*slot], &asked->config);
    return 0;
}

static int request_handle(struct sim *sim, struct gpiohandle_request *asked, int *slot)
{
    *slot = take(sim, 1, asked->lineoffsets, asked->lines, &asked->fd);
    if (*slot < 0)
        return -1;
    struct sb_request *request = &sim->board->request[*slot];
    for (uint32_t i = 0; i < request->lines; i++) {
        request->flags[i] = flags_of_v1(asked->flags);
        put(sim, request, i, asked->default_values[i]);
    }
    return 0;
}

static int request_event(struct sim *sim, struct gpioevent_request *asked, int *slot)
{
    *slot = take(sim, 1, &asked->lineoffset, 1, &asked->fd);
    if (*slot < 0)
        return -1;
    sim->board->request[*slot].flags[0] = flags_of_v1(asked->handleflags)
        | (asked->eventflags & GPIOEVENT_REQUEST_RISING_EDGE ? GPIO_V2_LINE_FLAG_EDGE_RISING : 0)
        | (asked->eventflags & GPIOEVENT_REQUEST_FALLING_EDGE ? GPIO_V2_LINE_FLAG_EDGE_FALLING : 0);
    return 0;
}

static int line_info(struct sim *sim, uint32_t line, char *name, char *consumer)
{
    if (line >= SB_LINES) {
        errno = EINVAL;
        return -1;
    }
    snprintf(name, GPIO_MAX_NAME_SIZE, "GPIO%u", line);
    for (int k = 0; k < SB_REQUESTS; k++)
        for (uint32_t i = 0; gpio_in_use(&sim->board->request[k]) && i < sim->board->request[k].lines; i++)
            if (sim->board->request[k].offset[i] == line) {
                snprintf(consumer, GPIO_MAX_NAME_SIZE, "taken");
                return 1;
            }
    return 0;
}

int gpio_chip_ioctl(struct sim *sim, unsigned long request, void *argument, int *slot)
{
    int result = -1;
    *slot = -1;
    if (sim->board->old_kernel && (request == GPIO_V2_GET_LINEINFO_IOCTL || request == GPIO_V2_GET_LINE_IOCTL)) {
        errno = EINVAL;
        return -1;
    }
    sim_lock(sim, LOCK_GPIO);
    if (request == GPIO_GET_CHIPINFO_IOCTL) {
        struct gpiochip_info *info = argument;
        *info = (struct gpiochip_info){.name = "gpiochip0", .lines = SB_LINES};
        memcpy(info->label, sim->board->gpio_label, sizeof info->label);
        result = 0;
    } else if (request == GPIO_V2_GET_LINEINFO_IOCTL) {
        struct gpio_v2_line_info *info = argument;
        uint32_t line = info->offset;
        *info = (struct gpio_v2_line_info){.offset = line};
        result = line_info(sim, line, info->name, info->consumer);
        info->flags = (result > 0 ? GPIO_V2_LINE_FLAG_USED : 0)
                    | (result >= 0 && sim->board->is_output[line] ? GPIO_V2_LINE_FLAG_OUTPUT : GPIO_V2_LINE_FLAG_INPUT);
        result = result > 0 ? 0 : result;
    } else if (request == GPIO_GET_LINEINFO_IOCTL) {
        struct gpioline_info *info = argument;
        uint32_t line = info->line_offset;
        *info = (struct gpioline_info){.line_offset = line};
        result = line_info(sim, line, info->name, info->consumer);
        info->flags = (result > 0 ? GPIOLINE_FLAG_KERNEL : 0) | (result >= 0 && sim->board->is_output[line] ? GPIOLINE_FLAG_IS_OUT : 0);
        result = result > 0 ? 0 : result;
    } else if (request == GPIO_V2_GET_LINE_IOCTL)
        result = request_v2(sim, argument, slot);
    else if (request == GPIO_GET_LINEHANDLE_IOCTL)
        result = request_handle(sim, argument, slot);
    else if (request == GPIO_GET_LINEEVENT_IOCTL)
        result = request_event(sim, argument, slot);
    else
        errno = ENOTTY;
    if (*slot >= 0)
        sim->board->request[*slot].used = 1;
    sim_unlock(sim, LOCK_GPIO);
    return result;
}

int gpio_line_ioctl(struct sim *sim, int slot, unsigned long ask, void *argument)
{
    struct sb_request *request = &sim->board->request[slot];
    struct gpio_v2_line_values *values = argument;
    struct gpiohandle_data *data = argument;
    int result = 0;
    sim_lock(sim, LOCK_GPIO);
    if (ask == GPIO_V2_LINE_GET_VALUES_IOCTL) {
        values->bits = 0;
        for (uint32_t i = 0; i < request->lines; i++)
            if (values->mask >> i & 1)
                values->bits |= (uint64_t)value_of(sim, request, i) << i;
    } else if (ask == GPIO_V2_LINE_SET_VALUES_IOCTL) {
        for (uint32_t i = 0; i < request->lines; i++)
            if (values->mask >> i & 1)
                put(sim, request, i, values->bits >> i & 1);
    } else if (ask == GPIO_V2_LINE_SET_CONFIG_IOCTL) {
        apply(sim, request, argument);
    } else if (ask == GPIOHANDLE_GET_LINE_VALUES_IOCTL) {
        for (uint32_t i = 0; i < request->lines; i++)
            data->values[i] = (uint8_t)value_of(sim, request, i);
    } else if (ask == GPIOHANDLE_SET_LINE_VALUES_IOCTL) {
        for (uint32_t i = 0; i < request->lines; i++)
            put(sim, request, i, data->values[i]);
    } else {
        errno = ENOTTY;
        result = -1;
    }
    sim_unlock(sim, LOCK_GPIO);
    return result;
}

void gpio_release(struct sim *sim, int slot)
{
    sim_lock(sim, LOCK_GPIO);
    sim->board->request[slot].used = 0;
    sim_unlock(sim, LOCK_GPIO);
}
