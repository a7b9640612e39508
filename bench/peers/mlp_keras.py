"""784-256-10 as Keras teaches beginners, JAX underneath; prints one JSON line.

Usage: python mlp_keras.py --file NPZ [--seed N] [--epochs N] [--batch N]

The beginners' quickstart of tensorflow.org and keras.io: Flatten, Dense with ReLU, Dense; Adam, sparse cross-entropy on
logits, five epochs at batch 32, pixels in [0, 1]. Adapted: 256 units and no dropout, as on all sides here; the test
rows are scored after every epoch.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from keras_watch import Curve, Watch, answer, keras

layers = keras.layers


def main() -> None:
    """Trains, and tests after every epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    with np.load(args.file) as file:
        x, y, x_test, y_test = (file[name] for name in ("x", "y", "x_test", "y_test"))
    x, x_test = x / np.float32(255), x_test / np.float32(255)
    stack = [keras.Input((28, 28)), layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(10)]
    model = keras.Sequential(stack)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    curve = Curve()
    how = {"batch_size": args.batch, "epochs": args.epochs, "verbose": 0, "callbacks": [Watch(curve)]}
    model.fit(x, y, validation_data=(x_test, y_test), **how)
    print(json.dumps(answer(curve, curve.points[-1][1])))


if __name__ == "__main__":
    main()
