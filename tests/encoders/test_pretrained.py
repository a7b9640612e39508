"""Pretrained encoders: equal to transformers' own, trained where asked and nowhere else, and saved whole."""

from __future__ import annotations

import json
import shutil
import signal
import sys

import numpy as np
import polars as pl
import pytest
import torch
from small_models import BERT, picture_model, text_model, tokenizer

import ranvier as rv
from ranvier.columns.text import Text
from ranvier.core.errors import FileError, MissingExtra, PlanError, RanvierWarning
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.spec import Spec
from ranvier.core.training import Callback
from ranvier.encoders import body
from ranvier.encoders.pretrained import PLACE, PretrainedEncoder
from ranvier.model import recall
from ranvier.nets.lora import LoRALinear
from ranvier.train.optimizers import parameter_groups

transformers = pytest.importorskip("transformers")

VECTOR, BOTH = frozenset({"vector"}), frozenset({"vector", "tokens"})
TEXTS = ["The film was good", "a very bad play and a bad dog", "sea", "not of the sea, not good ly"] * 8
ROWS = {"text": TEXTS, "label": ["yes", "no", "no", "yes"] * 8}


@pytest.fixture
def folder(tmp_path):
    return text_model(tmp_path / "model")


def column(folder, **options) -> Text:
    made = Text("text", tokenizer=str(folder), **options)
    made.learn([pl.Series("text", TEXTS)])
    return made


def batch(made: Text, texts=TEXTS) -> Value:
    ids, mask = made.encode(pl.Series("text", texts)).padded()
    return Value(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(mask))


def encoder(folder, made: Text, **options) -> PretrainedEncoder:
    net = PretrainedEncoder(made.spec, model=str(folder), **options)
    net.begin()
    return net


def planned(folder, rows=ROWS, **options) -> rv.Plan:
    plan = rv.plan(rows, target="label", types={"text": "text"}, split="none")
    plan.inputs["text"].encoder = {"name": "pretrained", "model": str(folder), **options}
    return plan


# ---- tokens and outputs


def test_ids_are_those_of_transformers(folder):
    own = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    wanted = own(TEXTS, padding=False, truncation=False)["input_ids"]
    got = column(folder).encode(pl.Series("text", TEXTS))
    assert [ids.tolist() for ids in np.split(got.data, got.offsets[1:-1])] == wanted


def test_long_texts_keep_the_sign_at_their_end_and_are_told(folder):
    got = column(folder, length=5).encode(pl.Series("text", ["the dog " * 9, "sea"]))
    assert got.data.tolist() == [2, *tokenizer().encode("the dog the", add_special_tokens=False).ids[:3], 3, 2, 15, 3]
    assert "1 of 2 texts" in got.notes[0]
    with pytest.raises(PlanError, match="signs alone are 2 tokens"):
        column(folder, length=2)


def test_spans_are_characters_of_the_text(folder):
    got = column(folder, spans=True).encode(pl.Series("text", ["good dogs"]))
    assert got.spans.tolist() == [[0, 0], [0, 4], [5, 8], [8, 9], [0, 0]]


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_outputs_are_those_of_transformers(folder, pool):
    made = column(folder)
    value = batch(made)
    own = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        tokens = own(input_ids=value.data, attention_mask=value.mask.long()).last_hidden_state
    f = encoder(folder, made, pool=pool, normalise=False).eval()(value, BOTH)
    kept = value.mask[..., None]
    torch.testing.assert_close(f.tokens.data * kept, tokens * kept)
    wanted = tokens[:, 0] if pool == "cls" else (tokens * kept).sum(1) / kept.sum(1)
    torch.testing.assert_close(f.vector, wanted)
    unit = encoder(folder, made, pool=pool, normalise=True).eval()(value, VECTOR).vector
    torch.testing.assert_close(unit, torch.nn.functional.normalize(wanted, dim=1))


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_pictures_are_scaled_as_the_folder_says(tmp_path, kind):
    folder = picture_model(tmp_path / "model", kind)
    pixels = torch.randint(256, (3, 8, 8, 3), dtype=torch.uint8)
    net = PretrainedEncoder(Spec("pixels", (8, 8), 3, "pixel"), model=str(folder), normalise=False)
    net.begin()
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]))
    x = (pixels.permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        wanted = transformers.AutoModel.from_pretrained(folder).eval()(pixel_values=x).last_hidden_state
    wanted = wanted.flatten(2).mT if kind == "resnet" else wanted
    f = net.eval()(Value(pixels), BOTH)
    torch.testing.assert_close(f.tokens.data, wanted)
    torch.testing.assert_close(f.vector, wanted.mean(1))
    gray = PretrainedEncoder(Spec("pixels", (5, 6), 1, "pixel"), model=str(folder))
    assert gray(Value(pixels[:, :5, :6, :1]), VECTOR).vector.shape == (3, 16)


# ---- what is trained


def weights(net) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in net.named_parameters()}


