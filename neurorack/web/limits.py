"""How much a page may ask, in one place."""

from __future__ import annotations

import time

MOST_CLIENTS = 8                    # live pages at once
MOST_CONNECTIONS = 64               # TCP, all together
MOST_OF_ONE_ADDRESS = 32            # and of one address, where it is not this machine
IDLE_SECONDS = 20.0                 # a connection that has asked nothing for so long is closed
BODY_SECONDS = 15.0                 # a request's body, or the next piece of an upload, must come within
SEND_BUFFER_BYTES = 128 << 10       # of the kernel, for a live page
SEND_SECONDS = 5.0                  # a page that takes nothing for so long is dropped
MOST_MESSAGE_BYTES = 16 << 10       # of a page's message, and of a JSON body
MOST_MODEL_BYTES = 2 << 30          # of an upload
LEAST_BYTES_A_SECOND = 20_000       # of an upload, all in all
MOST_UPLOADS = 2                    # at once
WISHES_A_SECOND, WISHES_AT_ONCE = 60.0, 120.0       # of a live page; a knob that is turned sends 30 a second
MOST_WAITING = 32                   # wishes of a page that have not been answered yet
MOST_IGNORED = 300                  # wishes beyond its rate after which a page is dropped
REQUESTS_A_SECOND, REQUESTS_AT_ONCE = 40.0, 600.0   # HTTP, of an address; a page loads in forty


class Bucket:
    """``take()`` is true as long as no more than ``rate`` a second come, ``burst`` at once."""

    def __init__(self, rate: float, burst: float):
        self.rate, self.burst, self.level, self.at = rate, burst, burst, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.level, self.at = min(self.burst, self.level + (now - self.at) * self.rate), now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Buckets:
    """A bucket for each address; the oldest are forgotten, full ones first."""

    MOST = 1024

    def __init__(self, rate: float, burst: float):
        self.rate, self.burst, self.of = rate, burst, {}

    def take(self, address: str) -> bool:
        bucket = self.of.pop(address, None) or Bucket(self.rate, self.burst)
        self.of[address] = bucket            # the last used stands last
        if len(self.of) > self.MOST:
            del self.of[next(iter(self.of))]
        return bucket.take()
