"""Total-variation denoising by scikit-image, its weight chosen on training pictures; prints one JSON line.

Usage: python denoise_skimage.py --file NPZ

The file holds uint8 pictures (N, H, W): known_noisy, known_clean, to choose the weight by, and noisy, clean, to judge
by.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from skimage.metrics import structural_similarity
from skimage.restoration import denoise_tv_chambolle

WEIGHTS = (0.05, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3, 0.4)
WINDOW = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def main() -> None:
    """Reads the pictures and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    with np.load(parser.parse_args().file) as file:
        known, wanted, noisy, clean = (file[n] / 255 for n in ("known_noisy", "known_clean", "noisy", "clean"))
    weight = min(WEIGHTS, key=lambda weight: np.square(cleaned(known, weight) - wanted).mean())
    begun = time.perf_counter()
    said = cleaned(noisy, weight)
    seconds = time.perf_counter() - begun
    line = figures(said, clean) | {"weight": weight, "each": seconds / len(noisy), "input": figures(noisy, clean)}
    print(json.dumps(line), flush=True)


def cleaned(pictures: np.ndarray, weight: float) -> np.ndarray:
    """Each picture by itself."""
    return np.stack([denoise_tv_chambolle(picture, weight=weight) for picture in pictures])


def figures(said: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Of the mean error of all pictures, and the mean similarity."""
    alike = [structural_similarity(a, b, data_range=1.0, **WINDOW) for a, b in zip(said, clean, strict=True)]
    return {"psnr": -10 * math.log10(np.square(said - clean).mean()), "ssim": float(np.mean(alike))}


if __name__ == "__main__":
    main()
