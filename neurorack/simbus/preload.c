/* Stands before the C library: calls that name a simulated device are answered here, all others go on to the kernel.
 *
 * A simulated device's descriptor is a real one (of /dev/null, or of a request's pipe), so select, poll, fcntl and
 * inheritance need no help. Only what this process opened itself is known here.
 */
#define _GNU_SOURCE
#include "simbus.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { FILES = 4096, I2C_MAJOR_NUMBER = 89, SPI_MAJOR_NUMBER = 153, GPIO_MAJOR_NUMBER = 254 };
enum kind { NOTHING, I2C_BUS, SPI_BUS, GPIO_CHIP, GPIO_LINES };

struct file {
    int kind, bus, select, slot;
    uint16_t address;
    unsigned timeout_10ms;
    struct spi_settings spi;
};
static struct file files[FILES];

/* What a path names: its kind, and the bus (index) and select of it. */
static enum kind device(const char *path, int *bus, int *select)
{
    unsigned number, chip;
    char rest;
    if (!path || strncmp(path, "/dev/", 5))
        return NOTHING;
    struct sim *sim = sim_here();
    if (!sim)
        return NOTHING;
    struct sb_bus *found = NULL;
    enum kind kind = NOTHING;
    *select = 0;
    if (sscanf(path, "/dev/i2c-%u%c", &number, &rest) == 1) {
        kind = I2C_BUS, found = sim_bus(sim, 1, number);
    } else if (sscanf(path, "/dev/spidev%u.%u%c", &number, &chip, &rest) == 2 && chip < 4) {
        kind = SPI_BUS, found = sim_bus(sim, 2, number), *select = (int)chip;
    } else if (!strcmp(path, "/dev/gpiochip0") && sim->board->gpio_label[0])
        return GPIO_CHIP;
    if (!found)
        return NOTHING;
    *bus = (int)(found - sim->board->bus);
    return kind;
}

static struct file *file_of(int fd) { return fd >= 0 && fd < FILES && files[fd].kind ? &files[fd] : NULL; }

/* -1 when the path is no simulated device (then nothing was done), else a descriptor or -2 with errno. */
static int open_device(const char *path)
{
    int bus = 0, select = 0;
    enum kind kind = device(path, &bus, &select);
    if (!kind)
        return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (fd >= FILES) {
        syscall(SYS_close, fd);
        errno = EMFILE;
        return -2;
    }
    if (fd >= 0)
        files[fd] = (struct file){.kind = kind, .bus = bus, .select = select, .timeout_10ms = 100, .spi = {.speed_hz = 500000, .bits = 8}};
    return fd >= 0 ? fd : -2;
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    int fd = open_device(path);
    if (fd == -1)
        fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    return fd < 0 ? -1 : fd;
}

static mode_t mode_of(int flags, va_list list) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0; }

#define OPEN(NAME)                                                                                                     \
    EXPORT int NAME(const char *path, int flags, ...)                                                                  \
    {                                                                                                                  \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_of(flags, list);                                                                            \
        va_end(list);                                                                                                  \
        return open_any(AT_FDCWD, path, flags, mode);                                                                  \
    }
#define OPENAT(NAME)                                                                                                   \
    EXPORT int NAME(int folder, const char *path, int flags, ...)                                                      \
    {                                                                                                                  \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_of(flags, list);                                                                            \
        va_end(list);                                                                                                  \
        return open_any(folder, path, flags, mode);                                                                    \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
EXPORT int __open_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }

