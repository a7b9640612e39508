"""What the Keras peers share: the backend, set before Keras is imported, and a callback that notes scores."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start


class Watch(keras.callbacks.Callback):
    """Notes the validation accuracy of every epoch, and stops as the curve says."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self.curve = curve

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the epoch's score."""
        if self.curve.add((logs or {})["val_accuracy"]):
            self.model.stop_training = True


def answer(curve: Curve, test: float) -> dict[str, object]:
    """What a Keras peer prints."""
    cores = len(os.sched_getaffinity(0))
    found = curve.answer() | {"test": test, "epochs": float(len(curve.points)), "seconds": since_start()}
    return found | {"threads": cores, "rss": peak()}
