"""`python -m nmt_plugin.advise` on hand-made corpora and tiny models; the oracle is the definitions in numpy."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmt_plugin import advise as command
from nmt_plugin import clusters
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader


def run(model: Path, corpus: Path, output: Path, *flags: object) -> dict[str, Any]:
    words = ["--model", model, "--corpus", corpus, "--output", output, *flags]
    command.main([str(word) for word in words])
    told: dict[str, Any] = json.loads((output / "advice.json").read_text())
    return told


def by_definition(reader: StateReader, states: dict[int, list[np.ndarray]]) -> dict[str, float]:
    """Over every target position but pads, from the states of each sentence by itself."""
    weight = reader.model.decoder.output_projection.weight.double().numpy()
    labels = np.concatenate([[entry] * len(of) for entry, of in states.items()])
    logits = np.concatenate([np.stack(of) for of in states.values()]) @ weight.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    right, own = p.argmax(axis=1) == labels, p[np.arange(len(p)), labels]
    wrong = np.stack([np.delete(row, label) for row, label in zip(p, labels, strict=True)])
    wrong /= wrong.sum(axis=1, keepdims=True)
    entries = p.shape[1]
    return {
        "count": len(p),
        "accuracy": right.mean(),
        "confidence": p.max(axis=1).mean(),
        "entropy": -(p * np.log(p)).sum(axis=1).mean(),
        "implied_alpha": (1 - own[right].mean()) * entries / (entries - 1),
        "evenness": (-(wrong * np.log(wrong)).sum(axis=1) / math.log(entries - 1)).mean(),
    }


def test_measures_are_the_definitions(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no results/
    told = run(models["teacher"], corpus, tmp_path / "out")
    reader = StateReader(models["teacher"], read_corpus(corpus))
    for split in study.PAIR:
        found = told["measures"][split]["smoothness"]
        expected = by_definition(reader, study.states_one_by_one(reader, split))
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert told["card"]["alpha"] == 0.1
    assert (told["evidence"], told["temperature"], told["loss"]) == (None, 1.0, "kd")


def test_confidence_is_compared_over_the_tokens_of_the_record(
    models: dict[str, Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", models["teacher"], "--corpus", corpus, "--output", tmp_path / "evidence", "--min-count", 12]
    clusters.main([str(word) for word in [*words, "--s1-size", 2]])
    told = run(models["teacher"], corpus, tmp_path / "out", "--evidence", tmp_path / "evidence")
    [teachers] = told["teachers"]
    assert teachers["ours"] == pytest.approx(teachers["theirs"]["mean"], rel=1e-5)
    assert teachers["ours"] != pytest.approx(told["measures"]["train"]["smoothness"]["confidence"], rel=1e-3)
    shown = capsys.readouterr().out
    assert "train: 60 of 60 sentences" in shown
    assert "measure and card agree" in shown
    assert "has no scores of KD students for translation" in shown


def test_max_sentences_takes_a_sample(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    whole, few = (run(models["teacher"], corpus, tmp_path / str(n), "--max-sentences", n) for n in (60, 10))
    counts = [told["measures"]["train"]["smoothness"]["count"] for told in (whole, few)]
    assert counts[0] > counts[1] >= 20  # a token and the end of each sentence
    assert few["measures"]["train"]["tightness"] is None  # no token is frequent enough


def test_bad_input_ends_in_one_line(
    study: ModuleType,
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(**changes: object) -> str:
        given = {"model": models["teacher"], "corpus": corpus} | changes
        words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
        call: Callable[[], Any] = lambda: command.main(words)  # noqa: E731
        return str(study.refused(capsys, call))

    assert said(model=models["low"]).endswith("is a student; name the teacher that you want to distil")
    assert "no such folder of evidence" in said(evidence=tmp_path / "nowhere")
    assert "no such folder; build it" in said(corpus=tmp_path / "nowhere")
