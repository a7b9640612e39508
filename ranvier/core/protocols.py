"""The signatures that encoders, fuses, heads and augmentations plug into each other with, and what passes between them.

Shapes: B rows, T tokens, D features, C channels. `Column`, `Spec` and `Encoded` need no torch and stand apart; what the
engine knows is in `core/training.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.spec import Encoded, Spec

View = Literal["vector", "tokens", "maps"]


@dataclass
class Value:
    """One column of one batch.

    data: (B, ...). mask: (B, T), True where real, False where padding. observed: (B,), or (B, C) for joined
    columns, False where missing. spans: (B, T, 2), each token's place in the raw value. ids: (B, T), where data are
    vectors of tokens, which tokens these are.
    """

    data: Tensor
    mask: Tensor | None = None
    observed: Tensor | None = None
    spans: Tensor | None = None
    ids: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Value:
        """The same value with the function applied to every tensor in it."""
        fields = (self.data, self.mask, self.observed, self.spans, self.ids)
        return Value(*(t if t is None else function(t) for t in fields))  # type: ignore[arg-type]


@dataclass
class Batch:
    """Some rows, ready for a network.

    size: B, also when there is no input at all. A column may be in inputs and in targets; only inputs are
    corrupted. weight: (B,) or None for all ones. extra: what a task needs besides. mixed: where each row is blended
    with another (mixup), the other's targets; the row's own count extra["share"] (B,), and these 1 - share.
    """

    size: int
    inputs: dict[str, Value] = field(default_factory=dict)
    targets: dict[str, Value] = field(default_factory=dict)
    weight: Tensor | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)
    mixed: dict[str, Value] = field(default_factory=dict)

    def map(self, function: Callable[[Tensor], Tensor], size: int | None = None) -> Batch:
        """The same batch with the function applied to every tensor (a move, a slice of rows, ...)."""
        return Batch(
            self.size if size is None else size,
            {name: value.map(function) for name, value in self.inputs.items()},
            {name: value.map(function) for name, value in self.targets.items()},
            None if self.weight is None else function(self.weight),
            {name: function(tensor) for name, tensor in self.extra.items()},
            {name: value.map(function) for name, value in self.mixed.items()},
        )

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return self.map(lambda t: t.to(device, non_blocking=True))

    def split(self, rows: int) -> list[Batch]:
        """Micro-batches of at most `rows` rows, in order."""
        starts = range(0, self.size, rows)
        return [self.map(lambda t, s=s: t[s : s + rows], min(rows, self.size - s)) for s in starts]  # type: ignore[misc]


@dataclass
class Features:
    """One input, or all of them fused, in the views that were asked for.

    vector: (B, D). tokens: a Value of (B, T, D) with mask and spans. maps: ((B, C, H, W), stride) pairs, finest
    first. parts: each input's own features, kept by fuse. members: how many networks' answers stand one after
    another for each row (an ensemble); then every B above is size = rows * members, a row's members adjacent.
    code: (B, K), the few numbers that all else here was made of, where there are such. cost: (B,), added to the loss.
    picture: (B, C, H, W) from 0 to 1, the input itself, beside the maps of a picture.
    """

    size: int
    vector: Tensor | None = None
    tokens: Value | None = None
    maps: tuple[tuple[Tensor, int], ...] = ()
    parts: dict[str, Features] = field(default_factory=dict)
    members: int = 1
    code: Tensor | None = None
    cost: Tensor | None = None
    picture: Tensor | None = None

    def as_vector(self) -> Tensor:
        """(B, D): the vector, or the mean of the tokens that are no padding. Raises PlanError for maps alone."""
        if self.vector is not None:
            return self.vector
        if self.tokens is None:
            raise PlanError("an input gives maps only, but a vector is needed; choose an encoder that gives one")
        tokens, mask = self.tokens.data, self.tokens.mask
        if mask is None:
            return tokens.mean(1)
        kept = mask[..., None].to(tokens.dtype)
        return (tokens * kept).sum(1) / kept.sum(1).clamp(min=1)

    def as_tokens(self) -> Value:
        """(B, T, D) with a mask: the tokens, or the places of the last map row by row, or the vector as one token."""
        if self.tokens is None:
            data = self.maps[-1][0].flatten(2).mT if self.maps else self.as_vector()[:, None]
            return Value(data, data.new_ones(data.shape[:2], dtype=torch.bool))
        if self.tokens.mask is not None:
            return self.tokens
        return replace(self.tokens, mask=self.tokens.data.new_ones(self.tokens.data.shape[:2], dtype=torch.bool))


for _node in (Value, Features):  # pytrees, so that a model of them exports
    pytree.register_dataclass(_node)  # type: ignore[attr-defined]


class Part:
    """What encoders, fuses and heads share: they say whether they suit a column and choose their own options.

    carries: the options that decide what its weights mean, which one that starts from them takes over.
    """

    carries: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """How well this part serves the spec: 0 = it cannot, up to 1 = the default choice; and the reason."""
        return 0.0, ""

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Values, each with its reason, for the options whose default is "auto"."""
        return {}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Training settings that suit this part (optimizer, rate, batch, epochs ...), each with its reason."""
        return {}


class Encoder(Part, nn.Module, ABC):
    """Spec to features: `__init__(self, spec, /, *, <options>)`, options with defaults being the schema.

    joins: columns of this encoder with equal options travel as one matrix, and spec.parts lists them. splits: rows do
    not see one another, as they do in batch norm. tells: its tokens come with their ids. fixed: training changes
    nothing of what `recall` gives, and forward takes that in the place of the value. grids: (channels, stride) of its
    maps, finest first.
    """

    joins: ClassVar[bool] = False
    tells: ClassVar[bool] = False
    splits: bool = True
    fixed: bool = False
    views: ClassVar[frozenset[View]] = frozenset({"vector"})  # what forward can be asked for, conversions aside
    grids: tuple[tuple[int, int], ...] = ()
    width: int

    @abstractmethod
    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """The value (B, ...) in the views asked for."""

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any]) -> Choices:
        """Options that suit such an encoder in its column, which is of this type; a person's choice stands."""
        return {}

    def begin(self) -> None:
        """Takes first weights from where its options say, if anywhere; called before training, never on loading."""

    def vocabulary(self) -> nn.Embedding | None:
        """Its tokens' own vectors (size, any width), where it has such, for a head that names tokens by them."""
        return None

    def recall(self, value: Value) -> Tensor:
        """(B, D) float: of the value what never changes, to be computed once for each row, if `fixed`."""
        raise NotImplementedError

    def owners(self) -> list[int]:
        """(width,) which of the columns in `spec.parts` each element of the vector tells of; 0 if there is but one."""
        return [0] * self.width


