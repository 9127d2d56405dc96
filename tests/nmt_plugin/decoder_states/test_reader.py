"""States that a model has before its output layer: their centroids, and the sentences that they are taken from."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader, choose_texts


def test_centroids_are_means_of_the_states_before_the_output_layer(
    study: ModuleType, models: dict[str, Path], corpus: Path
) -> None:
    """Batches are padded, the oracle is not; every token counts once; nothing is dropped from the last batch."""
    reader = StateReader(models["low"], read_corpus(corpus))
    for text in choose_texts(study.PAIR, [reader], None, 1):
        expected = study.states_one_by_one(reader, text.split)
        assert text.counts().tolist() == [len(expected.get(k, [])) for k in range(20)]
        entries = sorted(expected.keys() - {0, 1, 2, 3})
        centroids = reader.centroids(text, entries)
        assert centroids.dtype == torch.float64
        for place, entry in enumerate(entries):
            np.testing.assert_allclose(centroids[place].numpy(), np.mean(expected[entry], axis=0), atol=2e-6)


def test_the_ignored_prefix_does_not_count(
    study: ModuleType, save: Callable[..., Path], models: dict[str, Path], corpus: Path
) -> None:
    distilled = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 1.0, "label_smoothing": 0.0}
    reader = StateReader(save("prefix", 2, **distilled, temperature=1.0, ignore_prefix_size=2), read_corpus(corpus))
    [text] = choose_texts(["valid"], [reader], None, 1)
    expected = study.states_one_by_one(reader, "valid", prefix=2)
    assert text.counts().tolist() == [len(expected.get(k, [])) for k in range(20)]
    centroid = reader.centroids(text, [4])[0].numpy()
    np.testing.assert_allclose(centroid, np.mean(expected[4], axis=0), atol=2e-6)


def test_a_position_counts_where_it_counts_for_every_model(
    study: ModuleType, save: Callable[..., Path], models: dict[str, Path], corpus: Path
) -> None:
    distilled = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 1.0, "label_smoothing": 0.0}
    student = StateReader(save("prefix", 2, **distilled, temperature=1.0, ignore_prefix_size=2), read_corpus(corpus))
    teacher = StateReader(models["teacher"], read_corpus(corpus))
    expected = study.states_one_by_one(teacher, "valid", prefix=2)
    for readers in ([student, teacher], [teacher, student]):
        [text] = choose_texts(["valid"], readers, None, 1)
        assert text.counts().tolist() == [len(expected.get(k, [])) for k in range(20)]


def test_max_sentences_takes_a_seeded_sample(models: dict[str, Path], corpus: Path) -> None:
    reader = StateReader(models["low"], read_corpus(corpus))
    one, again, other = (choose_texts(["train"], [reader], 20, seed)[0] for seed in (1, 1, 2))
    assert one.indices.tolist() == again.indices.tolist() != other.indices.tolist()
    assert len(set(one.indices.tolist())) == 20
    assert str(one) == "train: 20 of 60 sentences (a sample, seed 1)"
    batches = list(one.batches("x", max_tokens=30))
    assert sorted(i for batch in batches for i in batch["id"].tolist()) == one.indices.tolist()
    assert all(batch["target"].numel() <= 30 for batch in batches)
