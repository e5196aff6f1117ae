"""Models in the shapes that real exporters write, made here with torch: what the tests read, lift, check and play.

``path("v2")`` gives a file; ``FAMILIES`` says what each is, ``STRANGERS`` holds those in other people's style. Weights are random
with fixed seeds, scaled to sane levels, so files can be made at every capacity, small ones in a second. They are kept in
the system's folder for temporary files, under a key of this package's source and torch's version.

``quiet=True`` leaves every random draw in place and takes its effect away: two runs with different random numbers then agree.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Family:
    """``make(capacity, sample_rate, quiet)`` gives a module ready to be scripted; the rest is what the file declares.

    ``methods``: name -> (in_channels, in_ratio, out_channels, out_ratio). ``random``: whether it draws random numbers.
    ``streaming``: whether blocks of any length give what the whole gives. ``feeds``: method -> (centre, spread) of each input,
    where that is not 0 and 1 (for audio 0.3). ``unit_frames``: what blocks are to be multiples of, where that is more than the ratio.
    """

    name: str
    make: Callable
    methods: dict[str, tuple[int, int, int, int]]
    capacity: int = 8
    sample_rate: int = 48000
    random: bool = True
    streaming: bool = True
    seed: int = 0
    notes: str = ""
    attributes: dict = field(default_factory=dict)
    feeds: dict = field(default_factory=dict)
    unit_frames: int = 1

    @property
    def ratio(self) -> int:
        """The largest ratio of any method: blocks are multiples of it."""
        return max(self.unit_frames, *(max(m[1], m[3]) for m in self.methods.values()))

    def feed(self, method: str, frames: int, seed: int = 0):
        """A typical input of ``frames`` audio frames, float32 [in_channels, rows]: audio is noise, controls wander."""
        import numpy as np

        channels, ratio, *_ = self.methods[method]
        x = np.random.default_rng(seed).standard_normal((channels, frames // ratio))
        usual = (0.0, 0.3 if ratio == 1 else 1.0)
        centre, spread = np.array(self.feeds.get(method, [usual] * channels)).T[:, :, None]
        return (centre + spread * x).astype(np.float32)

    def build(self, capacity: int | None = None, sample_rate: int | None = None, quiet: bool = False):
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(self.seed + 1)
            module = self.make(capacity or self.capacity, sample_rate or self.sample_rate, quiet).eval()
            for p in module.parameters():
                p.requires_grad_(False)
            return module if isinstance(module, torch.jit.ScriptModule) else torch.jit.script(module)


def __getattr__(name):  # torch is imported when the first family is asked for
    if name == "FAMILIES":
        from . import catalogue

        globals()[name] = {family.name: family for family in catalogue.families()}
    elif name == "STRANGERS":
        from . import strangers, strangers_more, strangers_state

        globals()[name] = {family.name: family for module in (strangers, strangers_more, strangers_state) for family in module.families()}
    else:
        raise AttributeError(name)
    return globals()[name]


def _key() -> str:
    import torch

    digest = hashlib.sha256(torch.__version__.encode())
    for file in sorted(HERE.glob("*.py")):
        if not file.name.startswith(("test_", "broken", "formats")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"neurorack-zoo-{os.getuid() if hasattr(os, 'getuid') else 0}" / _key()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(file: Path, write: Callable[[Path], None]) -> Path:
    """``file``, written by ``write`` if it is not there yet; whole or not at all, also when several processes want it.

    The name is the same while it is written, because TorchScript archives carry it inside.
    """
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".part-") as part:
            write(Path(part) / file.name)
            os.replace(Path(part) / file.name, file)
    return file


def path(name: str, capacity: int | None = None, folder: str | Path | None = None, sample_rate: int | None = None,
         quiet: bool = False) -> Path:
    """The file of a family, built when it is missing. ``folder``: where it lies (default: the cache)."""
    from . import FAMILIES, STRANGERS

    family = FAMILIES.get(name) or STRANGERS[name]
    capacity, sample_rate = capacity or family.capacity, sample_rate or family.sample_rate
    file = Path(folder or cache_folder()) / f"{name}-c{capacity}-{sample_rate}{'-quiet' if quiet else ''}.ts"
    return kept(file, lambda part: family.build(capacity, sample_rate, quiet).save(str(part)))
