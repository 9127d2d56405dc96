"""The diffusion index in translation on hand-made corpora and tiny models; the oracle is the definition in numpy.

The oracle takes each sentence by itself, without a batch or a pad: `output_layer(state)` must give the logits, which
fixes what a state is, and means, distances and eta are written out in float64.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import make_builder

from nmt_plugin import diffusion as command
from nmt_plugin import project as projection
from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader, choose_texts
from nmt_plugin.decoder_states.sample import StateSample
from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.errors import UserError
from shared.results import Result, read_result

PAIR = {"train": 60, "valid": 30}
WORDS = ["\u2581eins", "\u2581zwei", "\u2581drei", "\u2581vier", "\u2581ab", ",", "en", "7"]  # the rest keeps w<n>
FLOOR = 12
TEACHER = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}


def dictionary(tiny: ModuleType) -> Dictionary:
    made = Dictionary()
    for index in range(tiny.ENTRIES - len(made)):
        made.add_symbol(WORDS[index] if index < len(WORDS) else f"w{index}", n=100 - index)
    return made


@pytest.fixture
def corpus(tiny: ModuleType, tmp_path: Path) -> Path:
    """60 and 30 sentences of 1 to 9 tokens; low entries are frequent, the last ones rare."""
    folder = tmp_path / "tiny.en-de"
    (folder / "data-bin").mkdir(parents=True)
    generator = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, tiny.ENTRIES - 3)
    for language in ("en", "de"):
        dictionary(tiny).save(str(folder / "data-bin" / f"dict.{language}.txt"))
        for split, size in PAIR.items():
            path = folder / "data-bin" / f"{split}.en-de.{language}"
            builder = make_builder(f"{path}.bin", impl="mmap", vocab_size=tiny.ENTRIES)
            for _ in range(size):
                words = 4 + generator.choice(len(weights), generator.integers(1, 10), p=weights / weights.sum())
                builder.add_item(torch.tensor([*words, 2]))
            builder.finalize(f"{path}.idx")
    card = {"format": 1, "request": {}, "files": {}, "source_language": "en", "target_language": "de"}
    card["splits"] = {split: {"pairs": size} for split, size in PAIR.items()}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def save(tiny: ModuleType, corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """`save(name, seed, **criterion)`: a checkpoint of a tiny model trained on the corpus."""

    def save_model(name: str, seed: int, **criterion: Any) -> Path:
        path = tmp_path / f"{name}.pt"
        tiny.save_checkpoint(path, tiny.model(tiny.task(), seed), criterion, corpus / "data-bin")
        state = read_checkpoint(str(path))
        # What fairseq-train resolves before it saves.
        state["cfg"]["task"] |= {"train_subset": "train", "dataset_impl": None, "required_seq_len_multiple": 1}
        torch.save(state, path.with_suffix(".whole"))
        return path.with_suffix(".whole").rename(path)

    return save_model


@pytest.fixture
def models(save: Callable[..., Path]) -> dict[str, Path]:
    teacher = save("teacher", 1, **TEACHER)
    distilled = {"_name": "word_kd", "teacher": str(teacher), "kd_weight": 1.0, "label_smoothing": 0.0}
    return {
        "teacher": teacher,
        "low": save("low", 2, **distilled, temperature=1.0),
        "high": save("high", 3, **distilled, temperature=3.0),
    }


def states_one_by_one(reader: StateReader, split: str, prefix: int = 0) -> dict[int, list[np.ndarray]]:
    """Entry -> its states, sentence by sentence, from a forward hook on the output layer."""
    reader.task.load_dataset(split)
    caught: list[torch.Tensor] = []
    layer = reader.model.decoder.output_projection
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    found: dict[int, list[np.ndarray]] = {}
    for pair in reader.task.dataset(split):
        source, target = pair["source"].unsqueeze(0), pair["target"]
        previous = torch.cat([target[-1:], target[:-1]]).unsqueeze(0)
        with torch.no_grad():
            reader.model(source, torch.tensor([source.shape[1]]), previous)
        for state, entry in list(zip(caught.pop()[0].double().numpy(), target.tolist(), strict=True))[prefix:]:
            found.setdefault(entry, []).append(state)
    hook.remove()
    return found


def frequent(reader: StateReader) -> list[int]:
    """Entries that are no specials (0 to 3), with FLOOR states in each split."""
    counted = [states_one_by_one(reader, split) for split in PAIR]
    return [k for k in range(4, 20) if all(len(of.get(k, [])) >= FLOOR for of in counted)]


def eta_by_definition(low: np.ndarray, high: np.ndarray, target: int, members: list[int]) -> float:
    def normalized(centroids: np.ndarray, k: int) -> float:
        pairs = [np.linalg.norm(a - b) for i, a in enumerate(centroids) for b in centroids[:i]]
        return np.linalg.norm(centroids[target] - centroids[k]) / np.mean(pairs)

    return float(np.mean([normalized(high, k) / normalized(low, k) - 1 for k in members]))


def run(models: dict[str, Path], corpus: Path, output: Path, *flags: object) -> Result:
    words = ["--low", models["low"], "--high", models["high"], "--corpus", corpus, "--output", output]
    words += [] if "--sets" in flags else ["--teacher", models["teacher"]]
    command.main([str(word) for word in [*words, "--min-count", FLOOR, *flags]])
    return read_result(output / "result.json")


def test_centroids_are_means_of_the_states_before_the_output_layer(models: dict[str, Path], corpus: Path) -> None:
    """Batches are padded, the oracle is not; every token counts once; nothing is dropped from the last batch."""
    reader = StateReader(models["low"], read_corpus(corpus))
    for text in choose_texts(PAIR, [reader], None, 1):
        expected = states_one_by_one(reader, text.split)
        assert text.counts().tolist() == [len(expected.get(k, [])) for k in range(20)]
        entries = sorted(expected.keys() - {0, 1, 2, 3})
        centroids = reader.centroids(text, entries)
        assert centroids.dtype == torch.float64
        for place, entry in enumerate(entries):
            np.testing.assert_allclose(centroids[place].numpy(), np.mean(expected[entry], axis=0), atol=2e-6)


def test_eta_of_the_command_is_the_definition(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    result = run(models, corpus, tmp_path / "out", "--s1-size", 2)
    low, high, teacher = (StateReader(models[name], read_corpus(corpus)) for name in ("low", "high", "teacher"))
    kept = frequent(low)
    assert 5 <= len(kept) < 16
    names = [dictionary_name(low, entry) for entry in kept]

    def centroids(reader: StateReader, split: str) -> np.ndarray:
        found = states_one_by_one(reader, split)
        return np.stack([np.mean(found[entry], axis=0) for entry in kept])

    of_teacher = centroids(teacher, "train")
    assert {row.target for row in result.eta} == {"\u2581eins", "\u2581zwei", "\u2581drei"}
    assert len(result.eta) == 2 * 3 * 2
    for split in PAIR:
        before, after = centroids(low, split), centroids(high, split)
        for row in (row for row in result.eta if row.split == split):
            target = names.index(row.target)
            near = np.argsort(np.linalg.norm(of_teacher - of_teacher[target], axis=1))[1:3].tolist()
            others = [k for k in range(len(kept)) if k not in (target, *near)]
            members = near if row.set_name == "S1" else others
            assert sorted(row.members) == sorted(names[k] for k in members)
            assert row.value == pytest.approx(eta_by_definition(before, after, target, members), rel=1e-4, abs=1e-6)
    assert result.notes[0] == "train: 60 of 60 sentences"
    assert f"{len(kept)} tokens occur at least {FLOOR} times in train and in valid; the other" in result.notes[2]


def dictionary_name(reader: StateReader, entry: int) -> str:
    return reader.task.target_dictionary[entry]


def test_the_ignored_prefix_does_not_count(save: Callable[..., Path], models: dict[str, Path], corpus: Path) -> None:
    distilled = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 1.0, "label_smoothing": 0.0}
    reader = StateReader(save("prefix", 2, **distilled, temperature=1.0, ignore_prefix_size=2), read_corpus(corpus))
    [text] = choose_texts(["valid"], [reader], None, 1)
    expected = states_one_by_one(reader, "valid", prefix=2)
    assert text.counts().tolist() == [len(expected.get(k, [])) for k in range(20)]
    centroid = reader.centroids(text, [4])[0].numpy()
    np.testing.assert_allclose(centroid, np.mean(expected[4], axis=0), atol=2e-6)


def test_max_sentences_takes_a_seeded_sample(models: dict[str, Path], corpus: Path) -> None:
    reader = StateReader(models["low"], read_corpus(corpus))
    one, again, other = (choose_texts(["train"], [reader], 20, seed)[0] for seed in (1, 1, 2))
    assert one.indices.tolist() == again.indices.tolist() != other.indices.tolist()
    assert len(set(one.indices.tolist())) == 20
    assert str(one) == "train: 20 of 60 sentences (a sample, seed 1)"
    batches = list(one.batches("x", max_tokens=30))
    assert sorted(i for batch in batches for i in batch["id"].tolist()) == one.indices.tolist()
    assert all(batch["target"].numel() <= 30 for batch in batches)


def test_sets_of_a_file_and_of_an_earlier_record(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps({"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581vier", "\u2581ab"]}}))
    first = run(models, corpus, tmp_path / "a", "--sets", sets)
    assert [(row.split, row.set_name, row.members) for row in first.eta] == [
        (split, name, members)
        for split in ("train", "valid")
        for name, members in (("S1", ["\u2581eins"]), ("S2", ["\u2581vier", "\u2581ab"]))
    ]
    again = run(models, corpus, tmp_path / "b", "--sets", tmp_path / "a" / "result.json", "--normalization", "none")
    assert [row.members for row in again.eta] == [row.members for row in first.eta]
    assert [row.value for row in again.eta] != [row.value for row in first.eta]
    assert again.name != first.name


def test_s2_may_be_a_seeded_sample(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    flags = ("--targets", "\u2581drei", "--s1-size", 1, "--s2-size", 2, "--splits", "train")
    one, again, other = (run(models, corpus, tmp_path / str(k), *flags, "--seed", (1, 1, 3)[k]) for k in range(3))
    assert [row.set_name for row in one.eta] == ["S1", "S2"]
    assert [len(row.members) for row in one.eta] == [1, 2]
    assert not set(one.eta[0].members) & set(one.eta[1].members)
    assert one.eta == again.eta
    assert one.eta[0].members == other.eta[0].members
    assert one.eta[1].members != other.eta[1].members
    assert one.eta[1].chosen_by == "nearest centroids, S2 a sample of 2 (seed 1)"


def test_all_normalizations_by_their_definition(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    """none: a plain ratio; target_mean: both sides over the mean distance to S1 and S2, so that its mean is 1."""
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps({"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581vier", "\u2581ab"]}}))
    found = {
        n: run(models, corpus, tmp_path / n, "--sets", sets, "--splits", "valid", "--normalization", n).eta[0].value
        for n in ("none", "target_mean")
    }
    distances = []
    for name in ("low", "high"):
        states = states_one_by_one(StateReader(models[name], read_corpus(corpus)), "valid")
        centroids = {entry: np.mean(states[entry], axis=0) for entry in (4, 5, 7, 8)}
        distances.append([np.linalg.norm(centroids[5] - centroids[k]) for k in (4, 7, 8)])
    low, high = distances
    assert found["none"] == pytest.approx(high[0] / low[0] - 1, rel=1e-4, abs=1e-6)
    assert found["target_mean"] == pytest.approx(
        (high[0] / np.mean(high)) / (low[0] / np.mean(low)) - 1, rel=1e-4, abs=1e-6
    )


def test_word_like_pieces_are_the_default_targets(tiny: ModuleType) -> None:
    """A word's start and 4 letters; ties go to the earlier entry; too rare ones are no classes."""
    counts = torch.tensor([0, 0, 99, 5, *([50] * 16)])
    counts[4], counts[7] = 49, 3
    classes = TokenClasses(dictionary(tiny), {"train": counts}, floor=10)
    assert classes.frequent_words() == ["\u2581zwei", "\u2581drei", "\u2581eins"]
    assert "\u2581vier" not in classes.names
    assert classes.entries == [4, 5, 6, *range(8, 20)]
    with pytest.raises(UserError, match="occurs 3 times in train; --min-count is 10"):
        classes.place("\u2581vier")
    with pytest.raises(UserError, match="'drei' is not in the target dictionary; did you mean \u2581drei"):
        classes.place("drei")
    with pytest.raises(UserError, match="</s>"):
        classes.place("</s>")
    with pytest.raises(UserError, match="0 tokens occur at least 100 times in train"):
        TokenClasses(dictionary(tiny), {"train": counts}, floor=100)
    counts[4:8] = 0
    with pytest.raises(UserError, match="name --targets yourself"):
        TokenClasses(dictionary(tiny), {"train": counts}, floor=10).frequent_words()


