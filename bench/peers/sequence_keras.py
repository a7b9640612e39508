"""Keras's tutorials of text classification (keras.io) on the newsgroups, JAX underneath; prints one JSON line.

Usage: python sequence_keras.py lstm|transformer --file JSON --held ROWS [--seed N] [--epochs N]

lstm: "Bidirectional LSTM on IMDB": embedding 128, two bidirectional LSTMs of 64. transformer: "Text classification with
Transformer": token and position embedding of 32, one block of 2 heads and a feed-forward layer of 32 with dropout 0.1,
the mean over tokens, dropout, 20 units, dropout. Both: the 20,000 most frequent words, the last 200 words of a text
padded in front, Adam, batch 32, a validation after every epoch. Adapted: 20 classes, so softmax and sparse
cross-entropy for both; and 5 epochs, which are as many texts as the tutorials' 2 epochs of 25,000 reviews.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from keras_watch import Curve, Watch, answer, keras
from sets import encoded, texts, vocabulary

layers, ops = keras.layers, keras.ops
WORDS, LENGTH, BATCH = 20_000, 200, 32
WIDTH, HEADS, HIDDEN = 32, 2, 32


class Positions(layers.Layer):
    """Token embedding plus a learned embedding of the position: (B, T) to (B, T, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = layers.Embedding(WORDS, WIDTH), layers.Embedding(LENGTH, WIDTH)

    def call(self, x):  # type: ignore[no-untyped-def]
        """The sum of both."""
        return self.token(x) + self.place(ops.arange(LENGTH))


class Block(layers.Layer):
    """Attention and a feed-forward layer, each with dropout, a shortcut and a norm after it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(num_heads=HEADS, key_dim=WIDTH)
        self.up, self.down = layers.Dense(HIDDEN, activation="relu"), layers.Dense(WIDTH)
        self.norm1, self.norm2 = (layers.LayerNormalization(epsilon=1e-6) for _ in "12")
        self.drop1, self.drop2 = layers.Dropout(0.1), layers.Dropout(0.1)

    def call(self, x):  # type: ignore[no-untyped-def]
        """(B, T, WIDTH) to the same."""
        x = self.norm1(x + self.drop1(self.attention(x, x)))
        return self.norm2(x + self.drop2(self.down(self.up(x))))


def lstm(classes: int) -> keras.Model:
    """The bidirectional LSTM."""
    stack = [
        keras.Input((LENGTH,), dtype="int32"),
        layers.Embedding(WORDS, 128),
        layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(64)),
        layers.Dense(classes, activation="softmax"),
    ]
    return keras.Sequential(stack)


def transformer(classes: int) -> keras.Model:
    """The Transformer."""
    stack = [
        keras.Input((LENGTH,), dtype="int32"),
        Positions(),
        Block(),
        layers.GlobalAveragePooling1D(),
        layers.Dropout(0.1),
        layers.Dense(20, activation="relu"),
        layers.Dropout(0.1),
        layers.Dense(classes, activation="softmax"),
    ]
    return keras.Sequential(stack)


def main() -> None:
    """Trains and tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=("lstm", "transformer"))
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--held", type=int, required=True, help="training rows held out for validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    parts = texts(args.file, args.held)
    words = vocabulary(parts[0].texts, WORDS)
    train, val, test = ((encoded(part.texts, words, LENGTH), part.labels) for part in parts)
    model = {"lstm": lstm, "transformer": transformer}[args.net](len(parts[0].classes))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    curve = Curve()
    how = {"batch_size": BATCH, "epochs": args.epochs, "verbose": 0, "callbacks": [Watch(curve)]}
    model.fit(*train, validation_data=val, **how)
    print(json.dumps(answer(curve, float(model.evaluate(*test, verbose=0)[1]))))


if __name__ == "__main__":
    main()
