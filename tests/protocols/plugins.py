"""Five very different things that plug into the one engine: what later heads will be, in small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ranvier.core.protocols import Batch, Encoder, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.core.training import Phase, Source, Task

V = frozenset({"vector"})


class Dense(Encoder):
    def __init__(self, spec: Spec, /, *, width: int = 16) -> None:
        super().__init__()
        self.net, self.width = nn.Linear(spec.shape[0] or 0, width), width

    def forward(self, value, needs):
        return Features(len(value.data), torch.tanh(self.net(value.data)))


class Category(Head):
    def __init__(self, spec: Spec, width: int, enc=None, /, *, smoothing: float = 0.0) -> None:
        super().__init__()
        self.out, self.smoothing = nn.Linear(width, spec.size), smoothing

    def loss(self, phase, f, y):
        return F.cross_entropy(self.out(f.vector), y.data, reduction="none", label_smoothing=self.smoothing)

    def predict(self, f, **how):
        return {"probs": self.out(f.vector).softmax(-1)}


class Gan(Head):
    phases, encodes_target = ("critic", "main"), True

    def __init__(self, spec: Spec, width: int, enc: Encoder, /, *, noise: int = 8) -> None:
        super().__init__()
        self.enc, self.noise = enc, noise
        self.d = nn.Linear(enc.width, 1)
        self.g = nn.Sequential(nn.Linear(noise + width, 32), nn.ReLU(), nn.Linear(32, spec.shape[0] or 0))

    def params(self, phase):
        return (*self.enc.parameters(), *self.d.parameters()) if phase == "critic" else self.g.parameters()

    def score(self, x):
        return self.d(self.enc(Value(x), V).vector)[:, 0]

    def predict(self, f, **how):
        noise = torch.randn(f.size, self.noise)
        return {"x": self.g(noise if f.vector is None else torch.cat([noise, f.vector], 1))}

    def loss(self, phase, f, y):
        x = self.predict(f)["x"]
        if phase == "main":
            return F.softplus(-self.score(x))
        return F.softplus(self.score(x.detach())) + F.softplus(-self.score(y.data))


class Vae(Head):
    encodes_target = True

    def __init__(self, spec: Spec, width: int, enc: Encoder, /, *, z: int = 2) -> None:
        super().__init__()
        self.enc, self.z = enc, z
        self.post = nn.Linear(enc.width, 2 * z)
        self.dec = nn.Sequential(nn.Linear(z + width, 32), nn.Tanh(), nn.Linear(32, spec.shape[0] or 0))

    def decode(self, z, f):
        return self.dec(z if f.vector is None else torch.cat([z, f.vector], 1))

    def loss(self, phase, f, y):
        mean, log_std = self.post(self.enc(y, V).vector).chunk(2, 1)
        x = self.decode(mean + log_std.exp() * torch.randn_like(mean), f)
        divergence = 0.5 * (mean**2 + (2 * log_std).exp() - 1) - log_std
        return 5 * ((x - y.data) ** 2).sum(1) + divergence.sum(1)

    def predict(self, f, **how):
        return {"x": self.decode(torch.randn(f.size, self.z), f)}


class Text(Head):
    needs = frozenset({"tokens"})

    def __init__(self, spec: Spec, width: int, enc=None, /) -> None:
        super().__init__()
        self.embed = nn.Embedding(spec.size, 24)
        self.rnn = nn.GRU(24, 24, batch_first=True)
        self.memory = nn.Linear(width, 24) if width else None
        self.out = nn.Linear(24, spec.size)

    def count(self, y):
        return y.mask[:, 1:].sum(1).float()

    def logits(self, tokens, f):
        start = torch.zeros(1, len(tokens), 24)
        if self.memory is not None and f.tokens.data.shape[1]:
            start = self.memory(f.tokens.data.mean(1))[None]
        return self.out(self.rnn(self.embed(tokens), start)[0])

    def loss(self, phase, f, y):
        logits = self.logits(y.data[:, :-1], f)
        return (F.cross_entropy(logits.mT, y.data[:, 1:], reduction="none") * y.mask[:, 1:]).sum(1)

    def predict(self, f, *, start=1, steps=5, **how):
        tokens = torch.full((f.size, 1), start)
        for _ in range(steps):
            tokens = torch.cat([tokens, self.logits(tokens, f)[:, -1:].argmax(-1)], 1)
        return {"tokens": tokens}


class Small(Task):
    """At most one encoder, any heads: the pattern of a task in thirty lines."""

    def __init__(self, encoder: Encoder | None, heads: dict[str, Head]) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, nn.ModuleDict(heads)
        names = dict.fromkeys(phase for head in heads.values() for phase in head.phases)
        self.phases = [self._phase(name) for name in names]

    def features(self, batch: Batch) -> Features:
        if self.encoder is None:
            return Features(batch.size, tokens=Value(torch.zeros(batch.size, 0, 0)))
        return self.encoder(next(iter(batch.inputs.values())), V)

    def _phase(self, name: str) -> Phase:
        mine = {k: head for k, head in self.heads.items() if name in head.phases}
        params = [p for head in mine.values() for p in head.params(name)]
        if name == "main" and self.encoder is not None:
            params += self.encoder.parameters()

        def loss(batch: Batch) -> dict[str, Tensor]:
            f = self.features(batch)
            return {f"{name}/{k}": head.loss(name, f, batch.targets[k]) for k, head in mine.items()}

        def count(batch: Batch) -> dict[str, Tensor]:
            return {f"{name}/{k}": head.count(batch.targets[k]) for k, head in mine.items()}

        return Phase(name, tuple(dict.fromkeys(params)), loss, count)

    def validate(self, source: Source) -> dict[str, float]:
        batch = source.batch(0)
        return {"loss": sum(float(t.mean()) for phase in self.phases for t in phase.loss(batch).values())}


class Fixed:
    """The same batch at every step."""

    steps, exact = 1, True

    def __init__(self, batch: Batch) -> None:
        self.only = batch

    def batch(self, step: int) -> Batch:
        return self.only

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        pass


class Policy(Task):
    """PPO's clipped surrogate (Schulman et al. 2017, eq. 7) for a bandit; reads `batch.extra` only."""

    monitor = None

    def __init__(self, arms: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(arms))
        self.phases = [Phase("main", (self.logits,), self._loss, lambda b: {"policy": torch.ones(b.size)})]

    def log_p(self, action: Tensor) -> Tensor:
        return self.logits.log_softmax(0)[action]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        ratio = (self.log_p(batch.extra["action"]) - batch.extra["log_p"]).exp()
        advantage = batch.extra["advantage"]
        return {"policy": -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)}

    def validate(self, source: Source) -> dict[str, float]:
        return {}


class Rollouts:
    """Acts with the current policy, and gives what happened `reuse` times."""

    steps, exact, reuse = None, False, 4

    def __init__(self, policy: Policy, rewards: Tensor) -> None:
        self.policy, self.rewards = policy, rewards

    def collect(self) -> Batch:
        with torch.no_grad():
            action = torch.multinomial(self.policy.logits.softmax(0), 64, replacement=True)
            reward = self.rewards[action] + 0.1 * torch.randn(64)
            extra = {"action": action, "log_p": self.policy.log_p(action), "advantage": reward - reward.mean()}
        return Batch(64, extra=extra)

    def batch(self, step: int) -> Batch:
        self.data = self.collect() if step % self.reuse == 0 else self.data
        return self.data

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        pass