@pytest.mark.parametrize(("train", "moves"), [("none", ()), ("last", ("layer.2.",)), ("lora", (".up", ".down"))])
def test_only_what_is_asked_for_is_trained(folder, train, moves):
    plan = planned(folder, train=train, layers=1)
    plan.train.epochs, plan.train.refit = 3, False
    before = body.weights(folder, body.made(body.architecture(folder)))
    net = rv.fit(plan, progress=False).task.encoders[0].body
    after = weights(net)
    for name, tensor in before.items():
        asked = train == "last" and any(part in name for part in moves)
        assert torch.equal(after[name], tensor) != asked or name.endswith("key.bias"), name
    adapted = [m for m in net.modules() if isinstance(m, LoRALinear)]
    assert len(adapted) == (6 if train == "lora" else 0)
    assert all(m.up.abs().sum() > 0 for m in adapted)


def test_lora_begins_as_the_model_itself(folder):
    made = column(folder)
    one, two = (encoder(folder, made, train=train, normalise=False).eval() for train in ("none", "lora"))
    torch.testing.assert_close(one(batch(made), VECTOR).vector, two(batch(made), VECTOR).vector)


def test_rates_fall_layer_by_layer(folder):
    net = encoder(folder, column(folder), train="all", pace=0.5, decay=0.8)
    groups = parameter_groups(net, net.parameters(), 1e-3, 0.0)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    found = {name: rate[id(p)] / 1e-3 for name, p in net.body.named_parameters()}
    assert found["encoder.layer.2.output.dense.weight"] == pytest.approx(0.5)
    assert found["encoder.layer.0.output.dense.weight"] == pytest.approx(0.5 * 0.8**2)
    assert found["embeddings.word_embeddings.weight"] == pytest.approx(0.5 * 0.8**3)
    assert rate[id(net.missing.vector)] == pytest.approx(1e-3)


def test_frozen_layers_stay_in_eval_mode(folder):
    made = column(folder)
    net = encoder(folder, made, train="last", layers=1).train()
    assert [layer.training for layer in net.body.encoder.layer] == [False, False, True]
    assert not encoder(folder, made).train().body.training


# ---- remembered features


