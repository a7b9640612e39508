"""Writing and searching over a chain of tokens whose probabilities are known."""

from __future__ import annotations

import itertools

import pytest
import torch

from ranvier.nets import generate
from ranvier.nets.generate import Manner, in_place, search, write
from ranvier.nets.writer import Writer

END, V = 0, 4


class Chain:
    """A writer whose next token depends on the last one only; counts what it was given."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.log_p = (torch.randn(V, V) * 1.5).log_softmax(1)
        self.given: list[tuple[int, int]] = []
        self.taken = 0

    def scores(self, tokens, place, mask):
        assert place is self
        self.given.append(tuple(tokens.shape))
        return self.log_p[tokens[:, -1]]

    def take(self, rows, memory=None):
        self.taken += 1


def by_worth(chain, first, longest, power):
    """{text: its log-probability, its end included, by length} of all of at most so many tokens, the best first."""
    found = []
    for n in range(longest):
        for text in itertools.product(range(1, V), repeat=n):
            path = [first, *text, END]
            total = sum(float(chain.log_p[a, b]) for a, b in itertools.pairwise(path))
            found.append((total / (n + 1) ** power, text))
    for text in itertools.product(range(1, V), repeat=longest):  # cut where no more may be written
        total = sum(float(chain.log_p[a, b]) for a, b in itertools.pairwise([first, *text]))
        found.append((total / longest**power, text))
    return {text: worth for worth, text in sorted(found, reverse=True)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_search_finds_the_best_text(seed, power):
    chain = Chain(seed)
    first = torch.tensor([[1], [2], [3]])
    tokens, mask = search(chain.scores, chain, first, None, Manner(beam=80, longest=4, length=power), END)
    for row in range(3):
        assert tuple(tokens[row][mask[row]].tolist()) == next(iter(by_worth(chain, int(first[row, 0]), 4, power)))
    several = Manner(beam=80, longest=4, length=power, best=5)
    tokens, mask = search(chain.scores, chain, first, None, several, END)
    for row in range(3):
        found = [tuple(tokens[row, :, one][mask[row, :, one]].tolist()) for one in range(5)]
        worths = by_worth(chain, int(first[row, 0]), 4, power)
        assert [worths[text] for text in found] == pytest.approx([*worths.values()][:5])  # some are as good as others
        assert len(set(found)) == 5


def test_ways_stay_where_they_stood():
    torch.manual_seed(0)
    parents = torch.randint(0, 4, (200, 4))
    order = in_place(parents)
    assert (order.sort(1).values == torch.arange(4)).all()
    settled = parents.gather(1, order)
    lived = (parents[:, :, None] == torch.arange(4)).any(1)  # ways that somebody goes on from
    assert (settled == torch.arange(4))[lived].all()


def test_a_search_ends_when_twice_the_length_would_not_do(monkeypatch):
    chain = Chain()
    chain.log_p = torch.tensor([[0.9, 0.04, 0.03, 0.03]] * 3 + [[0.0, 0.0, 0.0, 1.0]]).log()  # 3 goes on for nothing
    first, manner = torch.tensor([[1]]), Manner(beam=3, longest=40)
    tokens, mask = search(chain.scores, chain, first, None, manner, END)
    assert not mask.any()  # ends at once: log 0.9 = -0.11 against log 0.04 / 2 = -1.6
    assert len(chain.given) == 1
    monkeypatch.setattr(generate, "AHEAD", 40.0)  # log 0.03 / 40 = -0.09
    tokens, mask = search(chain.scores, chain, first, None, manner, END)
    assert tokens[0].tolist() == [3] * 40
    assert len(chain.given) == 1 + 40


def test_a_search_of_one_way_is_greedy():
    chain = Chain(1)
    first = torch.tensor([[1], [2]])
    greedy = torch.stack(list(write(chain.scores, chain, first, None, Manner(longest=6), END)), 1)
    assert (greedy == chain.log_p.argmax(1)[torch.cat([first, greedy[:, :-1]], 1)])[:, 0].all()
    for row in range(2):
        own = greedy[row].tolist()
        ended = own.index(END) if END in own else len(own)
        assert all(token == END for token in own[ended:])


def test_what_was_read_is_not_read_again():
    chain = Chain()
    list(write(chain.scores, chain, torch.ones(2, 5, dtype=torch.long), None, Manner(longest=3, never=(END,)), END))
    assert chain.given == [(2, 5), (2, 1), (2, 1)]


def test_some_tokens_are_never_written_and_no_run_twice():
    chain = Chain()
    manner = Manner(longest=12, never=(END,), no_repeat=2)
    text = torch.stack(list(write(chain.scores, chain, torch.tensor([[1]]), None, manner, END)), 1)[0].tolist()
    said = [1, *text[: text.index(END)]]  # of three tokens there are nine runs, so that it ends before the twelfth
    runs = list(itertools.pairwise(said))
    assert len(runs) == len(set(runs)) > 2
    assert {(said[-1], token) for token in range(1, V)} <= set(runs)  # it ended only for want of a run not yet said
    drawn = Manner(longest=12, never=(END,), no_repeat=2, temperature=1.0)
    assert END in torch.stack(list(write(chain.scores, chain, torch.tensor([[1]]), None, drawn, END)), 1)[0].tolist()


def test_draws_are_a_function_of_the_generator():
    chain, manner = Chain(), Manner(temperature=1.0, longest=20, never=(END,))
    first = torch.ones(4, 1, dtype=torch.long)

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack(list(write(chain.scores, chain, first, None, manner, END, generator)), 1)

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    cold = Manner(temperature=1.0, top_k=1, longest=5, never=(END,))
    generator = torch.Generator().manual_seed(0)
    likeliest = torch.stack(list(write(chain.scores, chain, first, None, Manner(longest=5, never=(END,)), END)), 1)
    assert torch.equal(torch.stack(list(write(chain.scores, chain, first, None, cold, END, generator)), 1), likeliest)


@pytest.mark.parametrize("kind", ["transformer", "gru"])
def test_rows_are_searched_as_if_each_were_alone(kind):
    """A row whose text is found leaves the others, which go on with their own memory."""
    torch.manual_seed(1)
    writer = Writer(9, 8, kind=kind, depth=1, heads=2, memory=4).double().eval()
    for p in writer.parameters():
        p.data *= 6
    memory, there = torch.randn(12, 3, 4, dtype=torch.float64), torch.ones(12, 3, dtype=torch.bool)
    manner, sizes = Manner(beam=3, longest=25, length=0.7), []

    def scores(tokens, place, mask):
        sizes.append(len(tokens))
        return writer.next(tokens, place, mask)

    def found(rows):
        place, first = writer.start(memory[rows], there[rows], rows=len(rows)), torch.ones(len(rows), 1).long()
        tokens, mask = search(scores, place, first, None, manner, END)
        return [tokens[row][mask[row]].tolist() for row in range(len(rows))]

    with torch.no_grad():
        together = found(list(range(12)))
        assert set(sizes) - {12, 36}  # fewer and fewer rows, of three ways each
        assert together == [found([row])[0] for row in range(12)]
    assert len({len(text) for text in together}) > 1
