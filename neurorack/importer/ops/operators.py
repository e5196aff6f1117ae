"""All families of operators, entered into the table by being imported."""

from . import complexes, create, folds, indexing, pointwise, products, recurrent, sampling, spectral, views  # noqa: F401
from .table import OPERATORS  # noqa: F401