def test_remembering_gives_the_same_and_computes_each_row_once(folder, monkeypatch):
    plan = planned(folder)
    plan.train.epochs = 20
    seen = []
    whole = PretrainedEncoder._contextual
    monkeypatch.setattr(PretrainedEncoder, "_contextual", lambda net, v: (seen.append(len(v.data)), whole(net, v))[1])
    fast = rv.fit(plan, progress=False)
    assert sum(seen) == (1 + 1) * len(TEXTS)  # to train, and for the posterior of the last layer
    monkeypatch.setattr(recall, "recalled", None)
    monkeypatch.setattr("ranvier.model.training.recalled", lambda task, layout, table, device: table)
    slow = rv.fit(plan, progress=False)
    shares = 4 + 2  # of a batch, an eighth and half of that, by which the memory is estimated that training takes
    assert sum(seen) == (2 + 20 + 1) * len(TEXTS) + shares
    one, two = (m.predict(ROWS)["label_p_yes"].to_numpy() for m in (fast, slow))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_pictures_that_are_augmented_are_not_remembered(tmp_path, monkeypatch):
    folder = picture_model(tmp_path / "model", "resnet")
    rows = {"p": np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8), "label": ["a", "b"] * 4}
    plan = rv.plan(rows, target="label", types={"p": "image"}, split="none", epochs=3)
    plan.inputs["p"].encoder = {"name": "pretrained", "model": str(folder)}
    plan.inputs["p"].augment = {"name": "image", "flip": True}
    monkeypatch.setattr(recall, "_vectors", lambda *given: pytest.fail("remembered"))
    rv.fit(plan, progress=False)


class Stop(Callback):
    """Presses Ctrl-C at the second log."""

    seen = 0

    def on_log(self, step, record) -> bool:
        self.seen += 1
        if self.seen == 2:
            signal.raise_signal(signal.SIGINT)
        return False


@pytest.mark.parametrize("train", ["none", "lora"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(folder, tmp_path, train):
    plan = planned(folder, train=train)
    plan.train.epochs = 6
    whole = rv.fit(plan, progress=False)
    stopped = rv.fit(plan, progress=False, folder=tmp_path / "run", callbacks=[Stop()])
    assert stopped.interrupted
    resumed = rv.fit(plan, progress=False, folder=tmp_path / "run", resume=True)
    mine, wanted = resumed.task.state_dict(), whole.task.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in wanted.items())


def test_missing_texts_are_remembered_as_missing(folder):
    rows = {"text": [*TEXTS, None, None], "label": [*ROWS["label"], "no", "no"]}
    plan = planned(folder, rows)
    plan.train.epochs = 30
    model = rv.fit(plan, progress=False)
    assert model.predict({"text": [None, "good"]})["label"][0] == "no"


# ---- files


@pytest.mark.parametrize("train", ["none", "lora"])
def test_a_saved_model_needs_no_folder(folder, tmp_path, train, monkeypatch):
    plan = planned(folder, train=train)
    plan.train.epochs = 2
    model = rv.fit(plan, progress=False)
    path = model.save(tmp_path / "m.rv")
    shutil.rmtree(folder)
    monkeypatch.setattr(body, "folder_of", lambda model: pytest.fail("looked for a folder"))
    again = rv.load(path)
    assert model.predict(ROWS).equals(again.predict(ROWS))
    monkeypatch.undo()
    with pytest.raises(PlanError, match=r"there is no config\.json"):
        rv.fit(planned(folder), progress=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"ranvier\[pretrained\]"):
        rv.load(path)


def test_pictures_go_all_the_way(tmp_path):
    folder = picture_model(tmp_path / "model", "resnet")
    random = np.random.default_rng(0)
    rows = {"p": random.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8), "label": ["a", "b"] * 12}
    plan = rv.plan(rows, target="label", types={"p": "image"}, split="none", epochs=2)
    plan.inputs["p"].encoder = {"name": "pretrained", "model": str(folder)}
    model = rv.fit(plan, progress=False)
    assert model.plan.columns["p"].options == {"size": 8, "channels": "rgb"}
    path = model.save(tmp_path / "m.rv")
    shutil.rmtree(folder)
    assert rv.load(path).predict(rows).equals(model.predict(rows))