class Fuse(Part, nn.Module, ABC):
    """Joins any inputs: `__init__(self, widths, /, *, <options>)`, widths being {input name: width}.

    splits: rows do not see one another. costs: its features have a cost, to be minimised beside the heads' losses.
    narrows: all it gives is made of a code.
    """

    splits: bool = True
    costs: bool = False
    narrows: ClassVar[bool] = False
    views: ClassVar[frozenset[View]] = frozenset({"vector"})
    width: int

    @abstractmethod
    def forward(self, parts: dict[str, Features], needs: frozenset[View]) -> Features:
        """One set of features from those of all inputs, which stay reachable as `parts`."""

    def expand(self, code: Tensor) -> Features:
        """What it makes of codes (B, K), if it gives such (`Features.code`)."""
        raise NotImplementedError


class Augment(Part, ABC):
    """Varies an input while training: `__init__(self, spec, columns, /, *, <options>)`.

    One with an option `tta` also has other values as good as the given one, for predictions to be averaged over.
    """

    @abstractmethod
    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value varied: a pure function of it and of the generator, on the value's device."""

    def carry(self, value: Value, spec: Spec, generator: torch.Generator) -> Value:
        """A target that has places in the input, moved as an equally seeded generator moves that."""
        return value

    def variants(self, value: Value) -> list[Value]:
        """The value, and what else it may be seen as when predicting (test-time augmentation); all of its shape."""
        return [value]


