"""Keras's "Simple MNIST convnet" (keras.io) on Fashion-MNIST, JAX underneath; prints one JSON line.

Usage: python cnn_keras.py --file NPZ --held ROWS [--seed N] [--epochs N]

The tutorial as it stands: convolution 32, max pool, convolution 64, max pool, dropout 0.5, softmax; Adam, one-hot
labels, batch 128, 15 epochs, pixels in [0, 1]. Adapted: validation on the rows held out instead of a tenth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from keras_watch import Curve, Watch, answer, keras
from sets import pictures

layers = keras.layers
BATCH, EPOCHS, CLASSES = 128, 15, 10


def main() -> None:
    """Trains and tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--held", type=int, required=True, help="training rows held out for validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    p = pictures(args.file, args.held)
    x, x_val, x_test = (part[..., None].astype("float32") / 255 for part in (p.x, p.x_val, p.x_test))
    y, y_val, y_test = (keras.utils.to_categorical(part, CLASSES) for part in (p.y, p.y_val, p.y_test))
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    curve = Curve()
    how = {"batch_size": BATCH, "epochs": args.epochs, "verbose": 0, "callbacks": [Watch(curve)]}
    model.fit(x, y, validation_data=(x_val, y_val), **how)
    test = float(model.evaluate(x_test, y_test, verbose=0)[1])
    print(json.dumps(answer(curve, test)))


if __name__ == "__main__":
    main()
