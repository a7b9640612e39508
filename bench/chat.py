"""chat: replies to everyday prompts in two languages: whether they differ, repeat themselves, and keep the language."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"seed": 0}
FIT = {"time": 600}
TINY = {"time": 0, "epochs": 0.2, "size": "s"}
PROMPTS = {
    "English": (
        "Hello, how are you today?",
        "What do you like to do for fun?",
        "Do you have many friends?",
        "Could you tell me a funny joke?",
        "Which food do you like best?",
        "Are you a real person?",
        "What colour is the sky?",
        "Do you enjoy reading books?",
        "What makes a computer slow?",
        "What is the largest ocean on Earth?",
    ),
    "Chinese": (
        "你今天过得怎么样?",
        "你喜欢做什么?",
        "你有很多朋友吗?",
        "给我讲一个好笑的笑话",
        "你最喜欢吃什么?",
        "你是真人吗?",
        "天空是什么颜色的?",
        "你喜欢看书吗?",
        "电脑是怎么工作的?",
        "你会说几种语言?",
    ),
}
HAN = re.compile(r"[\u3400-\u9fff]")
DISTINCT, GRAM, TIMES = 0.6, 4, 3


def run(job: Job) -> str:
    """The section."""
    o = job.settings(OPTIONS, {}, "ours")
    words = job.fit("ours", **(FIT | (TINY if job.quick else {})))
    prompts = [prompt for each in PROMPTS.values() for prompt in each]
    ours = child.ours(
        o["seed"], "--data", job.data, "--prompts", json.dumps(prompts, ensure_ascii=False), *words, script="ours_chat"
    )
    seen = ours.last
    asked = [(language, prompt) for language, each in PROMPTS.items() for prompt in each]
    rows = [(language, prompt, reply) for (language, prompt), reply in zip(asked, seen["replies"], strict=True)]
    return (
        f"ranvier: `{' '.join(words)}`, seed {o['seed']}: {seen['parameters']:,} parameters, {seen['epochs']:.1f} "
        f"epochs, fitted in {seen['fitted']:.0f} s (load before {ours.load:.2f}, peak {seen['rss']:.2f} GB); "
        f"{len(rows)} replies by `Chat` in its own manner in {seen['chat']:.1f} s. "
        f"Test rows: {_figures(seen['test'])}.\n\n"
        + table([{"prompt": prompt, "reply": " ".join(reply.split())} for _, prompt, reply in rows])
        + "\nTokens are words in English, characters in Chinese. A reply keeps the language if it has letters, and "
        "Chinese characters where the prompt has them and none where it has not.\n\n" + _verdicts(rows)
    )


def tokens(language: str, text: str) -> list[str]:
    """Words in English, characters in Chinese; signs count as either."""
    return re.findall(r"\w+|[^\w\s]", text.lower()) if language == "English" else [c for c in text if not c.isspace()]


def distinct(texts: Sequence[Sequence[str]], n: int = 2) -> float:
    """Distinct runs of n tokens over all of them, of all texts (Li et al., NAACL 2016); 0 without any."""
    found = Counter(tuple(text[k : k + n]) for text in texts for k in range(len(text) - n + 1))
    return len(found) / found.total() if found else 0.0


def most(text: Sequence[str], n: int = GRAM) -> int:
    """How often the run of n tokens is said that is said most often; 0 for a text shorter than that."""
    return max(Counter(tuple(text[k : k + n]) for k in range(len(text) - n + 1)).values(), default=0)


def keeps(language: str, reply: str) -> bool:
    """Whether the reply is written in the language's script."""
    han = bool(HAN.search(reply))
    return han if language == "Chinese" else not han and any(sign.isalnum() for sign in reply)


def _verdicts(rows: Sequence[tuple[str, str, str]]) -> str:
    said = [tokens(language, reply) for language, _, reply in rows]
    share, repeated = distinct(said), max(map(most, said))
    kept = sum(keeps(language, reply) for language, _, reply in rows)
    return "\n".join(
        (
            verdict(share >= DISTINCT, f"distinct-2 >= {DISTINCT}", f"{share:.2f}"),
            verdict(repeated < TIMES, f"no {GRAM}-gram {TIMES} times in a reply", f"at most {repeated} times"),
            verdict(kept == len(rows), "every reply in the prompt's language", f"{kept} of {len(rows)}"),
        )
    )


def _figures(test: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in test.items())