@pytest.mark.parametrize("train", ["none", "last", "lora", "all"])
def test_words_get_tags_from_their_first_pieces(folder, tmp_path, train):
    rows = pl.DataFrame(
        {
            "w": [["the", "dogs", "was", "good"], ["a", "bad", "films"]] * 12,
            "t": [["D", "N", "V", "A"], ["D", "A", "N"]] * 12,
        }
    )
    plan = rv.plan(rows, target="t", types={"w": "words", "t": "tags"}, split="none", epochs=30, batch=4)
    plan.inputs["w"].encoder = {"name": "pretrained", "model": str(folder), "train": train}
    model = rv.fit(plan, progress=False)
    options = model.plan.columns["w"].options
    assert (options["tokenizer"], options["length"]) == (str(folder), BERT["max_position_embeddings"])
    assert model.evaluate(rows)["accuracy"] > 0.9
    path = model.save(tmp_path / "m.rv")
    shutil.rmtree(folder)
    asked, cut = pl.DataFrame({"w": [["dogs"], [], None, ["the"] * 40]}), r"longer than 24 tokens"
    with pytest.warns(RanvierWarning, match=cut):
        tags = rv.load(path).predict(asked)["t"]
    assert tags.list.len().to_list() == [1, 0, 0, 22]  # two of the 24 are its signs
    with pytest.warns(RanvierWarning, match=cut):
        assert tags.to_list() == model.predict(asked)["t"].to_list()


# ---- the planner


def test_few_rows_take_the_model_of_the_environment(folder, monkeypatch):
    monkeypatch.setenv(PLACE, str(folder))
    plan = rv.plan(ROWS, target="label", types={"text": "text"})
    assert plan.inputs["text"].encoder["name"] == "pretrained"
    assert plan.inputs["text"].encoder["model"] == str(folder)
    assert PLACE in plan.why["inputs.text.encoder.name"].why
    assert plan.columns["text"].options["tokenizer"] == str(folder)
    plan.inputs["text"].encoder = "bag"
    plan.train.epochs = 1
    assert "tokenizer" not in rv.fit(plan, progress=False).plan.columns["text"].options
    monkeypatch.setattr("ranvier.encoders.pretrained.installed", lambda: False)
    assert rv.plan(ROWS, target="label", types={"text": "text"}).inputs["text"].encoder["name"] == "bag"


def test_many_rows_or_another_kind_of_column_do_not(folder, monkeypatch):
    monkeypatch.setenv(PLACE, str(folder))
    text, pixels = Spec("tokens", (None,), 60, "char"), Spec("pixels", (8, 8), 3, "pixel")
    assert PretrainedEncoder.suits(text, Facts(rows=500))[0] > 0.9
    assert PretrainedEncoder.suits(text, Facts(rows=5_000))[0] < 0.1
    assert PretrainedEncoder.suits(pixels, Facts(rows=500))[0] < 0.1
    monkeypatch.setenv(PLACE, "somebody/somewhere")  # never by download
    assert PretrainedEncoder.suits(text, Facts(rows=500))[0] < 0.1


def test_a_folder_of_the_environment_that_holds_no_model_is_told(tmp_path, monkeypatch):
    for named in (str(tmp_path), str(tmp_path / "nowhere"), "nowhere"):
        monkeypatch.setenv(PLACE, named)
        with pytest.raises(PlanError, match=rf"{PLACE}: model = '{named}': there is no config\.json"):
            rv.plan(ROWS, target="label", types={"text": "text"})


def test_words_are_tuned_where_each_is_read(folder, monkeypatch):
    monkeypatch.setenv(PLACE, str(folder))
    words = Spec("tokens", (None,), 60, "word", tokenizer="a")
    assert PretrainedEncoder.suits(words, Facts(rows=500))[0] > 0.9
    assert PretrainedEncoder.choose(words, Facts(rows=500, views=frozenset({"tokens"})))["train"][0] == "all"
    assert PretrainedEncoder.choose(words, Facts(rows=500, views=VECTOR))["train"][0] == "none"


def test_few_rows_are_seen_more_often(folder):
    words = Spec("tokens", (None,), 60, "word")
    for train, rows, epochs in (
        ("all", 100, 30),
        ("all", 500, 10),
        ("all", 1_000, 8),
        ("none", 100, 100),
        ("none", 1_600, 8),
    ):
        facts = Facts(rows=rows, views=frozenset({"tokens"}), options={"train": train})
        assert PretrainedEncoder.recipe(words, facts)["epochs"][0] == epochs


