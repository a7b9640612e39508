"""How columns meet the network: learnt columns, joined inputs, and the sources that come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.columns.number import Number
from ranvier.columns.sequence import as_lists
from ranvier.columns.span import located, whole
from ranvier.columns.text import Text
from ranvier.core import registry
from ranvier.core.column import Column
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError, PlanError, did_you_mean, not_there
from ranvier.core.plan import Plan
from ranvier.core.protocols import Augment, Value
from ranvier.core.rng import seed_of
from ranvier.core.room import one_budget
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec
from ranvier.core.threads import each
from ranvier.data.roles import check_weight
from ranvier.feed.augment.joined import Joined
from ranvier.feed.hide import Hide
from ranvier.feed.packed import Packed
from ranvier.feed.rows import Blend, Rows
from ranvier.feed.store import Store, join
from ranvier.feed.without import Without
from ranvier.model.placed import in_shares, of_shape, picture_sizes, sizes_in
from ranvier.ops.losses import inverse_frequency
from ranvier.planning.choose import make_columns
from ranvier.tasks.build import carried, check_places, groups, joined_spec, part, placed
from ranvier.train.sources import Order

FEW = 1_000  # rows


@dataclass
class Table:
    """Encoded rows. inputs: by network input. targets: by column. lengths: (N,) of the longest ragged column."""

    size: int
    inputs: dict[str, Encoded]
    targets: dict[str, Encoded]
    weight: np.ndarray | None = None
    lengths: np.ndarray | None = None


def learn_columns(
    plan: Plan,
    train: pl.DataFrame,
    notes: list[str],
    given: Mapping[str, Column] | None = None,
    commas: Iterable[str] = (),
) -> dict[str, Column]:
    """Every input and target column, having learnt from the training rows; what it had to say goes to notes.

    given: columns of another model whose state is taken over, so that nothing is learnt for those. commas: names of
    those whose numbers were written with decimal commas.
    """
    columns, given = make_columns(plan), given or {}
    leaders = _leaders(columns)
    led = {leader: name for name, leader in leaders.items() if name in given and leader not in given}

    def learn(name: str) -> None:
        column = columns[name]
        followers = [train[other] for other, leader in leaders.items() if leader == name]
        if name in given:
            column.load_state(given[name].state())
        elif name in leaders or name in led:
            return  # it gets another's pieces, once that has them
        elif isinstance(column, Text) and followers:
            column.learn([train[name]], also=followers)
        else:
            column.learn([train[name]])

    each(learn, columns)
    for leader, name in led.items():
        _follow(columns[leader], columns[name], train[leader], known=False)
    for name, leader in leaders.items():
        _follow(columns[name], columns[leader], train[name], known=name in given)
    for name in commas:
        if isinstance(column := columns.get(name), Number):
            column.know_comma()
    for name, column in columns.items():
        column.raw = str(train[name].dtype)
        notes += column.notes
    return columns


def _follow(text: Column, leader: Column, values: pl.Series, *, known: bool) -> None:
    """Gives a text the pieces of another; known: it has them from another model. Raises PlanError if they differ."""
    assert isinstance(text, Text)
    assert isinstance(leader, Text)
    if not known:
        text.follow(leader, [values])
    elif text.pieces() != leader.pieces():
        raise PlanError(
            f"columns.{text.name}.options.like = {leader.name!r}: {text.name!r} has the pieces of the model to start "
            f"from (init), which {leader.name!r} does not have; set like = '' and the head's copy = ''"
        )


def _leaders(columns: Mapping[str, Column]) -> dict[str, str]:
    """{text: the other text whose pieces it shares}. Raises PlanError for one that is none, or shares another's."""
    found = {name: column.like for name, column in columns.items() if isinstance(column, Text) and column.like}
    for name, leader in found.items():
        if not isinstance(columns.get(leader), Text) or leader in found:
            able = [n for n, c in columns.items() if isinstance(c, Text) and n not in found]
            raise PlanError(f"columns.{name}.options.like = {leader!r}: {did_you_mean(leader, able)}")
    return found