EXPORT int close(int fd)
{
    struct file *file = file_of(fd);
    if (file) {
        if (file->kind == GPIO_LINES)
            gpio_release(sim_here(), file->slot);
        file->kind = NOTHING;
    }
    return (int)syscall(SYS_close, fd);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    struct file *file = file_of(fd);
    if (!file)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    struct sim *sim = sim_here();
    request &= 0xffffffff; /* as the kernel does: some callers extend its sign */
    switch (file->kind) {
    case I2C_BUS: return i2c_ioctl(sim, file->bus, &file->address, &file->timeout_10ms, request, argument);
    case SPI_BUS: return spi_ioctl(sim, file->bus, file->select, &file->spi, request, argument);
    case GPIO_LINES: return gpio_line_ioctl(sim, file->slot, request, argument);
    }
    int slot, result = gpio_chip_ioctl(sim, request, argument, &slot);
    if (slot >= 0) {
        int made_fd = ((int *)((char *)argument + _IOC_SIZE(request)))[-1]; /* the last field of all three requests */
        if (made_fd >= 0 && made_fd < FILES)
            files[made_fd] = (struct file){.kind = GPIO_LINES, .slot = slot};
    }
    return result;
}

EXPORT ssize_t read(int fd, void *data, size_t size)
{
    struct file *file = file_of(fd);
    if (file && file->kind == I2C_BUS)
        return i2c_plain(sim_here(), file->bus, file->address, file->timeout_10ms, data, size, 1);
    if (file && file->kind == SPI_BUS)
        return spi_plain(sim_here(), file->bus, file->select, &file->spi, NULL, data, size);
    return syscall(SYS_read, fd, data, size);
}

EXPORT ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
    (void)room;
    return read(fd, data, size);
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    struct file *file = file_of(fd);
    if (file && file->kind == I2C_BUS)
        return i2c_plain(sim_here(), file->bus, file->address, file->timeout_10ms, (uint8_t *)data, size, 0);
    if (file && file->kind == SPI_BUS)
        return spi_plain(sim_here(), file->bus, file->select, &file->spi, data, NULL, size);
    return syscall(SYS_write, fd, data, size);
}

/* -- the looks that libraries take at a device before they open it */

static int fake_stat(const char *path, struct stat *status)
{
    int bus = 0, select = 0;
    enum kind kind = device(path, &bus, &select);
    if (!kind)
        return 0;
    memset(status, 0, sizeof *status);
    int major_number = kind == I2C_BUS ? I2C_MAJOR_NUMBER : kind == SPI_BUS ? SPI_MAJOR_NUMBER : GPIO_MAJOR_NUMBER;
    status->st_mode = S_IFCHR | 0660;
    status->st_nlink = 1;
    status->st_uid = getuid();
    status->st_gid = getgid();
    status->st_rdev = makedev(major_number, bus * 4 + select);
    return 1;
}

static int plain_stat(const char *path, struct stat *status, int flags)
{
    return fake_stat(path, status) ? 0 : (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, flags);
}

EXPORT int stat(const char *path, struct stat *status) { return plain_stat(path, status, 0); }
EXPORT int lstat(const char *path, struct stat *status) { return plain_stat(path, status, AT_SYMLINK_NOFOLLOW); }
EXPORT int stat64(const char *path, struct stat64 *status) { return plain_stat(path, (struct stat *)status, 0); }
EXPORT int lstat64(const char *path, struct stat64 *status) { return plain_stat(path, (struct stat *)status, AT_SYMLINK_NOFOLLOW); }
EXPORT int __xstat(int version, const char *path, struct stat *status) { (void)version; return plain_stat(path, status, 0); }
EXPORT int __lxstat(int version, const char *path, struct stat *status) { (void)version; return plain_stat(path, status, AT_SYMLINK_NOFOLLOW); }

EXPORT int access(const char *path, int mode)
{
    int bus = 0, select = 0;
    return device(path, &bus, &select) ? 0 : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

/* libgpiod asks whether a character device belongs to the GPIO subsystem. */
EXPORT char *realpath(const char *path, char *resolved)
{
    static char *(*real)(const char *, char *);
    char subsystem[64];
    snprintf(subsystem, sizeof subsystem, "/sys/dev/char/%d:0/subsystem", GPIO_MAJOR_NUMBER);
    if (path && !strcmp(path, subsystem) && sim_here()) {
        char *out = resolved ? resolved : malloc(PATH_MAX);
        return out ? strcpy(out, "/sys/bus/gpio") : NULL;
    }
    if (!real)
        real = (char *(*)(const char *, char *))dlsym(RTLD_NEXT, "realpath");
    return real(path, resolved);
}
