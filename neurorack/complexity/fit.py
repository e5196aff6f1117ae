"""Least squares with coefficients that are not negative, in numpy alone."""

from __future__ import annotations

import numpy as np


def nonnegative(a: np.ndarray, b: np.ndarray, most_steps: int = 1000) -> np.ndarray:
    """``x >= 0`` with the least ``|a x - b|`` (the active-set method of Lawson and Hanson, 1974). a [cases, n], b [cases]."""
    n = a.shape[1]
    scale = np.linalg.norm(a, axis=0)
    scale[scale == 0] = 1.0
    a = a / scale
    x, passive = np.zeros(n), np.zeros(n, bool)
    tolerance = 1e-10 * max(1.0, np.abs(a.T @ b).max())
    for _ in range(most_steps):
        gradient = a.T @ (b - a @ x)
        gradient[passive] = -np.inf
        best = int(np.argmax(gradient))
        if gradient[best] <= tolerance:
            break
        passive[best] = True
        while True:
            wanted = np.zeros(n)
            wanted[passive] = np.linalg.lstsq(a[:, passive], b, rcond=None)[0]
            below = passive & (wanted <= 0)
            if not below.any():
                break
            step = np.min(x[below] / (x[below] - wanted[below]))
            x = x + step * (wanted - x)
            passive &= x > 1e-14
            x[~passive] = 0.0
        x = wanted
    return x / scale
