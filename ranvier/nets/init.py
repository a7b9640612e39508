"""First weights by name: `initialise(net, "he", "relu")`.

An initialiser draws a weight (outputs, inputs, ...) in place. fan_in counts what one output reads, fan_out how many
outputs one input (times the places of a kernel) goes into. The gain g makes up for what the activation takes from the
signal: g^2 * E[f(z)^2] = 1 for z ~ N(0, 1), so that layers pass on a mean square of 1 (He et al. 2015, sec. 2.2, for
ReLU: g^2 = 2). For most activations that is a size to which signals return; for GELU and SiLU they drift away from it
within some ten layers, and for gated ones at once, so that deep stacks of these need a norm.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.core.errors import PlanError, did_you_mean
from ranvier.core.registry import lookup
from ranvier.core.schema import one_of
from ranvier.nets.activations import gated

InitName = Annotated[str, one_of("init")]
Weight = Float[Tensor, "outputs inputs ..."]

GAINS = {
    "identity": 1.0,
    "sigmoid": 4.0,  # 1 / its slope at 0, which Glorot & Bengio take to be 1 (sec. 4.2.1)
    "tanh": 1.5925374,
    "softmax": 1.0,  # ends a network
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),  # He et al. 2015, eq. 15
    "prelu": math.sqrt(2.0 / (1.0 + 0.25**2)),
    "elu": 1.2451983,
    "selu": 1.0,
    "gelu": 1.5335304,
    "silu": 1.6765325,
    "softplus": math.sqrt(2.0),  # that of the ReLU which it smooths: its mean carries no signal either
    "glu": 1.0,  # a product of two maps has no size that lasts
    "swiglu": 1.0,
}
RECTIFIERS = frozenset({"relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "softplus"})


def initialise(module: nn.Module, init: str = "suited", activation: str = "identity") -> nn.Module:
    """Draws the weights of every linear map and convolution in the module anew, in place, and zeroes their biases.

    activation: the one that follows; the two halves of a map before a gated one are drawn as maps of their own.
    "default" leaves all as PyTorch drew it, biases too. Gives the module back. Raises PlanError for an unknown name.
    """
    draw, parts = lookup("init", init), 2 if gated(activation) else 1
    if draw is default:
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            for part in layer.weight.data.chunk(parts):
                draw(part, activation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def gain(activation: str) -> float:
    """The gain g for the activation before which a map stands. Raises PlanError where none is known."""
    if activation not in GAINS:
        known = did_you_mean(activation, GAINS)
        raise PlanError(f"no gain is known for activation {activation!r}, so use init 'default'; {known}")
    return GAINS[activation]


def suited(weight: Weight, activation: str = "identity") -> None:
    """What suits the activation: `he` for ReLU and its kin, `lecun` for SELU, `glorot` for all others."""
    gain(activation)  # that it is known
    draw = he if activation in RECTIFIERS else lecun if activation == "selu" else glorot
    draw(weight, activation)


def default(weight: Weight, activation: str = "identity") -> None:
    """PyTorch's own, U(-a, a) with a = 1 / sqrt(fan_in), whatever the activation: the weight stays as it is."""


def glorot(weight: Weight, activation: str = "identity") -> None:
    """U(-a, a), a = g sqrt(6 / (fan_in + fan_out)): a compromise between signals forward and gradients backward.

    Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    eq. 16. Also called Xavier initialisation.
    """
    bound = gain(activation) * math.sqrt(6.0 / sum(fans(weight)))
    nn.init.uniform_(weight, -bound, bound)


def glorot_normal(weight: Weight, activation: str = "identity") -> None:
    """N(0, g^2 * 2 / (fan_in + fan_out)): as `glorot`, with the same variance (Glorot & Bengio 2010, eq. 12)."""
    nn.init.normal_(weight, 0.0, gain(activation) * math.sqrt(2.0 / sum(fans(weight))))


def he(weight: Weight, activation: str = "identity") -> None:
    """N(0, g^2 / fan_in): the signal keeps its mean square through any number of layers.

    Source: He, Zhang, Ren & Sun, "Delving deep into rectifiers", arXiv:1502.01852, eq. 10. Also called Kaiming
    initialisation.
    """
    nn.init.normal_(weight, 0.0, gain(activation) / math.sqrt(fans(weight)[0]))


def he_uniform(weight: Weight, activation: str = "identity") -> None:
    """U(-a, a), a = g sqrt(3 / fan_in): as `he`, with the same variance."""
    bound = gain(activation) * math.sqrt(3.0 / fans(weight)[0])
    nn.init.uniform_(weight, -bound, bound)


def lecun(weight: Weight, activation: str = "identity") -> None:
    """N(0, 1 / fan_in), whatever the activation: what SELU's fixed point is computed for.

    Sources: LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998, eq. 16; Klambauer et al. 2017, arXiv:1706.02515.
    """
    nn.init.normal_(weight, 0.0, 1.0 / math.sqrt(fans(weight)[0]))


@torch.no_grad()
def orthogonal(weight: Weight, activation: str = "identity") -> None:
    """g Q, Q having orthonormal rows (or columns, if those are fewer): no direction is stretched or lost.

    A kernel counts as the matrix (outputs, all that one output reads). Source: Saxe, McClelland & Ganguli, "Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks", arXiv:1312.6120.
    """
    drawn = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)  # orthogonal_ wants it contiguous
    nn.init.orthogonal_(drawn, gain(activation))
    weight.copy_(drawn)


def zero(weight: Weight, activation: str = "identity") -> None:
    """0: for the last map of a branch that is to add nothing at first, or for a network's output.

    Never for hidden layers: their units would stay copies of one another, and without signal have no gradient. Source:
    Goyal et al., "Accurate, large minibatch SGD", arXiv:1706.02677, sec. 5.1, for the last scale of residual branches.
    """
    nn.init.zeros_(weight)


def fans(weight: Weight) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (outputs, inputs, ...): for a kernel, times its places."""
    places = weight[0, 0].numel()
    return weight.shape[1] * places, weight.shape[0] * places
