"""pythae's VAE or IWAE of pictures of black and white, and the importance-weighted bound; prints one JSON line.

Usage: python bound_pythae.py --data FOLDER --model vae|iwae [--network mlp|conv] [--epochs N] [--rows N] [--seed N]

As its scripts for MNIST have it: 16 numbers, BaseTrainer with Adam, rate 1e-3, batch 100, here with cross-entropy for
squares, and the weights that did best on rows held out, the last tenth; the IWAE with its default of 10 draws.
mlp: the networks it makes where none is given; conv: those of `pythae.models.nn.benchmarks.mnist`. It is not given a
GPU. rows: of the training rows, 0 = all. The bound is written anew here, of the encoder and the decoder alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import tempfile
import time
from pathlib import Path

import torch
from fashion_files import read
from pythae.data.datasets import BaseDataset
from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak

CODE, BATCH, RATE = 16, 100, 1e-3
DRAWS, PIECE = 50, 20  # draws of a bound, and rows that are decoded at once
HELD = 0.1
MODELS = {"vae": (VAE, VAEConfig), "iwae": (IWAE, IWAEConfig)}


def pictures(path: Path) -> Tensor:
    """(N, 1, 28, 28) of 0 and 1."""
    return torch.from_numpy(read(path, [])[0] // 255).float().unsqueeze(1)


def rows_of(x: Tensor) -> BaseDataset:
    """As pythae wants them."""
    return BaseDataset(x, torch.ones(len(x)))


@torch.inference_mode()
def bound(model: VAE, x: Tensor) -> tuple[float, float]:
    """The mean of log mean_k p(x, z_k) / q(z_k | x) in nats (Burda et al. 2016, eq. 8), and that of k = 1."""
    model.eval()
    many = one = 0.0
    for part in x.split(PIECE):
        told = model.encoder(part)
        mean, deviation = told.embedding, (0.5 * told.log_covariance).exp()
        q, p = torch.distributions.Normal(mean, deviation), torch.distributions.Normal(0.0, 1.0)
        z = q.sample((DRAWS,))
        white = model.decoder(z.flatten(0, 1)).reconstruction.view(DRAWS, *part.shape)
        seen = -torch.nn.functional.binary_cross_entropy(white, part.expand_as(white), reduction="none")
        weights = seen.flatten(2).sum(2) + (p.log_prob(z) - q.log_prob(z)).sum(2)
        many += float((weights.logsumexp(0) - math.log(DRAWS)).sum())
        one += float(weights.mean(0).sum())
    return many / len(x), one / len(x)


def main() -> None:
    """Reads, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--network", choices=["mlp", "conv"], default="mlp")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    torch.manual_seed(args.seed)
    x, test = pictures(args.data / "fashion_train.parquet"), pictures(args.data / "fashion_test.parquet")
    x = x[: args.rows or len(x)]
    held = round(HELD * len(x))
    kind, configured = MODELS[args.model]
    config = configured(input_dim=(1, 28, 28), latent_dim=CODE, reconstruction_loss="bce")
    parts = (Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)) if args.network == "conv" else ()
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"per_device_train_batch_size": BATCH, "per_device_eval_batch_size": BATCH, "num_epochs": args.epochs}
        how = BaseTrainerConfig(folder, learning_rate=RATE, seed=args.seed, no_cuda=True, **sizes)
        begun, worked = time.perf_counter(), time.process_time()
        trainer = BaseTrainer(kind(config, *parts), rows_of(x[:-held]), rows_of(x[-held:]), how)
        trainer.train()
        fitted, worked = time.perf_counter() - begun, time.process_time() - worked
    best = trainer._best_model  # what it would have saved
    tight, loose = bound(best, test)
    told = {"bound": tight, "elbo": loose, "fitted": fitted, "worked": worked, "epochs": args.epochs}
    size = sum(p.numel() for p in best.parameters())
    print(json.dumps(told | {"parameters": size, "rss": peak(), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
