"""How much memory a run will take, before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ranvier.core.device import memory_told
from ranvier.core.errors import RunError
from ranvier.core.protocols import Batch
from ranvier.core.room import amount, free_memory
from ranvier.train.engine import Engine, made
from ranvier.train.optimizers import parameter_groups
from ranvier.train.pieces import cure

PART = 8  # of a batch: the share of its rows that activations are measured on
LEAST = 4  # rows, as far as there are so many; half of them, which is measured as well, has to be two: for batch norm
BACKWARD = 1.3  # what comes to what is kept for the backward pass: gradients of activations (measured on a CNN)
PAIRS = 3.3  # the same for numbers of pairs of rows: losses go through several tables of them (measured on NT-Xent)
CLOSE = 0.8  # of what is free, above which it is told


@dataclass(frozen=True)
class Needs:
    """Bytes that a run takes beside its data. weights: and buffers. gradients: of what is trained. optimizer: its
    state. copies: the best weights, the averaged ones, and the last state known to be sound. activations: what the
    forward pass of a batch, or micro-batch, of `rows` rows keeps for the backward pass, and what that adds."""

    weights: int
    gradients: int
    optimizer: int
    copies: int
    activations: int
    rows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.copies + self.activations

    def __str__(self) -> str:
        parts = [(name, size) for name, size in asdict(self).items() if name != "rows" and size]
        each = ", ".join(f"{name} {amount(size)}" for name, size in parts)
        return f"about {amount(self.total)} for training ({each})"

    def less(self, most: float, *, splits: bool) -> str:
        """What to change, so that it fits into so many bytes."""
        rest = self.total - self.activations
        rows = int((most - rest) / max(1, self.activations / self.rows)) if self.activations else 0
        fits = 2 ** int(math.log2(rows)) if rows >= 1 else 0
        ways = []
        if 0 < fits < self.rows:
            ways.append(f"train.micro = {fits} (the same weights, in pieces)" if splits else f"train.batch = {fits}")
        if self.activations > rest:
            ways.append("train.precision = 'bf16', shorter texts or smaller pictures")
        if self.optimizer:
            ways.append("train.optimizer = 'sgd', which keeps nothing")
        return ", ".join([*ways, "or size = 's'"])


def needs_of(engine: Engine) -> Needs:
    """Measures what a batch keeps on a share of its first rows, and the optimizer's state on a small matrix.

    Raises RunError where the device's memory does not even suffice for that.
    """
    trained = [p for p in engine.task.parameters() if p.requires_grad]
    weights, gradients = _size([*engine.task.parameters(), *engine.task.buffers()]), _size(trained)
    optimizer = math.ceil(gradients * _state_share(engine))
    kept = weights if engine.settings.keep == "best" else 0
    averaged = weights if engine.average else 0
    copies = kept + averaged + (weights + optimizer + kept + averaged)  # the last of which is the sound state
    if not engine.source.exact:  # a live environment would be moved by looking
        return Needs(weights, gradients, optimizer, copies, 0, 0)
    with memory_told("when the first rows were tried", cure(engine)):
        batch = engine.source.batch(0)
        rows = min(batch.size, engine.micro or batch.size)
        activations = _activations(engine, batch, rows)
    return Needs(weights, gradients, optimizer, copies, activations, rows)


def check_needs(engine: Engine) -> Needs:
    """What the run will need; told by a note where it is much of what is free. Raises RunError if it is more."""
    needs = needs_of(engine)
    free = free_on(engine.device) + needs.weights  # these are there already
    splits = all(phase.splits for phase in engine.task.phases)
    if needs.total > free:
        raise RunError(
            f"this run would take {needs}, and {amount(free)} are free: try {needs.less(free, splits=splits)}"
        )
    if needs.total > CLOSE * free:
        ways = needs.less(CLOSE * free, splits=splits)
        told = f"memory may not suffice: {needs}, and {amount(free)} are free; {ways} would take less"
        engine.progress.tell([told], engine.callbacks)
    return needs


def free_on(device: torch.device) -> float:
    """Bytes that are free on a device; on the CPU what the system and the control group leave."""
    if device.type != "cuda":
        return free_memory()
    free, _ = torch.cuda.mem_get_info(device)
    return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def _activations(engine: Engine, batch: Batch, rows: int) -> int:
    """Bytes that forward and backward passes of so many rows take, in the hungriest phase.

    Found by what two shares of the batch keep, one half as large as the other: what is of pairs of rows, as in losses
    for which rows see one another, grows with the square of their number, and what is of none not at all.
    """
    some = min(rows, max(LEAST, rows // PART))
    few = some // 2 if some >= LEAST else some
    larger, smaller = (_kept(engine, batch, size) for size in (some, few))
    most = 0.0
    for one, other in zip(larger, smaller, strict=True):
        if len(one) != len(other):  # the network takes another way, by what it meets
            one, other = [sum(one)], [sum(other)]
        powers = [_power(a / b, some / few) for a, b in zip(one, other, strict=True)]
        grown = [(PAIRS if p > 1 else BACKWARD) * a * (rows / some) ** p for a, p in zip(one, powers, strict=True)]
        most = max(most, sum(grown))
    return math.ceil(most)


def _power(growth: float, rows: float) -> int:
    """0, 1 or 2: with which power of the rows a size grows, that has grown so many times as they did."""
    return 1 if rows == 1 else min(2, max(0, round(math.log(growth) / math.log(rows))))


def _kept(engine: Engine, batch: Batch, rows: int) -> list[list[int]]:
    """Bytes of each tensor that the forward pass of the first rows keeps, in their order, by phase; none of them is
    left, and nothing of the task is changed."""
    part = batch.split(rows)[0].map(torch.clone, rows).to(engine.device)  # else every slice holds the whole batch
    task, sizes = engine.task, []
    own = {t.untyped_storage().data_ptr() for t in (*task.parameters(), *task.buffers())}
    before = {name: buffer.clone() for name, buffer in task.named_buffers()}
    task.train()
    with engine.own_random():
        engine.seed(0)
        for phase, _ in engine.phases:
            held: dict[int, int] = {}

            def keep(tensor: Tensor, held: dict[int, int] = held) -> Tensor:
                storage = tensor.untyped_storage()
                if storage.nbytes() and storage.data_ptr() not in own:
                    held[storage.data_ptr()] = storage.nbytes()
                return tensor.detach()  # itself it would hold the pass that made it, and be held by it, for ever

            watching = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
            with engine.only(phase), watching, engine.precision(phase):
                phase.loss(part)
            sizes.append([*held.values()])
    with torch.no_grad():
        for name, buffer in task.named_buffers():
            buffer.copy_(before[name])
    return sizes


def _state_share(engine: Engine) -> float:
    """The size of what the optimizer keeps of a matrix, over the matrix's; found by one step on a small one."""
    with engine.own_random():
        net = nn.Linear(32, 32, bias=False)
    net.weight.grad = torch.ones_like(net.weight)
    groups = parameter_groups(net, net.parameters(), 1e-3, 0.0)
    optimizer = made("optimizer", engine.settings.optimizer, groups)
    optimizer.step()
    kept = [value for value in optimizer.state[net.weight].values() if isinstance(value, Tensor)]
    return sum(tensor.numel() for tensor in kept if tensor.ndim) / net.weight.numel()


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