# ---- what is refused


def test_without_the_extra(folder, monkeypatch):
    made = column(folder)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"ranvier\[pretrained\]"):
        encoder(folder, made)


def test_no_model_is_named():
    plan = rv.plan(ROWS, target="label", types={"text": "text"})
    plan.inputs["text"].encoder = "pretrained"
    with pytest.raises(PlanError, match="needs a model"):
        rv.fit(plan, progress=False)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1]", "holds no configuration"),
        (b"{}", "names no model_type"),
        (b'{"model_type": "nothing", "vocab_size": 80, "hidden_size": 16}', "no network of type 'nothing'"),
        (b'{"model_type": "t5", "vocab_size": 80, "d_model": 16}', "reads and writes"),
        (b'{"model_type": "bert", "vocab_size": 80, "hidden_size": "x"}', "hidden_size|no network"),
        (b'{"model_type": "bert", "vocab_size": 5, "hidden_size": 16}', "knows 5"),
        (b'{"model_type": "vit", "image_size": 8, "hidden_size": 16}', "reads no column of kind 'tokens'"),
    ],
)
def test_hostile_configurations(folder, config, complaint):
    (folder / "config.json").write_bytes(config)
    with pytest.raises(PlanError, match=complaint):
        rv.fit(planned(folder), progress=False)


def test_code_and_number_types_in_a_configuration_count_for_nothing(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil.Evil"}, "dtype": "float16", "quantization_config": {"bits": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('code was run')")
    net = encoder(folder, column(folder))
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_weights_that_are_not_there_or_are_pickled(folder):
    made = column(folder)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(PlanError, match="cannot be taken"):
        encoder(folder, made)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(PlanError, match="pickled files never"):
        encoder(folder, made)


def test_weights_of_another_network(folder):
    made = column(folder)
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 5}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(PlanError, match="tensors are not there"):
        encoder(folder, made)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3, "intermediate_size": 20}))
    with pytest.raises(PlanError, match=r"another shape|cannot be taken"):
        encoder(folder, made)


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"model": {"type": "BPE"}}', b"\xff", b"[" * 100_000])
def test_hostile_tokenizers(folder, content):
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(FileError, match="tokenizer"):
        column(folder)


def test_another_models_tokens_are_refused(folder, tmp_path):
    made = column(folder)
    other = text_model(tmp_path / "other")
    changed = tokenizer()
    changed.add_tokens(["new"])
    changed.save(str(other / "tokenizer.json"))
    with pytest.raises(PlanError, match="not those of the model"):
        encoder(other, made)
    own = Text("text")
    own.learn([pl.Series("text", TEXTS)])
    with pytest.raises(PlanError, match="tokens of its own"):
        encoder(folder, own)


def test_options_that_no_model_has(folder):
    made = column(folder)
    with pytest.raises(PlanError, match="this model has 3"):
        encoder(folder, made, train="last", layers=4)
    with pytest.raises(PlanError, match="config"):
        PretrainedEncoder(made.spec, config="no JSON")
    vit = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    with pytest.raises(PlanError, match="no attention"):
        PretrainedEncoder(Spec("pixels", (8, 8), 3), config=json.dumps(vit), train="lora")


def test_a_crafted_file_of_a_huge_network_is_refused(folder, tmp_path):
    """Shapes are compared before anything is allocated."""
    plan = planned(folder)
    plan.train.epochs = 1
    model = rv.fit(plan, progress=False)
    huge = json.dumps({"model_type": "bert", **BERT, "vocab_size": 10**12})
    model.plan.inputs["text"].encoder["config"] = huge
    with pytest.raises(FileError, match="word_embeddings"):
        rv.load(model.save(tmp_path / "huge.rv"))
