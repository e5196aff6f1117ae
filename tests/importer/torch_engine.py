"""An engine that computes with torch itself: whatever differs from TorchScript is then the language, not an operator."""

import numpy as np

from neurorack.importer.tensors import Tensor

torch = __import__("pytest").importorskip("torch")
torch.set_num_threads(1)

# operators of the language that torch offers under other names, or not at all, in Python
_OTHER = {
    "NumToTensor": torch.tensor, "device": lambda x: "cpu", "dtype": lambda x: DTYPES.index(x.dtype),
    "data": lambda x: x.detach(), "is_cuda": lambda x: False, "dim": lambda x: x.dim(), "len": len,
    "size": lambda x, d=None: list(x.shape) if d is None else x.shape[d], "tolist": lambda x: x.tolist(),
    "tensor": lambda value, dtype=None, device=None, requires_grad=False: torch.tensor(value, dtype=dtype),
    "as_tensor": lambda value, dtype=None, device=None: torch.as_tensor(value, dtype=dtype),
    "is_floating_point": lambda x: x.is_floating_point(), "requires_grad": lambda x: False,
    "layout": lambda x: 0, "shape": lambda x: list(x.shape), "numel": lambda x: x.numel(), "is_complex": lambda x: x.is_complex(),
}
DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64,
          torch.complex32, torch.complex64, torch.complex128, torch.bool]
TYPED = {"dtype", "to", "type", "_cast"}


def wrap(value):
    """What torch gave, as the interpreter wants it."""
    if isinstance(value, torch.Tensor):
        tensor = Tensor.__new__(Tensor)
        tensor.shape, tensor.value = tuple(value.shape), value
        return tensor
    if isinstance(value, (list, tuple)):
        return type(value)(wrap(item) for item in value) if type(value) in (list, tuple) else tuple(map(wrap, value))
    return value


def unwrap(value):
    """And back."""
    if type(value) is Tensor:
        return value.value
    if isinstance(value, (list, tuple)):
        return [unwrap(item) for item in value]
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    return value


class TorchEngine:
    """The engine's interface over torch."""

    def __init__(self):
        self.names = set()

    def call(self, name, args, kwargs):
        self.names.add(name)
        args, kwargs = list(unwrap(args)), {key: unwrap(value) for key, value in kwargs.items()}
        if isinstance(kwargs.get("dtype"), int):
            kwargs["dtype"] = DTYPES[kwargs["dtype"]]
        if name == "to":
            args = [DTYPES[a] if type(a) is int else a for a in args if not isinstance(a, (bool, str))]
            return wrap(args[0].to(*[a for a in args[1:] if a is not None], **kwargs))
        for key in ("layout", "device", "pin_memory"):
            kwargs.pop(key, None)
        if name in _OTHER:
            return wrap(_OTHER[name](*args, **kwargs))
        return wrap(getattr(torch.ops.aten, name)(*args, **kwargs))

    def tensor(self, array, state_name=None):
        return wrap(torch.from_numpy(np.array(array)))

    def number(self, tensor):
        return tensor.value.item()

    def truth(self, tensor):
        return bool(tensor.value)
