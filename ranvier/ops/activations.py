"""Activations as pure functions, one for each name in the registry; thin over `torch.nn.functional`.

All work on tensors of any shape and keep it, but for the gated ones (`glu`, `swiglu`), which halve one axis: the first
half and the second half of it are two maps of the same input.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def identity(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x: none at all; layers joined by it are one linear map."""
    return x


def sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 / (1 + exp(-x)), in (0, 1). Its slope is at most 1/4, so that deep stacks of it hardly learn.

    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 1986, eq. 2.
    """
    return F.sigmoid(x)


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)), in (-1, 1): a sigmoid centred on 0, 2 sigmoid(2 x) - 1.

    Source: LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998, section 4.4.
    """
    return F.tanh(x)


def softmax(x: Float[Tensor, "*shape"], axis: int = -1) -> Float[Tensor, "*shape"]:
    """exp(x_i) / sum_j exp(x_j) along the axis: positive, and 1 in sum.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    return F.softmax(x, axis)


def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """max(0, x). Source: Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010."""
    return F.relu(x)


def leaky_relu(x: Float[Tensor, "*shape"], slope: float = 0.01) -> Float[Tensor, "*shape"]:
    """x where x > 0, else slope * x, so that no unit is ever without gradient.

    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """
    return F.leaky_relu(x, slope)


def prelu(x: Float[Tensor, "*shape"], slope: Float[Tensor, " n"]) -> Float[Tensor, "*shape"]:
    """x where x > 0, else slope * x, the slope being learned: one for all, or one for each channel (axis 1).

    Source: He, Zhang, Ren & Sun, "Delving deep into rectifiers", arXiv:1502.01852, eq. 1; it starts at 0.25 there.
    """
    return F.prelu(x, slope)


def elu(x: Float[Tensor, "*shape"], alpha: float = 1.0) -> Float[Tensor, "*shape"]:
    """x where x > 0, else alpha * (exp(x) - 1).

    Source: Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    arXiv:1511.07289.
    """
    return F.elu(x, alpha)


def selu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """l * x where x > 0, else l * a * (exp(x) - 1), with l = 1.0507009873554805 and a = 1.6732632423543772.

    With these, mean 0 and variance 1 are a fixed point of layers drawn by `lecun`. Source: Klambauer, Unterthiner, Mayr
    & Hochreiter, "Self-normalizing neural networks", arXiv:1706.02515, eq. 2.
    """
    return F.selu(x)


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))), Phi being the normal distribution function; exact, by no formula
    with tanh.

    Source: Hendrycks & Gimpel, "Gaussian error linear units", arXiv:1606.08415.
    """
    return F.gelu(x)


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * sigmoid(x), also called swish.

    Sources: Elfwing, Uchibe & Doya, arXiv:1702.03118; Ramachandran, Zoph & Le, arXiv:1710.05941.
    """
    return F.silu(x)


def softplus(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(1 + exp(x)): a smooth ReLU, positive everywhere.

    Source: Dugas, Bengio, Bélisle, Nadeau & Garcia, "Incorporating second-order functional knowledge for better option
    pricing", NIPS 2000.
    """
    return F.softplus(x)


def glu(x: Float[Tensor, "*wide"], axis: int = -1) -> Float[Tensor, "*half"]:
    """a * sigmoid(b), a and b being the halves of the axis: (..., 2 D) to (..., D). Raises RuntimeError for odd sizes.

    Source: Dauphin, Fan, Auli & Grangier, "Language modeling with gated convolutional networks", arXiv:1612.08083,
    eq. 1.
    """
    return F.glu(x, axis)


def swiglu(x: Float[Tensor, "*wide"], axis: int = -1) -> Float[Tensor, "*half"]:
    """silu(a) * b, a and b being the halves of the axis: (..., 2 D) to (..., D). Raises RuntimeError for odd sizes.

    Source: Shazeer, "GLU variants improve Transformer", arXiv:2002.05202, eq. 5.
    """
    a, b = x.chunk(2, axis)
    return F.silu(a) * b
