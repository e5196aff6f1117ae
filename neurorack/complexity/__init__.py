"""What a model costs: counted from its program, measured on this machine, predicted for boards. numpy only."""

from .counting import Count, Row, count, count_listing

__all__ = ["Count", "Row", "count", "count_listing"]
