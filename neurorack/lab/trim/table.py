"""What a trim says: the rows of its family as they come, and a bar with the time left."""

import shutil
import sys
import time

from ..train.progress import clock

COLUMNS = (("round", 5), ("removed", 8), ("parameters", 10), ("MACs/s", 8), ("time", 7), ("error", 6), ("multiplier", 10), ("control", 7),
           ("file", 8))     # 77 characters: a row is a line of a terminal
BAR, SHORTEST_BAR, BAR_SECONDS, LINE_SECONDS = 30, 4, 0.5, 30.0


def head(board=None):
    """The lines above the rows. board: the one whose time at worst is told, else this machine's is."""
    return (f"time: of a core of {board}, predicted, at worst" if board else "time: of a core of this machine") + "\n" + " ".join(
        name.rjust(width) for name, width in COLUMNS)


def line(row, board=None):
    """One row: time is the share of a core that playing takes; error and control as `family.Judge` says."""
    share = row["boards"][board][-1] if board else row["rtf"]
    words = (str(row["round"]), f"{row['removed_parameters']:.1%}", f"{row['params']}", f"{row['macs'] / 1e6:.1f} M", f"{share:.2%}",
             f"{row['error']:.3f}", f"{row['multiplier']:.3f}", "–" if row["control"] is None else f"{row['control']:.3f}",
             f"{row['bytes'] / 1e6:.2f} MB")
    return " ".join(word.rjust(width) for word, (_, width) in zip(words, COLUMNS))


class Bar:
    """How far a trim is: drawn in place on a terminal, else a line now and then. say: prints a line of its own above it."""

    def __init__(self, say, stream=None):
        self._say, self.stream = say, sys.stdout if stream is None else stream
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())
        self.last, self.drawn = time.monotonic(), 0

    def say(self, text):
        """A line that stays."""
        self.clear()
        self._say(text)

    def clear(self):
        """Take the bar away."""
        if self.drawn:
            self.stream.write("\r" + " " * min(self.drawn, shutil.get_terminal_size().columns - 1) + "\r")
            self.stream.flush()
            self.drawn = 0

    def show(self, part, left, words):
        """part: of everything that is over, 0 to 1; left: seconds still to go, or None; words: what is being done."""
        now = time.monotonic()
        if now - self.last < (BAR_SECONDS if self.live else LINE_SECONDS):
            return
        self.last = now
        text = f"{words}, {part:.0%}" + ("" if left is None else f", {clock(left)} left")
        if not self.live:
            self._say(text)
            return
        room = shutil.get_terminal_size().columns - 1         # a line that is wrapped could not be drawn over
        length = min(BAR, room - len(text) - len("[] "))
        if length >= SHORTEST_BAR:
            full = round(length * min(1.0, part))
            text = f"[{'#' * full}{'.' * (length - full)}] {text}"
        text = text[:room]
        self.stream.write("\r" + text.ljust(min(self.drawn, room)))
        self.stream.flush()
        self.drawn = len(text)
