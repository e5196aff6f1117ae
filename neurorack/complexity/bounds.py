"""The bounds of embedding: can a board play a model in real time, does its disk hold the file, its memory the model?

The table of Esling, Devis, Bitton, Caillon, Chemla-Romeu-Santos and Douwes ("Diet deep generative audio models with structured lottery", 2020)
puts FLOPs for a second of audio beside a processor's FLOPS, the file beside the disk and what is read and written beside the memory.
Its ATmega and Raspberry Pi 1 and 2 stand here as it gives them; other boards have one core's FLOPS as their speed files tell or imply.
"""

from __future__ import annotations

from . import boards
from .counting import FLOAT_BYTES, Count
from .predicting import predict


def of(count: Count, board: boards.Board) -> dict:
    """``real_time``, ``disk`` and ``memory``: each {"fits", "ratio"} (what is asked for over what there is; up to 1 fits; None where it is not known), and ``load``: the
    predicted low, mid, high share of one core where the engine's kernels are priced."""
    isa = board.isa or count.isa
    memory = count.state_bytes + count.scratch_bytes + count.plain_bytes + count.packed_bytes(isa)
    disk = count.file_bytes if count.file_bytes is not None else FLOAT_BYTES * count.params
    asked = {"real_time": (count.flops, board.bounds.get("flops")), "disk": (disk, board.bounds.get("disk_bytes")),
             "memory": (memory, board.bounds.get("memory_bytes"))}
    told = {key: {"ratio": need / has if has else None, "fits": need <= has if has else None} for key, (need, has) in asked.items()}
    return {"board": board.name, "description": board.description, "measured": board.measured, **told,
            "load": list(predict(count, board)) if board.middle else None}


def bounded() -> list[boards.Board]:
    """The boards with bounds, the smallest first."""
    found = [boards.load(name) for name in boards.names()]
    return sorted((board for board in found if board.bounds), key=lambda board: board.bounds.get("flops", 0))
