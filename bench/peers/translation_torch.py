"""The Transformer of PyTorch's tutorial on translation, in plain PyTorch; prints one JSON line.

Usage: python translation_torch.py DATASET --data FOLDER --source COLUMN --target COLUMN --limit S --out JSON [--rows N]

nn.Transformer of 3 and 3 layers, 512 wide, 8 heads, 512 hidden, dropout 0.1, sinusoids for places, embeddings times the
root of the width, weights by Xavier; Adam (0.9, 0.98; eps 1e-9) at 1e-4, batch 128, fp32, greedy decoding. Unlike the
tutorial: tokens are byte pairs (8,000 for both languages) instead of words, which leaves none unknown; texts are cut
after 160 tokens; batches hold texts of like length, in random order, which wastes less; and what is written may be half
as long again as the longest text of its batch and 20 tokens more. --limit: seconds since the process was started, after
which training ends, in the middle of an epoch. --bf16: under autocast, which the tutorial does not do.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak, since_start
from sets import chosen

WIDTH, HEADS, LAYERS, HIDDEN, DROPOUT = 512, 8, 3, 512, 0.1
RATE, BETAS, EPS, BATCH = 1e-4, (0.9, 0.98), 1e-9, 128
PAD, START, END = range(3)
SIGNS = ["< pad >", "< start >", "< end >"]
WORDS, LONGEST = 8_000, 160
POOL = 50  # batches that are sorted by length together
Pair = tuple[list[int], list[int]]


class Translator(nn.Module):
    """Tokens (B, S) and those written so far (B, T) to scores (B, T, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, HIDDEN, DROPOUT, batch_first=True)
        self.read, self.written = nn.Embedding(size, WIDTH), nn.Embedding(size, WIDTH)
        self.out, self.dropout = nn.Linear(WIDTH, size), nn.Dropout(DROPOUT)
        places = torch.arange(4 * LONGEST)[:, None] * torch.exp(-torch.arange(0, WIDTH, 2) * math.log(1e4) / WIDTH)
        self.register_buffer("places", torch.stack([places.sin(), places.cos()], 2).flatten(1))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def _embedded(self, table: nn.Embedding, x: Tensor) -> Tensor:
        return self.dropout(table(x) * math.sqrt(WIDTH) + self.places[: x.shape[1]])

    def encode(self, source: Tensor) -> Tensor:
        """The memory (B, S, WIDTH)."""
        return self.body.encoder(self._embedded(self.read, source), src_key_padding_mask=source == PAD)

    def decode(self, memory: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """States (B, T, WIDTH)."""
        t = target.shape[1]
        ahead = torch.ones(t, t, dtype=torch.bool).triu(1)
        x = self._embedded(self.written, target)
        padding = {"tgt_key_padding_mask": target == PAD, "memory_key_padding_mask": source == PAD}
        return self.body.decoder(x, memory, tgt_mask=ahead, **padding)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores."""
        return self.out(self.decode(self.encode(source), source, target))


def tokens_of(texts: list[str]) -> Tokenizer:
    """Byte pairs learnt from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=WORDS, special_tokens=SIGNS, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def encoded(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token numbers of each text between START and END."""
    return [[START, *one.ids[:LONGEST], END] for one in tokenizer.encode_batch(texts)]


def padded(rows: list[list[int]]) -> Tensor:
    """(B, T)."""
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)


def batches(pairs: list[Pair], size: int) -> Iterator[list[Pair]]:
    """The pairs in random order, those of a batch of like length."""
    order = random.sample(pairs, len(pairs))
    for start in range(0, len(order), POOL * size):
        pool = sorted(order[start : start + POOL * size], key=lambda pair: len(pair[1]))
        parts = [pool[k : k + size] for k in range(0, len(pool), size)]
        yield from random.sample(parts, len(parts))


def train(net: Translator, pairs: list[Pair], size: int, limit: float, precision: Any) -> tuple[int, float]:
    """Steps until the limit; (steps, epochs)."""
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, betas=BETAS, eps=EPS)
    steps = rows = 0
    while True:
        for batch in batches(pairs, size):
            if since_start() >= limit:
                return steps, rows / len(pairs)
            source, target = (padded([pair[side] for pair in batch]) for side in (0, 1))
            with precision():
                scores = net(source, target[:, :-1])
            loss = nn.functional.cross_entropy(scores.flatten(0, 1).float(), target[:, 1:].flatten(), ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps, rows = steps + 1, rows + len(batch)


@torch.inference_mode()
def written(net: Translator, rows: list[list[int]], most: int) -> list[list[int]]:
    """What the network writes for each row, greedily, at most so many tokens."""
    source = padded(rows)
    memory, said = net.encode(source), torch.full((len(rows), 1), START)
    found: list[list[int]] = [[] for _ in rows]
    places = torch.arange(len(rows))  # of the rows that have not ended
    longest = min(source.shape[1] * 3 // 2 + 20, most)
    for length in range(1, longest + 1):
        now = net.out(net.decode(memory, source, said)[:, -1]).argmax(1)
        said = torch.cat([said, now[:, None]], 1)
        ended = (now == END) | (length == longest)
        for place, row in zip(places[ended].tolist(), said[ended].tolist(), strict=True):
            found[place] = [token for token in row if token > END]
        places, memory, source, said = (x[~ended] for x in (places, memory, source, said))
        if not len(places):
            break
    return found


def main() -> None:
    """Reads, trains until the limit, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--most", type=int, default=4 * LONGEST - 1, help="tokens to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    parts = [pq.read_table(args.data / f"{args.dataset}_{part}.parquet").to_pydict() for part in ("train", "test")]
    ours, test = ([part[args.source], part[args.target]] for part in parts)
    tokenizer = tokens_of(ours[0] + ours[1])
    pairs = list(zip(*(encoded(tokenizer, texts) for texts in ours), strict=True))
    net = Translator(tokenizer.get_vocab_size()).train()
    precision = (lambda: torch.autocast("cpu", torch.bfloat16)) if args.bf16 else nullcontext
    steps, epochs = train(net, pairs, args.batch, args.limit, precision)
    net.eval()
    fit = since_start()
    rows = chosen(len(test[0]), args.rows)
    asked = encoded(tokenizer, [test[0][row] for row in rows])
    order = sorted(range(len(asked)), key=lambda row: len(asked[row]))
    said = [""] * len(asked)
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        with precision():
            found = written(net, [asked[row] for row in some], args.most)
        for row, text in zip(some, tokenizer.decode_batch(found), strict=True):
            said[row] = text
    args.out.write_text(json.dumps({"said": said, "true": [test[1][row] for row in rows]}), encoding="utf-8")
    answer = {"fit": fit, "written": since_start() - fit, "rows": len(said), "steps": steps, "epochs": epochs}
    answer |= {"parameters": sum(p.numel() for p in net.parameters()), "threads": torch.get_num_threads()}
    print(json.dumps(answer | {"rss": peak()}))


if __name__ == "__main__":
    main()
