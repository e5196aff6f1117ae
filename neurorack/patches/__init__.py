"""Patches and scenes: what they hold (``schema``), how they are written (``text``), kept (``bank``, ``journal``, ``history``) and recalled.

``docs/patches.md`` tells it for musicians and developers.
"""
