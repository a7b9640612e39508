"""Which precision a processor is best at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ranvier.core import device

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amx", "avx", "intel", "fast"),
    [
        (True, True, True, True),
        (False, True, True, False),
        (False, True, False, True),
        (False, False, False, False),
    ],
)
def test_bf16_is_taken_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx: bool, intel: bool, fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(device, "_by_intel", lambda: intel)
    assert device.fast_bf16.__wrapped__(CPU) is fast


def test_who_made_the_processor_is_read_where_the_system_tells(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor : 0\nvendor_id : GenuineIntel\n")
    assert device._by_intel(facts)
    facts.write_text("processor : 0\nvendor_id : AuthenticAMD\n")
    assert not device._by_intel(facts)


def test_where_the_system_tells_nothing_python_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.platform, "processor", lambda: "Intel64 Family 6 Model 207, GenuineIntel")
    assert device._by_intel(tmp_path / "none")