class Layout:
    """A resolved plan and its learnt columns: encodes frames, and makes sources of what is encoded.

    window: tokens in a window, where a text is learnt from nothing but itself (see `Packed`), else 0. hidden: of the
    columns that are restored, the share that is hidden (see `Hide`), in squares of `sides` pixels if they are pictures.
    pairs: the columns of which another view is the target.
    groups: the columns of each network input. joined: the inputs whose columns travel as one matrix. specs: by
    column; input_specs: by network input. Raises PlanError where answers are sought in a column that is no text.
    """

    def __init__(self, plan: Plan, columns: Mapping[str, Column]) -> None:
        self.plan, self.columns = plan, dict(columns)
        self.specs = {name: column.spec for name, column in columns.items() if column.spec is not None}
        for name, target in plan.targets.items():
            of = target.head.get("of", "")
            if self.specs[name].kind == "span" and (of not in plan.inputs or self.specs[of].unit != "char"):
                raise PlanError(f"targets.{name}.head.of = {of!r}: name an input that is a column of type 'text'")
            copied = target.head.get("copy", "")
            if copied and getattr(columns[name], "like", "") != copied:
                raise PlanError(f"targets.{name}.head.copy = {copied!r} needs columns.{name}.options.like = {copied!r}")
        self.window = 0 if plan.inputs else max(target.head.get("window", 0) for target in plan.targets.values())
        heads = {
            name: (registry.lookup("head", target.head["name"]), target.head) for name, target in plan.targets.items()
        }
        self.hidden = {name: named["share"] for name, (head, named) in heads.items() if head.itself == "hidden"}
        self.pairs = [name for name, (head, _) in heads.items() if head.itself == "view"]
        self.sides = {name: heads[name][1]["side"] for name in self.hidden if self.specs[name].kind == "pixels"}
        self.groups = groups(plan)
        first = {name: plan.inputs[members[0]].encoder["name"] for name, members in self.groups.items()}
        self.joined = {name for name, encoder in first.items() if registry.lookup("encoder", encoder).joins}
        self.input_specs = {name: joined_spec(plan, members, self.specs) for name, members in self.groups.items()}

    def encode(self, frame: pl.DataFrame, notes: list[str], *, targets: bool = True) -> Table:
        """The frame's rows as the network takes them. Raises DataError for a column that is not there."""
        wanted = list(self.plan.targets) if targets else []
        needed = dict.fromkeys([*self.plan.inputs, *wanted])
        if absent := [name for name in needed if name not in frame.columns]:
            raise DataError(not_there(absent, [name for name in frame.columns if name not in self.columns]))
        several = each if frame.height > FEW else map  # threads cost more than the work for a few rows
        with one_budget():
            arrays = list(several(lambda name: self.columns[name].encode(frame[name]), needed))
        encoded = dict(zip(needed, arrays, strict=True))
        for column in encoded.values():
            notes += column.notes
        for name in wanted:
            align(self.plan, self.specs[name], frame, name, encoded[name], notes)
            self._reach(frame, name, encoded, notes)
        inputs = {
            name: join([encoded[m] for m in members]) if name in self.joined else encoded[members[0]]
            for name, members in self.groups.items()
        }
        outputs = {name: encoded[name] for name in wanted}
        ragged = [
            np.diff(e.offsets)
            for e in (*inputs.values(), *(e for n, e in outputs.items() if self.specs[n].kind != "boxes"))
            if e.offsets is not None
        ]
        return Table(
            frame.height,
            inputs,
            outputs,
            weights(self.plan, frame, notes) if targets else None,
            np.max(ragged, axis=0) if ragged else None,
        )

    def _reach(self, frame: pl.DataFrame, target: str, encoded: Mapping[str, Encoded], notes: list[str]) -> None:
        """Takes answers beyond what is read of their passage for missing; notes tell of them. Raises PlanError."""
        if self.specs[target].kind != "span":
            return
        of, truth = self.plan.targets[target].head["of"], encoded[target]
        spans, offsets = encoded[of].spans, encoded[of].offsets
        if spans is None or offsets is None:
            raise PlanError(f"columns.{of}.options.spans = False: answers within it need True; leave it out")
        limit = self.plan.inputs[of].encoder.get("limit", 0)
        count = np.minimum(np.diff(offsets), limit) if limit else np.diff(offsets)
        edges = np.stack([offsets[:-1], offsets[:-1] + count], 1).ravel()  # the last token may be a sign of the model's
        read = np.where(count > 0, np.maximum.reduceat(np.append(spans[:, 1], 0), edges)[::2], 0)
        beyond = truth.observed & (truth.data[:, 1] > read)
        for row in np.flatnonzero(beyond).tolist():  # the last token's span may be that of the first of several signs
            beyond[row] = whole(str(frame[of][row] or ""), int(read[row])) < truth.data[row, 1]
        if beyond.any():
            truth.observed = truth.observed & ~beyond
            notes.append(
                f"{target}: {beyond.sum():,} of {len(beyond):,} answers "
                f"{agreed(int(beyond.sum()), 'lies|lie')} beyond the tokens that are read of {of!r}, "
                f"such as in row {row_number(int(beyond.argmax()))}; nothing is learnt of them (length = 0 of the "
                "column and limit = 0 of its encoder read all)"
            )

    def training_source(self, table: Table, device: torch.device) -> Rows | Packed:
        """Shuffled batches, balanced, augmented and mixed as the plan says; texts alone in windows."""
        plan = self.plan
        if self.window:
            return self.packed(table, device, int(plan.train.batch), shuffle=True)
        check_places(plan, self.specs)
        weight, chances = self.balanced(table)
        assert plan.train.batch != "auto"
        alike = self.alike(table)
        lengths = table.lengths if alike is None else None  # rows of like length need not be of one identity
        order = Order(table.size, plan.train.batch, plan.train.seed, lengths=lengths, chances=chances, alike=alike)
        places = {name: {t: self.specs[t] for t in targets} for name, targets in carried(plan, self.specs).items()}
        inputs, targets = self._stores(table, device)
        return Rows(
            table.size,
            inputs,
            targets,
            order,
            order.steps,
            weight=weight,
            augment=self.augments(),
            carried=places,
            pairs=self.pairs,
            hide=self.hide(seed_of(plan.train.seed, "hide")),
            without=Without(self.input_specs, plan.train.without) if plan.train.without else None,
            mix=self.mix(places),
            seed=seed_of(plan.train.seed, "augment"),
            device=device,
        )

    def mix(self, places: Mapping[str, Mapping[str, Spec]]) -> Blend | None:
        """What blends rows with one another, if the plan has any; places: by input, the targets that move with it."""
        chosen = self.plan.train.mix
        if chosen["name"] == "none":
            return None
        kind = registry.lookup("mix", chosen["name"])
        return part("mix", chosen, self.input_specs, *([places] if kind.joint else []))

    def alike(self, table: Table) -> np.ndarray | None:
        """(N,) which rows should be in one batch, for a head that learns from rows of one value beside one another."""
        for name, truth in table.targets.items():
            named = self.plan.targets[name].head
            if registry.lookup("head", named["name"]).gathers(named):
                return np.where(truth.observed, truth.data, -1)
        return None

    def hide(self, seed: int | None) -> Hide | None:
        """What hides parts of columns that are restored; without a seed as each row itself says (see `Hide`)."""
        limits = {name: self.plan.inputs[name].encoder.get("limit", 0) for name in self.hidden}
        return Hide(self.hidden, limits, seed, self.sides) if self.hidden else None

    def augments(self) -> dict[str, Augment]:
        """What varies each network input while training; of joined columns those with equal options together."""
        found: dict[str, Augment] = {}
        for name, members in self.groups.items():
            alike: dict[str, list[int]] = {}  # name and options -> places in the group
            for place, member in enumerate(members):
                chosen = self.plan.inputs[member].augment
                if chosen["name"] != "none":
                    alike.setdefault(repr(sorted(chosen.items())), []).append(place)
            made = [(places, self._augment([members[place] for place in places])) for places in alike.values()]
            if made:
                found[name] = Joined(made) if name in self.joined else made[0][1]
        return found

    def variants(self) -> dict[str, Callable[[Value], list[Value]]]:
        """What else each network input may be seen as when predicting, where its augmentation has `tta`."""
        if placed(self.plan, self.specs):
            return {}  # answers that have places would have to be moved back
        chosen = {name: self.plan.inputs[members[0]].augment for name, members in self.groups.items()}
        asked = [name for name, augment in chosen.items() if augment.get("tta") and name not in self.joined]
        return {name: self._augment(self.groups[name]).variants for name in asked}

    def _augment(self, names: list[str]) -> Augment:
        """What varies columns of equal options, given their values side by side."""
        spec = joined_spec(self.plan, names, self.specs)
        varies: Augment = part("augment", self.plan.inputs[names[0]].augment, spec, [self.columns[n] for n in names])
        return varies

    def balanced(self, table: Table) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(row weights, chances of being drawn) that `balance` asks for, on top of the rows' own weights.

        Rows of a class count in inverse proportion to its frequency, so that every class weighs the same; where
        several targets are categories the first decides. Rows whose class is missing or not known, which other
        targets may still learn from, count as the mean row. Raises DataError if no target is a category.
        """
        asked = self.plan.data.balance
        if asked == "none":
            return table.weight, None
        name = next((name for name in table.targets if self.specs[name].kind == "index"), None)
        if name is None:
            raise DataError(f"data.balance = {asked!r} needs a target that is a category")
        codes, classes = table.targets[name], self.specs[name].size
        known = codes.observed & (codes.data < classes)
        counts = np.bincount(codes.data[known], minlength=classes)
        share = inverse_frequency(torch.from_numpy(counts)).numpy()
        own = np.where(known, share[np.where(known, codes.data, 0)], 1.0)
        if table.weight is not None:
            own = own * table.weight
        own = own * (len(own) / own.sum())
        return (own, None) if asked == "loss" else (table.weight, own)

    def held_source(self, table: Table, device: torch.device, batch: int) -> Rows | Packed:
        """Every row once; texts alone in windows, of as many tokens in all as while training."""
        if self.window:
            return self.packed(table, device, int(self.plan.train.batch), shuffle=False)
        return self.plain_source(table, device, batch)[0]

    def packed(self, table: Table, device: torch.device, batch: int, *, shuffle: bool) -> Packed:
        """The text end to end, in windows. Raises DataError for weighted rows, which windows do not keep apart."""
        if table.weight is not None:
            raise DataError("texts without inputs are learnt end to end, and cannot have weights; drop the weight role")
        ((name, encoded),) = table.targets.items()
        seed = seed_of(self.plan.train.seed, "windows")
        return Packed(name, encoded, self.window, batch, seed, shuffle=shuffle, device=device)

    def plain_source(
        self, table: Table, device: torch.device, batch: int, *, even: bool = True
    ) -> tuple[Rows, np.ndarray]:
        """Every row once, rows of like length together; and the row numbers in the order in which they come."""
        order = Order(table.size, batch, 0, shuffle=False, lengths=table.lengths, even=even)
        come = np.concatenate([order(k) for k in range(order.steps)])
        inputs, targets = self._stores(table, device)
        how: dict[str, Any] = {"weight": table.weight, "device": device}
        if table.targets:
            how |= {"hide": self.hide(None), "pairs": self.pairs}
            how["augment"] = {name: augment for name, augment in self.augments().items() if name in self.pairs}
        return Rows(table.size, inputs, targets, order, order.steps, **how), come

    def _stores(self, table: Table, device: torch.device) -> tuple[dict[str, Store], dict[str, Store]]:
        inputs = {name: Store(e, self.input_specs[name], device=device) for name, e in table.inputs.items()}
        made = {*self.hidden, *self.pairs}
        apart = {n: e for n, e in table.targets.items() if n not in made}  # the others come of the inputs
        targets = {n: Store(e, self.specs[n], target=True, device=device) for n, e in apart.items()}
        return inputs, targets


def align(plan: Plan, spec: Spec, frame: pl.DataFrame, target: str, truth: Encoded, notes: list[str]) -> None:
    """Takes rows whose truth does not fit the column that it refers to for missing; notes tell of them.

    Tags are as many as their words; answers stand in their passage, where this finds them; masks have their picture's
    shape, and boxes become shares of it.
    """
    if spec.kind == "boxes":
        in_shares(truth, None if spec.unit == "share" else picture_sizes(plan, frame, target), target, notes)
        return
    if spec.kind == "mask":
        of_shape(truth, sizes_in(plan, frame, target), picture_sizes(plan, frame, target), target, notes)
        return
    if spec.kind == "span":
        _find(frame, target, plan.targets[target].head.get("of", ""), truth, notes)
        return
    words = plan.targets[target].head.get("of", "")
    if spec.kind != "tags" or words not in frame.columns:
        return
    given, wanted = np.diff(truth.bounds), as_lists(frame[words]).list.len().fill_null(0).to_numpy()
    wrong = truth.observed & (given != wanted)
    if wrong.any():
        row = int(wrong.argmax())
        truth.observed = truth.observed & ~wrong
        notes.append(
            f"{target}: {wrong.sum():,} of {len(wrong):,} rows {agreed(int(wrong.sum()), 'has|have')} "
            f"another number of tags than {words!r} has words, "
            f"such as row {row_number(row)} with {given[row]} for {wanted[row]}; they do not count"
        )


def _find(frame: pl.DataFrame, target: str, of: str, truth: Encoded, notes: list[str]) -> None:
    if of not in frame.columns:
        raise DataError(f"column {of!r}, in which the answers {target!r} stand, is not in the data")
    truth.data, wrong = located(frame[target], frame[of])
    wrong &= truth.observed
    if wrong.any():
        row = int(wrong.argmax())
        truth.observed = truth.observed & ~wrong
        notes.append(
            f"{target}: {wrong.sum():,} of {len(wrong):,} answers {agreed(int(wrong.sum()), 'does|do')} "
            f"not stand in {of!r} as said, such as row "
            f"{row_number(row)} with {frame[target][row]!r:.80}; they do not count"
        )


def weights(plan: Plan, frame: pl.DataFrame, notes: list[str]) -> np.ndarray | None:
    """(N,) the rows' weights, or None; notes tell of a weight column that is not there. Raises DataError."""
    name = next((name for name, column in plan.columns.items() if column.role == "weight"), None)
    if name is None:
        return None
    if name not in frame.columns:
        notes.append(f"the weight column {name!r} is not in these {frame.height:,} rows, so each of them counts as 1")
        return None
    check_weight(frame[name])
    return frame[name].cast(pl.Float64).to_numpy()
