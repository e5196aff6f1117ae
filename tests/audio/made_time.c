/* A clock that stands still until a test moves it, for callback.c compiled with -Dclock_gettime=made_clock and so on:
 * what the callback makes of time becomes exact. Scheduling is left alone, too: the caller is a test. */
#include <stdint.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

static int64_t now_ns = 1000000000;
static int64_t stall_at_ns = INT64_MAX, stall_ns;

EXPORT void made_set(int64_t ns) { now_ns = ns; }
/* The machine stands still once, for so long, when the clock passes `at`. */
EXPORT void made_stall(int64_t at, int64_t ns) { stall_at_ns = at, stall_ns = ns; }

EXPORT int made_clock(clockid_t id, struct timespec *t) {
  (void)id;
  t->tv_sec = now_ns / 1000000000;
  t->tv_nsec = now_ns % 1000000000;
  return 0;
}

EXPORT int made_sleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
  int64_t due = (int64_t)until->tv_sec * 1000000000 + until->tv_nsec;
  (void)id, (void)flags, (void)left;
  if (due > now_ns) now_ns = due;
  if (now_ns >= stall_at_ns) {
    now_ns += stall_ns;
    stall_at_ns = INT64_MAX;
  }
  return 0;
}

EXPORT int made_schedule(unsigned long thread, int policy, const void *parameters) {
  (void)thread, (void)policy, (void)parameters;
  return 0;
}

/* The instrument's own: denormals off. A test's thread keeps them. */
EXPORT void nr_denormals_off(void) {}
