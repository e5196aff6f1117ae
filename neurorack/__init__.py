"""Neurorack: a Eurorack instrument whose sound is made by neural networks.

The folders tell the signal's story, from jack to jack; ``docs/architecture.md`` explains how they meet.
"""

__version__ = "0.5.0"
