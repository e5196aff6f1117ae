"""A filter of system calls (seccomp): what it forbids fails with EPERM, in this process and for ever.

The filter is a program of the kernel's old packet machine, put together here: each forbidden call is compared by number, some are
looked at by argument. A filter cannot follow pointers, so it knows nothing of paths: files are Landlock's business, unless
nothing may be written at all. Calls newer than the list fail as in an old kernel (ENOSYS).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_DENIED = {      # system call: its number on x86-64 and on arm64
    # talking to anybody
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "recvfrom": (45, 207), "recvmsg": (47, 212), "recvmmsg": (299, 243), "setsockopt": (54, 208), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "msgget": (68, 186), "semget": (64, 190), "shmget": (29, 194),
    # other programs and other processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "tkill": (200, 130),
    # other rights, other views of the system
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "pivot_root": (155, 41), "chroot": (161, 51), "setuid": (105, 146), "setgid": (106, 144),
    "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159),
    "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91), "personality": (135, 92),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "sched_setparam": (142, 118), "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # ways around a filter, and into the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "ioperm": (173, None), "iopl": (172, None), "modify_ldt": (154, None), "lookup_dcookie": (212, 18),
    "memfd_secret": (447, None),
    # the machine itself
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "vhangup": (153, 58),
    # what a file is, rather than what is in it
    "mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
}
_DENIED_READ_ONLY = {      # besides these where nothing may be written at all
    # names
    "creat": (85, None), "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None),
    "mkdirat": (258, 34), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "truncate": (76, 45),
}
_ARGUMENTS = {"clone": (56, 220), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "ioctl": (16, 29),
              "open": (2, None), "openat": (257, 56)}
_MISSING = {"clone3": (435, 435), "openat2": (437, 437)}      # their arguments lie behind a pointer; libraries fall back to the older call
_FIRST_UNKNOWN = 448

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}      # column of the tables, the kernel's mark of the machine
ALLOW, KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16      # offsets in struct seccomp_data; an argument's lower half comes first on both machines
_CLONE_THREAD, _TIOCSTI, _TO_WRITE = 0x10000, 0x5412, os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_X32 = 0x40000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def program(machine: str, pid: int, read_only: bool) -> list[tuple[int, int, int, int]]:
    """The filter for one machine: instructions (code, jump if true, jump if false, number). Raises ``OSError`` for another machine.

    ``pid`` is the process that may signal itself; ``read_only``: opening a file to write, and changing names, is forbidden too.
    """
    if machine not in MACHINES:
        raise OSError(f"no system call filter for {machine}")
    column, mark = MACHINES[machine]
    forbidden, missing = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    allowed, number = (_RETURN, 0, 0, ALLOW), (_LOAD, 0, 0, _NR)
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, mark), (_RETURN, 0, 0, KILL), number,
             (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, KILL), (_AT_LEAST, 0, 1, _FIRST_UNKNOWN), missing]

    def on_argument(name: str, argument: int, test: int, value: int, if_so, if_not) -> None:
        if _ARGUMENTS[name][column] is not None:
            steps.extend([(_EQUAL, 0, 4, _ARGUMENTS[name][column]), (_LOAD, 0, 0, _ARGS + 8 * argument), (test, 0, 1, value), if_so, if_not])

    on_argument("clone", 0, _ANY_BIT, _CLONE_THREAD, allowed, forbidden)
    on_argument("kill", 0, _EQUAL, pid, allowed, forbidden)
    on_argument("tgkill", 0, _EQUAL, pid, allowed, forbidden)
    on_argument("prlimit64", 0, _EQUAL, 0, allowed, forbidden)
    on_argument("ioctl", 1, _EQUAL, _TIOCSTI, forbidden, allowed)
    denied = dict(_DENIED)
    if read_only:
        on_argument("open", 1, _ANY_BIT, _TO_WRITE, forbidden, allowed)
        on_argument("openat", 2, _ANY_BIT, _TO_WRITE, forbidden, allowed)
        denied |= _DENIED_READ_ONLY
    for calls, answer in ((_MISSING, missing), (denied, forbidden)):
        for numbers in calls.values():
            if numbers[column] is not None:
                steps += [(_EQUAL, 0, 1, numbers[column]), answer]
    return [*steps, allowed]


def install(read_only: bool) -> None:
    """Filter the calling thread and all it will start. ``no_new_privs`` must be set. Raises ``OSError`` where that is not possible."""
    load(program(platform.machine(), os.getpid(), read_only))


def load(steps: list[tuple[int, int, int, int]]) -> None:
    """Hand a filter to the kernel."""
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    whole = struct.pack("@HP", len(steps), ctypes.addressof(packed))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, whole, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no system call filter")
