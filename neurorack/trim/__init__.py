"""Trimming model files: which units a net has, and the same net without some of them. Imports numpy only."""

from .labels import TrimError
from .parts import Parts, cut_model
from .units import Group, Member, Unit, cut_tensors, find

__all__ = ["Group", "Member", "Parts", "TrimError", "Unit", "cut_model", "cut_tensors", "find"]
