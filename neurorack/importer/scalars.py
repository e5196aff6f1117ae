"""TorchScript's operators on numbers, texts, lists and dictionaries: everything that is no tensor.

``NUMBERS`` applies where no argument is a tensor; ``CONTAINERS`` where the first is a list, tuple, dictionary or text;
``PLAIN`` always. Integers are those of 64 bits: they wrap around.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from ..errors import ModelError

MAX_ITEMS = 1_000_000  # a single operation never makes a longer list or text


class Raised(ModelError):
    """The model itself raised an exception."""


def wrap(value):
    """An integer within 64 bits; anything else unchanged."""
    if type(value) is int and not -2**63 <= value < 2**63:
        return (value + 2**63) % 2**64 - 2**63
    return value


def _multiply(a, b):
    if isinstance(a, (list, str)) or isinstance(b, (list, str)):
        items, count = (a, b) if isinstance(a, (list, str)) else (b, a)
        _check(len(items) * count)
    return wrap(a * b)


def _check(count: int) -> None:
    if count > MAX_ITEMS:
        raise ModelError(f"the model makes a list or text of {count} items, more than {MAX_ITEMS}")


def _divide(a, b):
    if b == 0 and not isinstance(a, complex) and not isinstance(b, complex):
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _power(a, b):
    try:
        if isinstance(a, complex) or isinstance(b, complex):
            return a ** b
        result = float(a) ** b  # of two integers, too: TorchScript gives a float
        return math.nan if isinstance(result, complex) else result
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _floor_divide(a, b):
    if isinstance(a, float) or isinstance(b, float):
        quotient = _divide(a, b)
        return float(math.floor(quotient)) if math.isfinite(quotient) and quotient != 0 else quotient
    return wrap(a // b)


def _remainder(a, b):
    if isinstance(a, float) or isinstance(b, float):
        try:
            return math.fmod(b + math.fmod(a, b), b)
        except ValueError:
            return math.nan
    return a % b


def _quiet(function: Callable, outside=math.nan, at: tuple | None = None) -> Callable:
    """A function of ``math`` with what C gives where Python raises: ``outside`` its domain, ``at`` a pole (place, value)."""

    def run(*values):
        try:
            return function(*values)
        except OverflowError:
            return math.inf
        except ValueError:
            return at[1] if at is not None and values[0] == at[0] else outside

    return run


def _whole(function: Callable) -> Callable:
    """floor, ceil, trunc: an integer where that is possible."""
    return lambda x: wrap(function(x))


def _round(x, digits=None):
    if isinstance(x, float) and not math.isfinite(x):
        return x
    return float(round(x)) if digits is None else float(round(x, digits))


def _range_length(low: int, high: int, step: int) -> int:
    return len(range(low, high, step))


def _shift(function: Callable) -> Callable:
    def run(a, b):
        if not 0 <= b < 64:
            raise Raised(f"the model shifts by {b} bits")
        return wrap(function(a, b))

    return run


def _add(a, b):
    if isinstance(a, (list, str)):
        _check(len(a) + len(b))
    return wrap(a + b)


def _extreme(of_list: Callable, of_two: Callable) -> Callable:
    """min and max: of a list, of two numbers (which take their common type), or of two lists."""

    def run(a, b=None):
        if b is None:
            return of_list(a)
        if isinstance(a, list):
            return of_list(a, b)
        return of_two(float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else of_two(int(a), int(b))

    return run


NUMBERS: dict[str, Callable] = {
    "add": _add, "sub": lambda a, b: wrap(a - b), "mul": _multiply, "div": _divide,
    "floordiv": _floor_divide, "remainder": _remainder, "fmod": _quiet(math.fmod), "mod": _remainder,
    "__round_to_zero_floordiv": lambda a, b: wrap(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
    "pow": _power, "neg": lambda a: wrap(-a), "abs": lambda a: wrap(abs(a)), "divmod": divmod,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "__and__": operator.and_, "__or__": operator.or_, "__xor__": operator.xor, "__not__": operator.not_,
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor, "bitwise_not": operator.invert,
    "__lshift__": _shift(operator.lshift), "__rshift__": _shift(operator.rshift),
    "min": _extreme(min, lambda a, b: a if a < b else b), "max": _extreme(max, lambda a, b: a if a > b else b),
    "floor": _whole(math.floor), "ceil": _whole(math.ceil), "trunc": _whole(math.trunc), "round": _round,
    "sqrt": _quiet(math.sqrt), "exp": _quiet(math.exp), "log": _quiet(math.log, at=(0, -math.inf)),
    "log2": _quiet(math.log2, at=(0, -math.inf)), "log10": _quiet(math.log10, at=(0, -math.inf)),
    "log1p": _quiet(math.log1p, at=(-1, -math.inf)),
    "expm1": _quiet(math.expm1), "sin": _quiet(math.sin), "cos": _quiet(math.cos), "tan": _quiet(math.tan),
    "asin": _quiet(math.asin), "acos": _quiet(math.acos), "atan": math.atan, "atan2": math.atan2, "sinh": _quiet(math.sinh),
    "cosh": _quiet(math.cosh), "tanh": math.tanh, "asinh": math.asinh, "acosh": _quiet(math.acosh),
    "atanh": _quiet(math.atanh, at=(1, math.inf)),
    "erf": math.erf, "erfc": math.erfc, "gamma": _quiet(math.gamma),
    "lgamma": _quiet(math.lgamma, outside=math.inf), "hypot": math.hypot,
    "degrees": math.degrees, "radians": math.radians, "copysign": math.copysign, "fabs": math.fabs, "gcd": math.gcd,
    "isnan": math.isnan, "isinf": math.isinf, "isfinite": math.isfinite, "mathremainder": _quiet(math.remainder),
    "frexp": math.frexp, "ldexp": _quiet(math.ldexp), "modf": math.modf,
    "real": lambda a: a.real, "imag": lambda a: a.imag, "polar": lambda r, t: complex(r * math.cos(t), r * math.sin(t)),
    "Int": int, "Float": float, "Bool": bool, "Complex": complex,
}


def _slice(items, start=None, stop=None, step=1):
    return items[start:stop:step]


def _set_item(items, index, value):
    items[index] = value
    return items


def _append(items: list, value) -> list:
    items.append(value)
    return items


def _append_all(items: list, more: list) -> list:
    items.extend(list(more))
    return items


def _delete(items, index) -> None:
    del items[index]


def _remove(items: list, value) -> None:
    items.pop(_index(items, value))


def _index(items: list, value) -> int:
    for index, item in enumerate(items):
        if same(item, value):
            return index
    raise Raised(f"the model looks for {value!r} in a list that does not hold it")


def same(a, b) -> bool:
    """Equal, by identity where comparing makes no sense."""
    return a is b or (type(a) is type(b) and type(a) in (int, float, bool, str, tuple, list, complex) and a == b)


def _contains(items, value) -> bool:
    if isinstance(items, (dict, str)):
        return value in items
    return any(same(item, value) for item in items)


def _sort(items: list, reverse: bool = False) -> None:
    items.sort(reverse=reverse)


def _get(table: dict, key, default=None):
    return table.get(key, default)


def _pop(items, *arguments):
    return items.pop(*arguments)


LISTS: dict[str, Callable] = {
    "len": len, "slice": _slice, "_set_item": _set_item, "append": _append,
    "extend": lambda items, more: items.extend(list(more)), "add_": _append_all,
    "insert": lambda items, at, value: items.insert(at, value), "pop": _pop, "remove": _remove,
    "clear": lambda items: items.clear(),
    "Delete": _delete, "__contains__": _contains, "__getitem__": operator.getitem, "index": _index,
    "count": lambda items, value: sum(same(item, value) for item in items), "reverse": lambda items: items.reverse(),
    "sort": _sort, "sorted": lambda items: sorted(items), "copy": lambda items: items.copy(), "list": list,
    "sum": lambda items: wrap(sum(items)), "any": any, "all": all, "bool": bool,
    "keys": lambda table: list(table.keys()), "values": lambda table: list(table.values()),
    "items": lambda table: list(table.items()), "get": _get, "setdefault": lambda table, key, value: table.setdefault(key, value),
    "update": lambda table, more: table.update(more), "popitem": lambda table: table.popitem(),
    "dict": dict,
}


PLAIN: dict[str, Callable] = {
    "__is__": lambda a, b: a is b or same(a, b), "__isnot__": lambda a, b: not (a is b or same(a, b)),
    "__range_length": _range_length, "__derive_index": lambda index, start, step: start + index * step,
    "_unwrap_optional": lambda value: _present(value), "unchecked_unwrap_optional": lambda value: _present(value),
    "is_grad_enabled": lambda: False, "set_grad_enabled": lambda _on: None, "warn": lambda *_, **__: None,
    "manual_seed": lambda *_, **__: None, "get_num_threads": lambda: 1, "is_scripting": lambda: True, "is_tracing": lambda: False,
}


def _present(value):
    if value is None:
        raise Raised("the model unwraps an optional value that is None")
    return value
