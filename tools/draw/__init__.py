"""Everything in hardware/ that is worked out rather than written: tables, diagrams, circuits, the panel. ``python -m tools.draw``."""
