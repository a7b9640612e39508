"""Training settings where no part of the network has a recipe of its own."""

from __future__ import annotations

from ranvier.core.facts import Choices, Facts
from ranvier.train.optimizers import DECAYS, RATES

AVERAGE = 0.99  # decay a step where averaged weights are to be kept and nobody says of how many steps
FROZEN_RATE, FROZEN_STEPS = 0.01, 600  # of heads on frozen vectors
STEPS = 500.0  # of gradient descent, where an epoch is one

# what a part's recipe says for its own optimizer, and for no other
OF_THE_OPTIMIZER = ("optimizer", "rate", "decay", "clip")
# settings that an optimizer has its own mind about, whatever the parts say
OVERRULED = {
    "gd": ("batch", "epochs"),
    "schedule_free": ("schedule", "average", "keep"),
}


def train_defaults(optimizer: str, facts: Facts) -> Choices:
    """Every setting of `TrainPlan` that can be "auto", with its reason. optimizer: its name, or "auto"."""
    name = "adamw" if optimizer == "auto" else optimizer
    batch = 32 if facts.rows < 2_000 else 128 if facts.rows < 20_000 else 256
    epochs = 60.0 if facts.rows < 2_000 else 20.0 if facts.rows < 20_000 else 10.0
    return {
        "optimizer": (name, "works widely without tuning"),
        "rate": (RATES[name], f"the usual starting rate of {name}"),
        "decay": (DECAYS[name], f"a little weight decay, at the rates of {name}"),
        "batch": (batch, f"{facts.rows:,} training rows"),
        "epochs": (epochs, f"{facts.rows:,} training rows"),
        "schedule": ("linear", "warm-up, then a straight line to zero, needs no tuning"),
        "clip": (1.0, "keeps a stray batch from spoiling the weights"),
        "average": (0.0, "no part asks for averaged weights"),
        "precision": ("fp32", "no part is known to gain from bf16"),
        "micro": (0, "the whole batch fits"),
        "patience": (0, "the schedule ends the run"),
        "keep": ("best", "the weights that did best on the validation rows"),
        "refit": (False, "the validation rows stay unseen"),
        "threads": (0, "as many as PyTorch finds"),
    } | _of(name)


def _of(optimizer: str) -> Choices:
    """What an optimizer needs that others do not."""
    if optimizer == "gd":
        return {"epochs": (STEPS, "gradient descent takes one step an epoch")}
    if optimizer == "schedule_free":
        return {
            "schedule": ({"name": "constant", "warmup": 0.05}, "schedule_free needs no falling rate"),
            "average": (0.0, "schedule_free averages the weights itself"),
        }
    return {}


def frozen_recipe(facts: Facts) -> Choices:
    """Training of heads on vectors that stay as they are: each is computed once, so that many passes cost little."""
    batch = min(256, max(1, facts.rows))
    reason = "vectors that stay as they are"
    return {
        "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
        "rate": (FROZEN_RATE, reason),
        "decay": (0.1, "as a linear map of few rows wants"),
        "batch": (batch, f"{facts.rows:,} training rows"),
        "epochs": (max(10.0, float(-(-FROZEN_STEPS * batch // max(1, facts.rows)))), f"some {FROZEN_STEPS} steps"),
        "schedule": ({"name": "cosine", "warmup": 0.05, "final": 0.0}, "ends at rest"),
        "clip": (0.0, "gradients of a linear map are bounded"),
        "precision": ("fp32", "each row is computed once"),
        "keep": ("last", "the schedule is planned to its end"),
    }
