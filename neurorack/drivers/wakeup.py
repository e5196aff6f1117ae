"""One descriptor that becomes readable when any of several does, or when a thread says so."""

from __future__ import annotations

import contextlib
import os
import select


class Wakeup:
    """``fd`` goes into a select; ``also`` adds what should wake it, ``ring`` wakes it from any thread, ``quiet`` ends that."""

    def __init__(self):
        self._epoll = select.epoll()
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._bell_out, select.EPOLLIN)
        self.fd = self._epoll.fileno()

    def also(self, fd: int) -> None:
        with contextlib.suppress(FileExistsError):
            self._epoll.register(fd, select.EPOLLIN)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell_in, b"!")

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell_out, 4096)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._bell_out)
        os.close(self._bell_in)
