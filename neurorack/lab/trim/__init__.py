"""Trimming in training: which units go, from where training goes on, and what it costs."""