class Head(Part, nn.Module, ABC):
    """Features to an output column: `__init__(self, spec, width, target_encoder, /, *, <options>)`.

    needs: the views it reads. welcomes: those of single inputs (`Features.parts`) that it reads beside, where encoders
    give them; it is made with one argument more, {input: `Given`}, {} under a fuse that narrows, and an instance may
    leave some out. encodes_target: Task hands it an encoder for its own column. itself: its column is an input as well,
    and its truth is "hidden", what an option `share` hides of it (`feed/hide.py`), or "view", the same varied another
    way (`feed/rows.py`); Task hands it the column's encoder. averages: its predictions may be averaged over an
    ensemble's members. alone: not over networks that were trained apart. splits: rows do not see one another.
    unconditional: it also does without any input. leads: its recipe goes before those of encoders that learn tokens
    from the rows alone. draws: its predictions are drawn, by the `generator` among how, and its `ways`: options, or
    numbers of at least 0; the ways of one that draws nothing are options that `predict` may be given other values of.
    completes: it also draws what is missing of rows of which some fields are known, as `begun` among how: their values
    as a batch has them, and (B, D) which fields are known.
    dear: figures of a row cost many passes, so only some rows are judged. strange_as: what
    `judged` calls that which `strange` gives, "" if it does not. encodes: it has `encode` and `decode`. plain: phases
    in fp32, for their gradients are differentiated again. monitor: the figure by which weights are chosen where there
    is no other target, the loss or one of its metrics, and whether the least of it is best or the most. likelihood:
    what its loss takes the truth for, given what `last` makes: "normal" (about its only output), "categorical"
    (softmax) or "".
    """

    needs: ClassVar[frozenset[View]] = frozenset({"vector"})
    welcomes: frozenset[View] = frozenset()
    encodes_target: ClassVar[bool] = False
    itself: ClassVar[Literal["", "hidden", "view"]] = ""
    averages: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    monitor: ClassVar[str] = "loss:min"
    unconditional: ClassVar[bool] = False
    leads: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    completes: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = ()
    dear: ClassVar[bool] = False
    strange_as: ClassVar[str] = ""
    encodes: ClassVar[bool] = False
    splits: bool = True
    likelihood: Literal["", "normal", "categorical"] = ""
    phases: ClassVar[tuple[str, ...]] = ("main",)
    plain: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of_target(cls, options: Mapping[str, Any]) -> Choices:
        """Options that the target's column must have for a head of these options, each with its reason."""
        return {}

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any], *, target: bool) -> Choices:
        """Options that suit such a head in columns of this type, its target or inputs; a person's choice stands."""
        return {}

    @classmethod
    def gathers(cls, options: Mapping[str, Any]) -> bool:
        """Whether batches are to hold rows of one value of the target beside one another, for these options."""
        return False

    def refuses(self, truth: Encoded) -> str:
        """Why it cannot learn from these values of its column; "" if it can."""
        return ""

    def params(self, phase: str) -> Iterable[nn.Parameter]:
        """The parameters that the phase trains."""
        return self.parameters()

    def count(self, y: Value) -> Tensor:
        """(B,) what a row's loss is a sum over: 1 for most, the number of tokens for text."""
        return torch.ones(len(y.data), device=y.data.device)

    @abstractmethod
    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the SUM of each row's loss, never a mean."""

    @abstractmethod
    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """What the features say of the column, by name: {"probs": (B, C)} or {"value": (B,)} or ..."""

    def last(self) -> Tensor:
        """(C, D + 1) the last layer, its bias at the end, of a head that has a likelihood."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """What figures are made of, when the truth is known: what is predicted, as asked, and perhaps more."""
        return self.predict(f, **how)

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) how strange a row's truth is to it, the same at each call: its loss, unless it knows better."""
        return self.loss("main", f, y)

    def encode(self, f: Features, y: Value) -> Tensor:
        """(B, K) the few numbers that the truth was made from, if it `encodes`."""
        raise NotImplementedError

    def decode(self, code: Tensor, f: Features) -> dict[str, Tensor]:
        """What `predict` says of codes (B, K), if it `encodes`."""
        raise NotImplementedError

    def metrics(self) -> Metrics | None:
        """A fresh accumulator over what `judged` says, or None if the loss says all."""
        return None

    def troubles(self, figures: Mapping[str, float]) -> dict[str, str]:
        """{figure: what has gone wrong, and the cures}, by what its metrics say at a validation while training."""
        return {}


class Metrics(Protocol):
    """Streaming sums over batches."""

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch."""

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far."""
