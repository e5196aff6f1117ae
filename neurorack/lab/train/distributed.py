"""Training by several processes: `torchrun --nproc-per-node N -m neurorack train …`, one line for one process and many.

torchrun says by its environment who a process is. Gradients are averaged after every step, each process draws its own
crops, only the first writes and decides when to save and to stop.
"""

import datetime
import os

import torch
from torch import distributed

WAIT = datetime.timedelta(hours=6)        # the first process may prepare the data for long


class Team:
    """The processes of a run. rank: 0 for the first; size: how many; alone: whether it is one process only."""

    def __init__(self, rank=0, size=1, local_rank=0):
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.alone, self.first = size == 1, rank == 0

    @classmethod
    def join(cls, device):
        """The team of this process, after torchrun's environment; a single process without it. device: "cpu" or "cuda"."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size < 2:
            return cls()
        rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
        if device == "cuda":
            torch.cuda.set_device(local)
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device == "cuda" else "gloo", rank=rank, world_size=size, timeout=WAIT)
        return cls(rank, size, local)

    def leave(self):
        """The end of working together."""
        if not self.alone and distributed.is_initialized():
            distributed.destroy_process_group()

    def device(self, kind):
        """The torch device of this process."""
        return torch.device("cuda", self.local_rank) if kind == "cuda" else torch.device("cpu")

    def share_out(self, tensors):
        """Every process's tensors become those of the first."""
        if not self.alone:
            with torch.no_grad():
                for tensor in tensors:
                    distributed.broadcast(tensor, 0)

    def average_gradients(self, parameters):
        """Gradients become their mean over all processes; one message for all of them."""
        if self.alone:
            return
        given = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in given])
        distributed.all_reduce(flat)
        flat /= self.size
        at = 0
        for p in given:
            p.grad = flat[at:at + p.numel()].view_as(p).clone()
            at += p.numel()

    def agree(self, values, device):
        """Numbers as the first process has them, in every process. values: list of floats."""
        if self.alone:
            return values
        told = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.broadcast(told, 0)
        return told.tolist()

    def gather(self, thing):
        """[thing of each process] in every process; small Python objects."""
        if self.alone:
            return [thing]
        things = [None] * self.size
        distributed.all_gather_object(things, thing)
        return things

    def from_first(self, make):
        """What `make()` returns in the first process, in every process; its NeurorackError is raised in all of them."""
        if self.alone:
            return make()
        told = [None]
        if self.first:
            try:
                told = [(make(), None)]
            except Exception as error:
                told = [(None, error)]
        distributed.broadcast_object_list(told, 0)
        value, error = told[0]
        if error is not None:
            raise error
        return value
