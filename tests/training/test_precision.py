"""bfloat16 is chosen where model and processor gain from it, recorded, shown, and can be overridden."""

import shutil

import pytest
import torch
from killed import files
from support import opened, train

import plausible
from plausible.models.registry import MODELS, model_class
from plausible.training import precision
from plausible.training.precision import multiplies_bfloat16, usual_precision

TINY = {"channels": (4, 8), "batch": 300, "show": False}


@pytest.fixture
def processor(monkeypatch):
    """Says whether the processor multiplies bfloat16."""

    def has(answer):
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: answer)

    has(True)
    return has


def weights(run):
    found = files(run.newest_valid().path)
    return {name: content for name, content in found.items() if name.endswith(".safetensors")}


def test_pictures_of_flow_matching_gain_and_nothing_else(processor):
    gaining = {
        (name, shape)
        for name in MODELS
        for shape, domain in (((1, 8, 8), "unit"), ((5,), "real"))
        if domain in model_class(name).domains
        if usual_precision(model_class(name), shape, domain) == "bfloat16"
    }
    assert gaining == {("flow-matching", (1, 8, 8))}
    processor(False)
    assert usual_precision(model_class("flow-matching"), (1, 8, 8), "unit") == "float32"


@pytest.mark.parametrize(("flags", "expected"), [("fpu amx_bf16 amx_tile", True), ("fpu avx512_bf16", False)])
def test_the_processor_is_asked(flags, expected, monkeypatch, tmp_path):
    """AVX512-BF16 alone made training slower."""
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: dict.fromkeys(flags.split(), True), raising=False
    )
    asked = multiplies_bfloat16.__wrapped__
    assert asked() is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # an older torch
    assert asked() is expected
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "none")
    assert asked() is False
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert asked() is False


def test_the_choice_is_recorded_shown_and_can_be_overridden(processor, tmp_path, capsys):
    run = plausible.train("flow-matching", "digits", epochs=0.1, out=tmp_path / "chosen", **TINY)
    assert run.config.training.precision == "bfloat16"
    assert "trains in bfloat16; for float32: --precision float32" in capsys.readouterr().err
    other = plausible.train(
        "flow-matching", "digits", epochs=0.1, precision="float32", out=tmp_path / "other", **TINY
    )
    assert other.config.training.precision == "float32"
    assert "bfloat16" not in capsys.readouterr().err
    assert weights(run.folder) != weights(other.folder)
    processor(False)
    assert train(like=run.folder, out=tmp_path / "like").config().training.precision == "bfloat16"


def test_vectors_and_codes_stay_in_float32(processor, tmp_path):
    small = {"hidden": 8, "layers": 1, "epochs": 0.1, "show": False}
    assert (
        train("flow-matching", "ring", out=tmp_path / "a", **small).config().training.precision == "float32"
    )
    units = {"encoder": (8,), "decoder": (8,), "latent": 2, "epochs": 0.1, "show": False}
    coder = train("autoencoder", "digits", out=tmp_path / "b", **units)
    run = train("flow-matching", codes_of=coder, out=tmp_path / "c", **small)
    assert run.config().training.precision == "float32"


def test_law_3_with_the_precision_chosen_by_itself(processor, tmp_path):
    """Resumed where the processor has no bfloat16 units, the run keeps what it began with."""
    whole = train("flow-matching", "digits", epochs=3, out=tmp_path / "whole", **TINY)
    parts = train("flow-matching", "digits", epochs=1.25, out=tmp_path / "parts", **TINY)
    killed = tmp_path / "killed"
    shutil.copytree(parts.path, killed)
    shutil.rmtree(killed / "checkpoints")  # it begins anew
    (killed / "checkpoints").mkdir()
    (killed / "best.json").unlink()
    processor(False)
    for folder in (parts.path, killed):
        resumed = opened(plausible.load(folder).resume(epochs=3, progress=False).folder)
        assert resumed.config.training.precision == "bfloat16"
        assert weights(resumed.folder) == weights(whole)
