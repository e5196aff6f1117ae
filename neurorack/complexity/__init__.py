"""What a model costs: counted from its program, measured on this machine, predicted for boards. numpy only."""

from . import boards
from .counting import Count, Row, count, count_listing
from .predicting import Range, predict
from .timing import measure

__all__ = ["Count", "Range", "Row", "boards", "count", "count_listing", "measure", "predict"]
