"""Texts, words and pictures through a network that has learnt from far more of them: frozen or tuned."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.columns.foreign import fingerprint, read_tokenizer
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, Positive
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.body import architecture, folder_of, installed, is_path, made, picture_form, weights
from ranvier.encoders.tokens import demand
from ranvier.nets.dropout import Dropout
from ranvier.nets.lora import adapt
from ranvier.nets.pool import Missing, maps_to_tokens, masked_mean

Auto = Literal["auto"]
Train = Literal["none", "last", "lora", "all"]

PLACE = "RANVIER_PRETRAINED"  # the environment variable with the folder of the model to use by default
FEW = 2_000  # training rows below which a network that has learnt elsewhere knows more than they can tell
# where attention has its queries and values in the models of transformers (Hu et al. 2021, sec. 4.2)
ADAPTED = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin", "q", "v", "c_attn", "query_key_value", "qkv")
PACE = 0.05  # of the pretrained layers, beside what is new: 5e-5 at a rate of 1e-3
STEPS = 400  # of the head alone
TUNED, READ = 300, 800  # of all that is tuned, and of a head that reads each token of what is frozen
FIRM = 500  # rows up to which the penalty stays the same; from then on it is that of logistic regression with C = 1
MOMENTUM = 0.9  # adds steps up, so that decay, which stands beside it, has to be stronger by 1 / (1 - 0.9)


class PretrainedEncoder(Encoder):
    """A model of texts and words, or of pictures, both as transformers has them (extra `pretrained`).

    model: the folder of a model (config.json, model.safetensors, tokenizer.json), or its name on the hub, which
    transformers then fetches. train: "none" = its weights stay as they are; "last" = its last `layers` learn; "lora" =
    matrices of a `rank` beside its attention's queries and values do (`nets.lora`); "all". pace: the rate of its
    parameters as a share of the training's. decay: each layer's rate as a share of that of the layer above it (Howard &
    Ruder 2018, sec. 3.2; Clark et al. 2020, ELECTRA, appendix A). pool: how tokens become a vector; "cls" = the first.
    normalise: vectors of length 1. dropout: on what is given. config, side, mean, std: the architecture as JSON, and
    the form of pictures; read from the folder when planning, so that a model file needs none.

    Tokens (B, T) of the model's tokenizer or pixels (B, H, W, C) to vector (B, width) and tokens (B, T, width), of a
    text with their spans. A missing row gets a learned vector. The weights are random until `begin`. Raises PlanError
    for a column or folder that does not fit, MissingExtra without transformers.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens"})
    form: Tensor  # (2, channels, 1, 1) mean and deviation of pictures

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        model: str = "auto",
        train: Train | Auto = "auto",
        layers: Count = 2,
        rank: Count = 8,
        pace: Positive | Auto = "auto",
        decay: Positive = 0.9,
        pool: Literal["mean", "cls"] = "mean",
        normalise: bool | Auto = "auto",
        dropout: float = 0.0,
        config: str = "auto",
        side: int | Auto = "auto",
        mean: list[float] | Auto = "auto",
        std: list[float] | Auto = "auto",
    ) -> None:
        super().__init__()
        demand(type(self), spec, "tokens", "pixels")
        given: dict[str, Any] = {"model": model, "train": train, "pace": pace, "normalise": normalise}
        given |= {"config": config, "side": side, "mean": mean, "std": std}
        chosen = self.choose(spec, Facts(rows=FEW - 1, options=given))
        o = {name: chosen[name][0] if value == "auto" else value for name, value in given.items()}
        self.model, self.tokenizer, self.kind = o["model"], spec.tokenizer, spec.kind
        shape = _read(o["config"])
        _check(spec, shape, self.model)
        self.body = made(shape)
        self.width = _width(shape)
        self.how: Train = o["train"]
        self.pool, self.normalise = pool, bool(o["normalise"])
        self.filler, self.limit = int(shape.get("pad_token_id") or 0), _limit(shape)
        self.side, self.channels = o["side"], shape.get("num_channels", 3)
        if spec.kind == "pixels":
            if not len(o["mean"]) == len(o["std"]) == self.channels:
                raise PlanError(f"mean and std must have a number for each of the model's {self.channels} channels")
            self.register_buffer("form", torch.tensor([o["mean"], o["std"]])[..., None, None], persistent=False)
        self.missing, self.dropout = Missing(self.width), Dropout(dropout)
        self._resting: list[nn.Module] = []
        self._freeze(int(layers), int(rank))
        self._pace(float(o["pace"]), float(decay))
        self.fixed = self.how == "none"
        self.splits = self.fixed or not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.body.modules())

    # ---- what is trained, and how fast

    def _freeze(self, layers: int, rank: int) -> None:
        """Which parameters learn, and which modules stay in eval mode whatever happens."""
        if self.how == "all":
            return
        self.body.requires_grad_(False)
        if self.how == "none":
            self._resting = [self.body]
        elif self.how == "lora":
            if not adapt(self.body, ADAPTED, rank):
                raise PlanError("this model has no attention that is known here, for LoRA to adapt; use train = 'last'")
        else:
            stack = _stack(self.body)
            if not 1 <= layers <= len(stack):
                raise PlanError(f"layers = {layers}: this model has {len(stack)}")
            for layer in stack[-layers:]:
                layer.requires_grad_(True)
            self._resting = list(stack[:-layers])

    def _pace(self, pace: float, decay: float) -> None:
        """Marks each parameter that learns with its share of the rate: layer by layer less, the lower it is."""
        stack = _stack(self.body)
        height = {id(p): n for n, layer in enumerate(stack, 1) for p in layer.parameters()}
        below = True
        for p in self.body.parameters():
            if id(p) in height:
                below = False
            above = len(stack) - height.get(id(p), 0 if below else len(stack))
            p.rate_scale = pace * decay**above  # type: ignore[attr-defined]

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """As of any module, but that what is frozen stays in eval mode."""
        super().train(mode)
        for part in self._resting:
            part.eval()
        return self

    def begin(self) -> None:
        """The model's weights. Raises PlanError where they or its tokenizer are not those of this network."""
        if not self.model:
            return
        folder = folder_of(self.model)
        if self.kind == "tokens" and fingerprint(read_tokenizer(str(folder), "text")) != self.tokenizer:
            raise PlanError(
                f"the column's tokens are not those of the model {self.model!r}: leave the column's option tokenizer "
                "out, so that it follows the encoder's model, or give it the same folder"
            )
        self.body.load_state_dict(weights(folder, self.body), strict=False)  # LoRA's own matrices are new

    # ---- forward

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Tokens (B, T), pixels (B, H, W, C), or what `recall` gave of them (B, width), to the views asked for."""
        if value.data.ndim == 2 and value.data.is_floating_point():
            return Features(len(value.data), self.missing(self.dropout(value.data), value.observed))
        x, mask, spans = self._contextual(value)
        features = Features(x.shape[0])
        if "vector" in needs:
            features.vector = self.missing(self.dropout(self._vector(x, mask)), value.observed)
        if "tokens" in needs:
            shown = self.missing.tokens(self.dropout(x), mask, value.observed)
            features.tokens = Value(*shown, value.observed, spans)
        return features

    def recall(self, value: Value) -> Tensor:
        """(B, width): the vectors before dropout, and before those of missing rows."""
        with torch.no_grad():
            x, mask, _ = self._contextual(value)
            return self._vector(x, mask).float()

    def _vector(self, x: Tensor, mask: Tensor) -> Tensor:
        vector = masked_mean(x, mask) if self.pool == "mean" else x[:, 0].masked_fill(~mask.any(1, keepdim=True), 0)
        return F.normalize(vector.float(), dim=1).to(x.dtype) if self.normalise else vector

    def _contextual(self, value: Value) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the model makes of each token or patch (B, T, width), which are real (B, T), and their spans."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.fixed):
            if self.kind == "pixels":
                x = self.body(pixel_values=self._pixels(value.data)).last_hidden_state
                x = maps_to_tokens(x) if x.ndim == 4 else x
                return x, x.new_ones(x.shape[:2], dtype=torch.bool), None
            ids, mask, spans = self._ids(value)
            read = mask.clone()
            read[:, 0] = True  # attention to nothing at all is no number
            x = self.body(input_ids=ids, attention_mask=read.long()).last_hidden_state
            return x, mask, spans

    def _ids(self, value: Value) -> tuple[Tensor, Tensor, Tensor | None]:
        """Ids with the model's own filler where there is none, their mask and spans; T is at least 1."""
        ids, spans = value.data.long(), value.spans
        mask = torch.ones_like(ids, dtype=torch.bool) if value.mask is None else value.mask
        if ids.shape[1] == 0:
            ids, mask = ids.new_zeros(len(ids), 1), mask.new_zeros(len(ids), 1)
            spans = None if spans is None else spans.new_zeros(len(ids), 1, 2)
        if self.limit:
            ids, mask = ids[:, : self.limit], mask[:, : self.limit]
            spans = None if spans is None else spans[:, : self.limit]
        return ids.masked_fill(~mask, self.filler), mask, spans

    def _pixels(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, C) as the model wants them: (B, channels, side, side), scaled."""
        x = pixels.permute(0, 3, 1, 2).float() / 255
        if x.shape[1] != self.channels:
            x = x.mean(1, keepdim=True).expand(-1, self.channels, -1, -1)
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        mean, std = self.form
        return (x - mean) / std

    # ---- planning

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The first choice for few rows, if a model is named in RANVIER_PRETRAINED and transformers is here."""
        if spec.kind not in ("tokens", "pixels"):
            return 0.0, "it reads texts and words by its model's own tokenizer, and pictures"
        named = os.environ.get(PLACE, "")
        if not named or not installed() or facts.rows >= FEW or facts.outcome in ("texts", "hidden", "view"):
            return 0.05, f"a network that has learnt elsewhere; name its folder, or put it into {PLACE}"
        shape = architecture(_local(named)) if is_path(named) else {}  # what is on the hub, a person has to ask for
        try:
            _check(spec, shape, "")
        except PlanError:
            return 0.05, f"the model in {PLACE} does not read a column of kind {spec.kind!r}"
        return 0.95, f"{facts.rows:,} training rows tell less than the model in {PLACE} has learnt elsewhere"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Frozen, unless there are rows and a processor for more; the architecture and form from the model's folder."""
        few, o = facts.rows < FEW or facts.device == "cpu", facts.options
        rows = f"{facts.rows:,} training rows on {facts.device}"
        train = o.get("train", "auto")
        # of 100 sentences of Brown all of MiniLM learnt 84 % of the tags, a head on it 70 %, an LSTM alone 68 %
        each = spec.unit == "word" and "tokens" in facts.views
        train = ("none" if few and not each else "all") if train == "auto" else train
        told = "only the head learns" if few else "enough to tune it"
        found: Choices = {
            "model": ("", "no model is named"),
            "train": (train, "what a word is in its sentence has to be tuned" if each else f"{rows}: {told}"),
            "pace": (1.0 if train in ("none", "lora") else PACE, f"train = {train!r}"),
            "normalise": (train == "none", "as similarities are taken" if train == "none" else "the head may scale"),
            "config": ("", "no model is named"),
            **{key: (value, "not a picture") for key, value in (("side", 0), ("mean", []), ("std", []))},
        }
        if not o or all(o.get(key, "auto") != "auto" for key in ("config", "side", "mean", "std")):
            return found
        model = _named(o)
        if not model and o.get("config", "auto") == "auto":
            raise PlanError(
                f"encoder 'pretrained' needs a model: the folder of one, as its option model, or in {PLACE}"
            )
        found["model"] = (model, f"the folder in {PLACE}" if o.get("model", "auto") == "auto" else "as asked")
        given = o.get("config", "auto") != "auto"
        folder, why = (None, "its architecture") if given else (folder_of(model), f"the model {model!r}")
        shape = _read(o["config"]) if folder is None else architecture(folder)
        found["config"] = (json.dumps(shape, sort_keys=True), why)
        if spec.kind == "pixels":
            form = zip(("side", "mean", "std"), picture_form(folder, shape), strict=True)
            found |= {key: (value, why) for key, value in form}
        return found

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any]) -> Choices:
        """The model's tokenizer, and texts no longer than it reads; pictures of its size, in colours."""
        model = _named(options)
        if not model or kind not in ("text", "words", "image"):
            return {}
        folder = folder_of(model)
        why, shape = f"the model {model!r} has learnt with it", architecture(folder)
        if kind == "image":
            side = picture_form(folder, shape)[0]
            return {"size": (side, why), "channels": ("rgb" if shape.get("num_channels", 3) == 3 else "gray", why)}
        longest = {"length": (_limit(shape), f"the model {model!r} reads no more")} if _limit(shape) else {}
        return {"tokenizer": (str(folder), why), **longest}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Frozen: logistic (or ridge) regression on the vectors, all but exactly; else AdamW with small steps."""
        rows, firm = max(facts.rows, 1), 2 / max(facts.rows, FIRM)
        told = f"{facts.rows:,} training rows"
        frozen = facts.options.get("train", "none") == "none" and facts.options.get("normalise", True)
        if frozen and facts.views == {"vector"}:
            reason = "a linear map of frozen vectors, which has one best place"
            batch = 256  # fewer rows are all of a step, also when trained again with the validation rows
            return {
                "optimizer": ({"name": "nesterov", "momentum": MOMENTUM}, reason),
                "rate": (0.5 if facts.outcome == "classes" else 0.1, "vectors of length 1 allow no more"),
                "decay": (round(firm / (1 - MOMENTUM), 6), f"as of logistic regression, for {told}"),
                "batch": (batch, told),
                "epochs": (
                    max(8.0, float(-(-STEPS * min(batch, rows) // rows))),
                    f"some {STEPS} steps reach it, and cost little",
                ),
                "schedule": ({"name": "cosine", "warmup": 0.0, "final": 0.0}, "ends at rest"),
                "clip": (0.0, "its gradient is bounded"),
                "precision": ("fp32", "each row is computed once"),
                "keep": ("last", "the schedule ends where the loss is least"),
                "refit": (facts.rows < 20_000, "every row counts" if facts.rows < 20_000 else "there are rows enough"),
            }
        still = facts.options.get("train") == "none"
        reason = "a head on what stays as it is" if still else "tuning of what has been learnt elsewhere"
        batch, steps, most = 16 if rows < FEW else 32, READ if still else TUNED, 100 if still else 30
        return {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.999]}, reason),
            "rate": (0.02 if still else 1e-3, "of the head; pretrained layers go at their own pace"),
            "decay": (0.01, reason),
            "batch": (batch, told),
            "epochs": (
                float(min(max(8 if rows < FEW else 3, -(-steps * batch // rows)), most)),
                f"{told}, and {steps} steps or more",
            ),
            "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "warm-up, then straight down to 0"),
            "clip": (1.0, "steadies the first steps"),
            "keep": ("best", "small sets overfit before the last epoch"),
        }


def _named(options: Mapping[str, Any]) -> str:
    """The model of some options, or that of the environment; "" if neither names any."""
    model = options.get("model", "auto")
    return os.environ.get(PLACE, "") if model == "auto" else model


def _local(named: str) -> Path:
    """The folder of the environment. Raises PlanError if it holds no model, for any other would be taken unseen."""
    try:
        return folder_of(named)
    except PlanError as error:
        raise PlanError(f"{PLACE}: {error}; or unset it") from None


def _read(config: str) -> dict[str, Any]:
    try:
        value = json.loads(config or "{}")
    except (ValueError, RecursionError) as error:
        raise PlanError(f"config: expected the architecture as JSON, {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("model_type"), str):
        raise PlanError("config: expected the architecture as JSON with a model_type; leave it out, and name a model")
    return value


def _check(spec: Spec, shape: Mapping[str, Any], model: str) -> None:
    """Raises PlanError where a network of that shape does not read the column."""
    words = shape.get("vocab_size")
    if (spec.kind == "tokens") != isinstance(words, int):
        raise PlanError(f"a model of type {shape.get('model_type')!r} reads no column of kind {spec.kind!r}")
    if spec.kind != "tokens" or not (model or spec.tokenizer):
        return
    if not spec.tokenizer:
        raise PlanError(
            f"the column has learnt tokens of its own, which the model {model!r} does not know: set the column's "
            f"option tokenizer = {model!r}, and its type to text or words"
        )
    if spec.size > words:  # type: ignore[operator]
        raise PlanError(f"the column's tokenizer has {spec.size:,} tokens, and the model {model!r} knows {words:,}")


def _width(shape: Mapping[str, Any]) -> int:
    """Features of a token. Raises PlanError if the configuration does not say."""
    sizes = shape.get("hidden_sizes") or [0]
    found = next((shape[k] for k in ("hidden_size", "dim", "d_model", "n_embd") if shape.get(k)), sizes[-1])
    if not isinstance(found, int) or found < 1:
        raise PlanError(f"config: a model of type {shape.get('model_type')!r} that does not say its hidden_size")
    return found


def _limit(shape: Mapping[str, Any]) -> int:
    """How many tokens the model reads, 0 = any number. Some count positions from behind the filler's."""
    most = next((shape[k] for k in ("max_position_embeddings", "n_positions") if isinstance(shape.get(k), int)), 0)
    filler = shape.get("pad_token_id")
    return max(0, most - (filler + 1 if isinstance(filler, int) and 0 < filler < 8 else 0))


def _stack(net: nn.Module) -> nn.ModuleList:
    """The network's layers, the lowest first. Raises PlanError if it has none."""
    lists: Iterator[nn.ModuleList] = (m for m in net.modules() if isinstance(m, nn.ModuleList))
    found = max(lists, key=len, default=None)
    if not found:
        raise PlanError("this model has no list of layers")
    return found
