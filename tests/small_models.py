"""Small random models as transformers saves them, for the tests of pretrained encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("good", "bad", "film", "the", "a", "was", "##s", "##ly", "very", "play", "dog", "sea", "of", "and", "not")
SIGNS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
BERT: dict[str, Any] = {
    "vocab_size": 80,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def tokenizer() -> Tokenizer:
    """Word pieces of a few words and all letters, signs around each text, and padding as some folders have it."""
    letters = [chr(c) for c in range(97, 123)]
    pieces = [*SIGNS, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    made = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_padding(length=20)
    made.enable_truncation(20)
    return made


def text_model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A folder with a BERT and its tokenizer."""
    import transformers

    torch.manual_seed(seed)
    net = transformers.BertModel(transformers.BertConfig(**BERT | changes))
    with torch.no_grad():  # far from what a new network has, so that weights which were not taken are seen
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    net.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def picture_model(folder: Path, kind: str = "vit") -> Path:
    """A folder with a ViT, or with a ResNet, for pictures of 8 x 8 pixels."""
    import transformers

    torch.manual_seed(0)
    if kind == "vit":
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        net = transformers.ViTModel(transformers.ViTConfig(image_size=8, patch_size=4, **sizes))
    else:
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        net = transformers.ResNetModel(transformers.ResNetConfig(**sizes))
    net.save_pretrained(folder)
    form = {"size": {"height": 8, "width": 8}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(form))
    return folder