def refused(capsys: pytest.CaptureFixture[str], call: Callable[[], Any]) -> str:
    """The one line of a refusal, which must come before any model is run."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        call()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "tok/s" not in error
    return error.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--targets", "\u2581zwei", "\u2581zwei"), "names a token twice"),
        (("--targets", "zwei"), "did you mean \u2581zwei"),
        (("--s1-size", 12), "leaves no class for S2"),
        (("--min-count", 5000), "lower --min-count"),
        (("--sets", "missing.json"), "missing.json: cannot be read"),
        (("--sets", "LIST"), 'LIST: want {"TARGET"'),
        (("--sets", "SETS", "--s1-size", 2), "--sets names S1 itself"),
        (("--sets", "SETS", "--s2-size", 2), "names S2 of \u2581zwei itself"),
        (("--sets", "SETS", "--targets", "\u2581eins"), "has no sets of \u2581eins"),
        (("--sets", "OVERLAP"), "share \u2581ab"),
        (("--sets", "UNKNOWN"), "'w99' is not in the target dictionary"),
        (("--sets", "EMPTY"), "names no target"),
    ],
)
def test_wrong_settings_are_refused_before_any_pass(
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[object, ...],
    message: str,
) -> None:
    sets: dict[str, Any] = {
        "LIST": ["\u2581zwei"],
        "SETS": {"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581ab"]}},
        "OVERLAP": {"\u2581zwei": {"s1": ["\u2581ab"], "s2": ["\u2581ab"]}},
        "UNKNOWN": {"\u2581zwei": {"s1": ["w99"]}},
        "EMPTY": {},
    }
    for name, content in sets.items():
        (tmp_path / name).write_text(json.dumps(content))
    words = [tmp_path / str(flag) if flag in sets else flag for flag in flags]
    assert message in refused(capsys, lambda: run(models, corpus, tmp_path / "out", *words))
    assert not (tmp_path / "out" / "result.json").exists()


def test_models_that_may_not_be_compared_are_refused(
    models: dict[str, Path],
    save: Callable[..., Path],
    corpus: Path,
    tmp_path: Path,
    tiny: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(**changed: Path) -> str:
        return refused(capsys, lambda: run(models | changed, corpus, tmp_path / "out"))

    assert "the temperature must rise from low to high" in said(low=models["high"], high=models["low"])
    assert "is a teacher; eta compares two students" in said(low=models["teacher"])
    other = save("other", 9, **TEACHER)
    assert "is not the teacher of" in said(teacher=other)
    distilled = {"_name": "word_kd", "kd_weight": 1.0, "label_smoothing": 0.0, "temperature": 3.0}
    assert "different teachers" in said(high=save("else", 3, **distilled, teacher=str(other)))
    mixed = save("mixed", 3, **distilled | {"kd_weight": 0.9}, teacher=str(models["teacher"]))
    assert "differ in alpha too (None; 0.0), not in T alone" in said(high=mixed)
    prefixed = save("prefixed", 3, **distilled, teacher=str(models["teacher"]), ignore_prefix_size=1)
    assert "differ in ignore_prefix_size too (0; 1)" in said(high=prefixed)
    assert "no such checkpoint" in said(high=tmp_path / "none.pt")
    (tmp_path / "away").mkdir()
    tiny.dictionary().save(str(tmp_path / "away" / "dict.en.txt"))
    away = (tmp_path / "away" / "high.pt").absolute()
    away.write_bytes(models["high"].read_bytes())
    assert "was trained with another dict.en.txt" in said(high=away)


def test_a_record_of_another_kind_is_not_replaced(
    models: dict[str, Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(models, corpus, tmp_path / "out", "--s1-size", 2)
    words = ["--students", models["low"], "--corpus", corpus, "--tokens", "\u2581eins", "\u2581zwei", ","]
    line = refused(capsys, lambda: projection.main([*map(str, words), "--output", str(tmp_path / "out")]))
    assert "is a record of kind diffusion; choose another --output" in line


def test_the_projection_shows_states_on_the_plane_of_their_output_rows(
    models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    """All points of a class are shown, so their distances can be had by brute force: on the span of three rows."""
    tokens, entries = ["\u2581eins", "\u2581zwei", ","], [4, 5, 9]
    words = ["--students", models["low"], models["teacher"], "--corpus", corpus, "--tokens", *tokens]
    words += ["--output", tmp_path / "p", "--train-states", 1000, "--valid-states", 1000]
    projection.main([str(word) for word in words])
    result = read_result(tmp_path / "p" / "result.json")
    assert (tmp_path / "p" / "projection.png").read_bytes().startswith(b"\x89PNG")
    places = [(panel.split, panel.teacher_alpha, panel.temperature) for panel in result.panels]
    assert places == [("train", 0.1, 1.0), ("train", 0.1, None), ("valid", 0.1, 1.0), ("valid", 0.1, None)]
    reader = StateReader(models["low"], read_corpus(corpus))
    rows = reader.model.decoder.output_projection.weight[entries].double().numpy()
    basis = np.linalg.qr(rows.T)[0]
    train = states_one_by_one(reader, "train")
    stars = np.stack([np.mean(train[entry], axis=0) for entry in entries])
    fitted = np.concatenate([*(train[entry] for entry in entries), stars]) @ basis
    axes = np.linalg.svd(fitted - fitted.mean(axis=0), full_matrices=False)[2][:2]
    for panel, split in zip(result.panels[::2], PAIR, strict=True):
        states = states_one_by_one(reader, split)
        for token, entry in zip(tokens, entries, strict=True):
            expected = np.abs((np.stack(states[entry]) @ basis - fitted.mean(axis=0)) @ axes.T)
            found = np.abs(np.array(panel.points[token]))  # the sign of an axis is free
            assert found.shape == expected.shape
            np.testing.assert_allclose(np.sort(found.sum(axis=1)), np.sort(expected.sum(axis=1)), atol=3e-4)
            centre = np.abs((np.mean(states[entry], axis=0) @ basis - fitted.mean(axis=0)) @ axes.T)
            np.testing.assert_allclose(np.abs(panel.centroids[token]), centre, atol=2e-4)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("\u2581eins", "\u2581eins", ","), "three different tokens"),
        (("\u2581eins", "eins", ","), "did you mean \u2581eins"),
        (("\u2581eins", "</s>", ","), "specials are no classes"),
    ],
)
def test_wrong_tokens_of_a_projection_are_refused(
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tokens: tuple[str, ...],
    message: str,
) -> None:
    words = ["--students", models["low"], "--corpus", corpus, "--output", tmp_path / "p", "--tokens", *tokens]
    assert message in refused(capsys, lambda: projection.main([str(word) for word in words]))


def test_two_columns_of_one_place_are_refused(
    models: dict[str, Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--students", models["low"], models["low"], "--corpus", corpus, "--output", tmp_path / "p"]
    words += ["--tokens", "\u2581eins", "\u2581zwei", ","]
    assert "same alpha and temperature" in refused(capsys, lambda: projection.main([str(word) for word in words]))


def test_a_sample_is_of_fixed_size_and_fair() -> None:
    """Each of 40 rows, offered in batches of 7, is among 10 kept ones in a quarter of the seeds."""
    stream = torch.arange(40.0).unsqueeze(1)
    times = np.zeros(40)
    for seed in range(400):
        sample = StateSample(10, seed)
        for rows in stream.split(7):
            sample.update(rows)
        assert sample.rows.shape == (10, 1)
        times[sample.rows.flatten().long().numpy()] += 1
    assert times.sum() == 4000
    assert np.abs(times - 100).max() < 40  # 4.6 deviations of the binomial
    few = StateSample(10, 0)
    few.update(stream[:3])
    assert sorted(few.rows.flatten().tolist()) == [0.0, 1.0, 2.0]
