"""All families of operators, entered into the table by being imported."""

from . import pairs, pointwise  # noqa: F401  the first: what is in the table then works on each number by itself
from .table import ELEMENTWISE, OPERATORS

ELEMENTWISE.update(OPERATORS)
ELEMENTWISE.difference_update(("glu", "conj", "_conj", "complex", "polar", "is_complex"))

from . import chance, create, folds, indexing, joins, known, norms, order  # noqa: F401, E402
from . import products, recurrent, sampling, spectral, views  # noqa: F401, E402

ELEMENTWISE.update(("clone", "to", "type_as", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "bernoulli"))
