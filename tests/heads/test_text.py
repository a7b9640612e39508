"""The text head: losses against the definition, what is asked of windows, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from ranvier.columns.text import END, PAD, START
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Spec
from ranvier.heads.text import TextHead

SPEC, B, S, D = Spec("tokens", (None,), 20, "char"), 3, 5, 6
SMALL = {"layer_width": 8, "depth": 1, "heads": 2, "dropout": 0.0}
DECODERS = ("transformer", "rnn", "lstm", "gru")


def features(width=D):
    if not width:
        return Features(B)
    mask = torch.arange(S) < torch.tensor([5, 2, 0])[:, None]
    return Features(B, None, Value(torch.randn(B, S, width), mask))


def texts():
    data = torch.tensor([[START, 5, 6, 7, END], [START, 9, END, PAD, PAD], [START, END, PAD, PAD, PAD]])
    return Value(data, torch.arange(5) < torch.tensor([5, 3, 2])[:, None])


@pytest.mark.parametrize("width", [D, 0])
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_is_the_sum_of_the_surprise_at_each_token(decoder, width):
    head = TextHead(SPEC, width, decoder=decoder, window=0, smoothing=0.0, **SMALL).eval()
    f, y = features(width), texts()
    loss, count = head.loss("main", f, y), head.count(y)
    assert count.tolist() == [4, 2, 1]
    for row, length in enumerate([5, 3, 2]):
        own = Value(f.tokens.data[row : row + 1], f.tokens.mask[row : row + 1]) if width else None
        memory = (own.data, own.mask) if own else ()
        log_p = head.net(y.data[row : row + 1, : length - 1], *memory).log_softmax(2)[0]
        by_hand = -sum(log_p[t, y.data[row, t + 1]] for t in range(length - 1))
        torch.testing.assert_close(loss[row], by_hand)


def test_smoothing_counts_while_learning_only():
    head = TextHead(SPEC, D, smoothing=0.3, **SMALL)
    f, y = features(), texts()
    learning = head.loss("main", f, y)
    plain = head.eval().loss("main", f, y)
    assert not torch.allclose(learning, plain)
    torch.testing.assert_close(plain, head.judged(f, y)["nats"])


def test_a_start_within_a_window_is_not_to_be_foreseen():
    head = TextHead(SPEC, 0, window=4, **SMALL).eval()
    y = Value(torch.tensor([[5, END, START, 6, END]]), torch.ones(1, 5, dtype=torch.bool))
    assert head.count(y).tolist() == [3]
    nats, asked = head.surprise(y)
    assert asked.tolist() == [[True, False, True, True]]
    assert nats[0, 1] == 0
    torch.testing.assert_close(nats.sum(1), head.loss("main", Features(1), y))


@pytest.mark.parametrize("width", [D, 0])
@pytest.mark.parametrize("beam", [1, 3])
def test_what_is_written_has_no_reserved_token_and_is_the_likeliest(beam, width):
    head = TextHead(SPEC, width, window=0, beam=beam, temperature=0.0, top_p=1.0, longest=7, **SMALL).eval()
    said = head.predict(features(width))
    assert said["tokens"].shape == said["mask"].shape
    assert said["tokens"].shape[1] <= 7
    assert (said["tokens"][said["mask"]] > END).all()


def test_ways_are_given_for_one_time_and_checked():
    head = TextHead(SPEC, D, **SMALL).eval()
    assert head.predict(features(), longest=2, beam=1)["tokens"].shape[1] <= 2
    draw = {"temperature": 2.0, "beam": 1, "longest": 9}
    one, two = (head.predict(features(), generator=torch.Generator().manual_seed(4), **draw) for _ in range(2))
    assert one["tokens"].shape[0] == two["tokens"].shape[0] == B
    for wrong in ({"beam": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"repetition": 0.0}, {"longest": 0}):
        with pytest.raises(PlanError):
            head.predict(features(), **wrong)
        with pytest.raises(PlanError):
            TextHead(SPEC, D, **SMALL, **wrong)


def test_writing_goes_on_beyond_a_window():
    head = TextHead(SPEC, 0, window=6, **SMALL).eval()
    with torch.no_grad():
        head.net.embedding.weight[END] = 0
    how = {"longest": 25, "temperature": 1.0, "repetition": 1.0}
    first = torch.tensor([[START, 5, 6, 7], [PAD, PAD, START, 9]])
    mask = torch.tensor([[True] * 4, [False, False, True, True]])
    written = list(head.stream(Features(2), first, mask, how, torch.Generator().manual_seed(0)))
    ended = torch.stack(written, 1) == END
    assert len(written) == 25 or bool(ended[:, -1].all())
    assert (ended.cummax(1).values == ended).all()  # a text that has ended stays so


def test_columns_that_it_does_not_write():
    with pytest.raises(PlanError, match="texts"):
        TextHead(Spec("index", (), 3), D)
    with pytest.raises(PlanError, match="window"):
        TextHead(SPEC, D, window=8)


def test_few_rows_are_learnt_in_more_and_smaller_steps():
    spec = Spec("tokens", (None,), 300, "char")
    few, many = (TextHead.recipe(spec, Facts(rows=rows)) for rows in (1_000, 40_000))
    assert (few["batch"][0], few["epochs"][0]) == (32, 20)
    assert (many["batch"][0], many["epochs"][0]) == (64, 10)


def test_a_language_model_looks_n_grams_up_in_place_of_a_block():
    def chosen(**facts):
        choices = TextHead.choose(SPEC, Facts(rows=100, **facts))
        return choices["grams"][0], choices["depth"][0]

    assert chosen(inputs=0) == (3, 2)
    assert TextHead.choose(Spec("tokens", (None,), 1_000, "char"), Facts(rows=100, inputs=0))["grams"][0] == 2
    assert chosen(inputs=0, options={"grams": 0}) == chosen(inputs=1) == (0, 3)
    assert chosen(inputs=0, options={"decoder": "gru"}) == (0, 3)
    assert chosen(inputs=1, options={"grams": 2}) == (2, 2)
    assert len(TextHead(SPEC, 0, layer_width=8, heads=2).net.grams.tables) == 2
    assert TextHead(SPEC, 0, layer_width=8, heads=2, grams=0).net.grams is None
    with pytest.raises(PlanError, match="grams"):
        TextHead(SPEC, 0, layer_width=8, heads=2, grams=1)


def grams_head():
    torch.manual_seed(0)
    head = TextHead(SPEC, 0, window=0, grams=3, **SMALL).double().eval()
    for p in head.parameters():
        torch.nn.init.normal_(p)
    return head


def test_n_grams_of_a_row_do_not_depend_on_what_stands_beside_it():
    head = grams_head()
    first = torch.tensor([[START, 5, 6, 7], [PAD, PAD, START, 9]])
    mask = torch.tensor([[True] * 4, [False, False, True, True]])
    how = {"longest": 6, "temperature": 0.0}
    for beam in (2, 3):
        both = head.searched(Features(2), first, mask, how | {"beam": beam})["tokens"]
        alone = head.searched(Features(1), first[1:, 2:], None, how | {"beam": beam})["tokens"]
        assert torch.equal(both[1, : alone.shape[1]], alone[0])
    drawn = torch.stack(list(head.stream(Features(2), first, mask, how, None)), 1)
    alone = torch.stack(list(head.stream(Features(1), first[1:, 2:], None, how, None)), 1)
    assert torch.equal(drawn[1, : alone.shape[1]], alone[0])


def test_each_way_of_a_search_keeps_its_own_last_tokens():
    """So wide a search follows every text of three tokens, and finds the best of them."""
    head, first = grams_head(), torch.tensor([[START, 5]])
    said = head.searched(Features(1), first, None, {"beam": 300, "longest": 3})
    real = torch.arange(END + 2, SPEC.size)
    every = torch.cartesian_prod(real, real, torch.cat([torch.tensor([END]), real]))
    with torch.no_grad():
        log_p = head.net(torch.cat([first.expand(len(every), 2), every[:, :2]], 1))
    log_p = log_p.index_fill(2, torch.tensor([PAD, START, END + 1]), -torch.inf).log_softmax(2)[:, 1:]
    best = every[log_p.gather(2, every[..., None]).sum((1, 2)).argmax()]
    assert said["tokens"][0].tolist() == best[best != END].tolist()


# ---- copying

IDS = torch.tensor([[4, 5, 6, 9, 7], [11, 9, 0, 0, 0], [0] * 5])


def copied_from(ids=IDS):
    f = features()
    f.tokens.ids = ids
    f.parts = {"source": f}
    return f


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_copied_is_learnt_as_it_is_written(decoder):
    head = TextHead(SPEC, D, decoder=decoder, copy="source", smoothing=0.0, **SMALL).eval()
    torch.nn.init.normal_(head.pointer.gate.weight)
    f, y = copied_from(), texts()
    place, log_p = head._start(f), []
    for t in range(4):
        log_p.append(head._next(y.data[:, t : t + 1], place, None).log_softmax(1))
    own = torch.stack(log_p, 1).gather(2, y.data[:, 1:, None])[..., 0]
    torch.testing.assert_close(head.loss("main", f, y), -(own * y.mask[:, 1:]).sum(1))


def test_copying_makes_what_is_read_likelier():
    head = TextHead(SPEC, D, copy="source", **SMALL).eval()
    torch.nn.init.constant_(head.pointer.gate.bias, 9.0)  # copies always
    f, y = copied_from(), texts()
    elsewhere = copied_from(torch.full_like(IDS, 15))
    elsewhere.tokens.data = f.tokens.data
    assert (head.judged(f, y)["nats"] < head.judged(elsewhere, y)["nats"]).tolist() == [True, True, False]
    said = head.predict(f, beam=1, longest=20)["tokens"]
    assert set(said[0].tolist()) <= {4, 5, 6, 9, 7, END}


def test_several_inputs_are_read_and_one_is_copied_from():
    head = TextHead(SPEC, D, copy="source", **SMALL).eval()
    f = copied_from()
    one, other = Features(B, None, f.tokens), Features(B, torch.randn(B, D))
    both = Value(torch.randn(B, S + 1, D), torch.ones(B, S + 1, dtype=torch.bool))
    keys, _, read = head._source(Features(B, None, both, parts={"picture": other, "source": one}), head.pointer)
    assert keys.shape[1] == S + 1
    assert read[0].tolist() == [-1, 4, 5, 6, 9, 7]


def test_copying_needs_an_input_that_tells_its_tokens():
    head = TextHead(SPEC, D, copy="source", **SMALL).eval()
    with pytest.raises(PlanError, match="copy = 'source'"):
        head.loss("main", copied_from(None), texts())


def test_texts_may_be_as_long_as_they_are_and_windows_hold_them():
    spec = Spec("tokens", (None,), 300, "char")
    short = TextHead.choose(spec, Facts(rows=100, inputs=0, length=100, longest=120))
    assert (short["window"][0], short["longest"][0]) == (256, 256)
    long = TextHead.choose(spec, Facts(rows=100, inputs=0, length=450, longest=800))
    assert (long["window"][0], long["longest"][0]) == (512, 1008)
    assert TextHead.recipe(spec, Facts(rows=100, inputs=0, length=450))["batch"][0] == 16  # as many tokens a step
    assert TextHead.choose(spec, Facts(rows=100, inputs=1, length=450, longest=40))["longest"][0] == 58


def test_steps_are_of_as_many_tokens_whatever_the_window():
    spec = Spec("tokens", (None,), 300, "char")
    batch = {w: TextHead.recipe(spec, Facts(rows=9, inputs=0, options={"window": w}))["batch"][0] for w in (128, 2048)}
    assert batch == {128: 64, 2048: 4}


def test_muon_is_for_transformers_on_tokens():
    spec = Spec("tokens", (None,), 300, "char")
    chosen = [
        TextHead.recipe(spec, Facts(rows=9, tells=tells, options={"decoder": decoder}))["optimizer"][0]
        for tells, decoder in ((True, "transformer"), (False, "transformer"), (True, "lstm"))
    ]
    assert chosen[0] == "muon"
    assert chosen[1] == chosen[2] != "muon"
