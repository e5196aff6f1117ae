/* Preloaded: counts what a real-time function must not call, and only while it runs (see test_real_time.py). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread long watching, calls;

/* Calls one(a, b) n times; how often it allocated, freed, locked or wrote. */
long counted(void (*one)(void *, void *), void *a, void *b, long n) {
  calls = 0;
  watching = 1;
  for (long i = 0; i < n; i++) one(a, b);
  watching = 0;
  return calls;
}

/* The same for a callback in PortAudio's way, a block at a time. */
long counted_callback(int (*one)(const void *, void *, unsigned long, const void *, unsigned long, void *), void *out, unsigned long frames, void *state, long n) {
  calls = 0;
  watching = 1;
  for (long i = 0; i < n; i++) one(NULL, out, frames, NULL, 0, state);
  watching = 0;
  return calls;
}

/* The same in a child that the kernel kills at any system call but its exit; its wait status, -1 where that cannot be had. */
int guarded(void (*one)(void *, void *), void *a, void *b, long n) {
  int status, child = fork();
  if (!child) {
    if (prctl(PR_SET_SECCOMP, 1, 0, 0, 0)) syscall(SYS_exit, 7);
    for (long i = 0; i < n; i++) one(a, b);
    syscall(SYS_exit, 0);
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? -1 : status;
}

#define COUNT(type, name, params, args)                              \
  type name params {                                                 \
    static type(*real) params;                                       \
    if (!real) real = (type(*) params)dlsym(RTLD_NEXT, #name);       \
    if (watching) calls++;                                           \
    return real args;                                                \
  }
COUNT(void *, malloc, (size_t n), (n))
COUNT(void *, realloc, (void *p, size_t n), (p, n))
COUNT(void *, aligned_alloc, (size_t a, size_t n), (a, n))
COUNT(int, posix_memalign, (void **p, size_t a, size_t n), (p, a, n))
COUNT(void *, mmap, (void *a, size_t n, int b, int c, int d, long e), (a, n, b, c, d, e))
COUNT(int, pthread_mutex_lock, (void *m), (m))
COUNT(int, sched_yield, (void), ())
COUNT(int, nanosleep, (const void *a, void *b), (a, b))
COUNT(long, write, (int f, const void *p, size_t n), (f, p, n))
void free(void *p) {
  static void (*real)(void *);
  if (!real) real = (void (*)(void *))dlsym(RTLD_NEXT, "free");
  if (watching && p) calls++;
  real(p);
}
