"""Many pictures as one."""

from __future__ import annotations

import numpy as np

LINE = 1  # pixels between two pictures


def grid(pictures: np.ndarray, across: int = 0) -> np.ndarray:
    """Pictures (N, H, W, C) as one, row by row: uint8 (height, width, C), black lines between and around.

    across: how many stand side by side; 0 = so many that the whole is nearly square. Places left over are black.
    Raises ValueError if there is no picture.
    """
    count, height, width, channels = pictures.shape
    if not count:
        raise ValueError("expected at least one picture, got none")
    high, wide = height + LINE, width + LINE
    if not across:  # the shortest longer side; of equals the wide one
        across = min(range(1, count + 1), key=lambda wides: (max(wides * wide, -(-count // wides) * high), -wides))
    across = min(count, across)
    down = -(-count // across)
    cells = np.zeros((down * across, high, wide, channels), np.uint8)
    cells[:count, LINE:, LINE:] = pictures
    lines = cells.reshape(down, across, high, wide, channels).swapaxes(1, 2)
    whole = lines.reshape(down * high, across * wide, channels)
    return np.pad(whole, ((0, LINE), (0, LINE), (0, 0)))
