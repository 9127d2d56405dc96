"""Paired significance tests between systems, beside sacreBLEU's own command."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_plugin.compare import main
from nmt_plugin.scores.comparison import compare_systems, read_system
from nmt_plugin.scores.scoring import Scoring
from nmt_plugin.scores.segments import Segments, read_segments
from shared.errors import UserError
from shared.results import Data, Metric, Model, Result, RunClock, write_result

WORDS = ["der", "die", "das", "Fenster", "Dokument", "Tabelle", "öffnen", "speichern", "drucken", "und", "nicht"]


def corrupted(sentences: list[list[str]], rate: float, seed: int) -> list[list[str]]:
    chance = random.Random(seed)
    return [[chance.choice(WORDS) if chance.random() < rate else word for word in words] for words in sentences]


def write(path: Path, sentences: list[list[str]]) -> Path:
    path.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """60 references, and systems of which one word in 10, 10 and 2 is replaced."""
    chance = random.Random(0)
    references = [[chance.choice(WORDS) for _ in range(12)] for _ in range(60)]
    made = {"ref": write(tmp_path / "ref", references)}
    for name, rate, seed in (("good", 0.10, 1), ("alike", 0.1, 4), ("bad", 0.5, 3)):
        made[name] = write(tmp_path / name, corrupted(references, rate, seed))
    return made


def segments(files: dict[str, Path], *names: str) -> list[Segments]:
    return [read_segments(files[name]) for name in names]


def by_sacrebleu(files: dict[str, Path], names: tuple[str, ...], seed: int, *flags: str) -> list[float]:
    """Every number of the table that the `sacrebleu` command prints, row by row."""
    command = [sys.executable, "-m", "sacrebleu", files["ref"], "-i", *(files[name] for name in names)]
    command += ["-m", "bleu", "chrf", "ter", "-w", "4", "-q", "-f", "text", *flags]
    environment = {**os.environ, "SACREBLEU_SEED": str(seed)}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=True)
    rows = [line.partition("│")[2].partition("│")[2] for line in done.stdout.splitlines() if line.startswith("│")]
    return [float(number) for number in re.findall(r"\d+\.\d{4}", " ".join(rows))]


@pytest.mark.parametrize(
    ("ours", "theirs", "shown"),
    [
        (("--samples", "300"), ("--paired-bs", "--paired-bs-n", "300"), ("score", "mean", "half_width")),
        (("--test", "ar", "--samples", "400"), ("--paired-ar", "--paired-ar-n", "400"), ("score",)),
    ],
)
def test_it_says_what_sacrebleu_says(
    files: dict[str, Path], tmp_path: Path, ours: tuple[str, ...], theirs: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    names = ("good", "alike", "bad")
    main([
        *("--baseline", str(files["good"]), "--systems", str(files["alike"]), str(files["bad"])),
        *("--references", str(files["ref"]), "--seed", "7", "--output", str(tmp_path / "c.json"), *ours),
    ])  # fmt: skip
    metrics = json.loads((tmp_path / "c.json").read_text())["metrics"]
    numbers = []
    for place in range(len(names)):
        standings = [metrics[metric]["systems"][place] for metric in ("BLEU", "chrF2", "TER")]
        numbers += [standing[part] for standing in standings for part in shown]
        numbers += [standing["p_value"] for standing in standings if place > 0]
    assert numbers == pytest.approx(by_sacrebleu(files, names, 7, *theirs), abs=6e-5)


def test_record_and_table_say_how_it_was_tested(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([
        *("--baseline", str(files["good"]), "--systems", str(files["alike"]), str(files["bad"])),
        *("--references", str(files["ref"]), "--samples", "100", "--lowercase", "--output", str(tmp_path / "c.json")),
    ])  # fmt: skip
    record = json.loads((tmp_path / "c.json").read_text())
    assert (record["test"], record["samples"], record["seed"]) == ("bs", 100, 12345)
    digests = {Path(system["file"]).name: system["sha256"] for system in record["systems"]}
    assert digests["bad"] == hashlib.sha256(files["bad"].read_bytes()).hexdigest()
    assert record["references"]["lines"] == 60
    assert record["metrics"]["BLEU"]["signature"].startswith("BLEU|nrefs:1|bs:100|seed:12345|case:lc|")
    printed = capsys.readouterr().out
    assert "paired bootstrap resampling: 100 samples, seed 12345, 60 sentences" in printed
    assert f"{files['good']} (baseline)" in printed
    assert "ask for 0.025 rather than 0.05" in printed
    assert printed.count("(lower is better)") == 1


def test_a_clear_difference_is_found_and_chance_is_not(files: dict[str, Path]) -> None:
    """With n resamples none of which reaches the observed difference, p is 1 / (n + 1)."""
    found = compare_systems(
        segments(files, "good", "alike", "bad"), read_segments(files["ref"]), Scoring(), samples=199
    )
    for metric, sign in (("BLEU", -1), ("chrF2", -1), ("TER", 1)):
        _, (baseline, alike, bad) = found.standings[metric]
        assert bad.p_value == pytest.approx(1 / 200)
        assert alike.p_value is not None
        assert alike.p_value > 0.05
        assert bad.change == pytest.approx(bad.score - baseline.score)
        assert sign * bad.change > 0
        assert (baseline.change, baseline.p_value) == (None, None)


def test_no_difference_has_p_1(files: dict[str, Path], tmp_path: Path) -> None:
    """Texts that differ in case only are equal to TER."""
    upper = tmp_path / "upper"
    upper.write_text(files["good"].read_text(encoding="utf-8").upper(), encoding="utf-8")
    systems = [read_segments(files["good"]), read_segments(upper)]
    found = compare_systems(systems, read_segments(files["ref"]), Scoring(), samples=50)
    _, (_, same) = found.standings["TER"]
    assert (same.change, same.p_value) == (0.0, 1.0)


def test_the_seed_decides_and_the_environment_is_left_alone(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    means = []
    for seed, before in ((1, None), (1, "99"), (2, "none")):
        if before is None:
            monkeypatch.delenv("SACREBLEU_SEED", raising=False)
        else:
            monkeypatch.setenv("SACREBLEU_SEED", before)
        references = read_segments(files["ref"])
        found = compare_systems(segments(files, "good", "bad"), references, Scoring(), samples=50, seed=seed)
        means.append([standing.mean for standing in found.standings["BLEU"][1]])
        assert os.environ.get("SACREBLEU_SEED") == before
    assert means[0] == means[1] != means[2]


def test_what_cannot_be_compared_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    references = read_segments(files["ref"])
    short = tmp_path / "short"
    short.write_text("der die\n")
    with pytest.raises(UserError, match=r"short has 1 lines, but the references .*ref have 60"):
        compare_systems([*segments(files, "good"), read_segments(short)], references, Scoring())
    with pytest.raises(UserError, match=r"good, .*good are the same text"):
        compare_systems(segments(files, "good", "good"), references, Scoring())
    with pytest.raises(UserError, match="seed is 0"):
        compare_systems(segments(files, "good", "bad"), references, Scoring(), seed=0)


def scored_folder(folder: Path, references: Path, hypotheses: Path) -> Path:
    """What nmt_plugin.evaluate leaves, as far as a comparison reads it."""
    digest = hashlib.sha256(references.read_bytes()).hexdigest()
    data = Data("tiny", {"test": 60}, {"raw/test.en": "0" * 64, "raw/test.de": digest})
    metrics = {"last/test/bleu": Metric(1.0, "BLEU", 60)}
    model = Model("teacher", "transformer", 1, "0" * 64, 1, alpha=0.0)
    clock = RunClock(["evaluate"])
    write_result(
        folder, Result("model", "translation", folder.name, data, [model], clock.provenance("cpu"), metrics=metrics)
    )
    (folder / "last.test.de").write_bytes(hypotheses.read_bytes())
    return folder


def test_a_scored_folder_stands_for_its_hypotheses(files: dict[str, Path], tmp_path: Path) -> None:
    folder = scored_folder(tmp_path / "run", files["ref"], files["bad"])
    system = read_system(folder, "last", read_segments(files["ref"]))
    assert system.lines == read_segments(files["bad"]).lines
    with pytest.raises(UserError, match=r"best\.test\.de: no such hypotheses; .* has scores of last"):
        read_system(folder, "best", read_segments(files["ref"]))
    with pytest.raises(UserError, match=r"other references than .*; compare on one corpus"):
        read_system(folder, "last", read_segments(files["alike"]))
    scored_folder(folder / "scores-valid", files["alike"], files["bad"])
    with pytest.raises(UserError, match=r"other references than .*; name .*/run/scores-valid$"):
        read_system(folder, "last", read_segments(files["alike"]))
    with pytest.raises(UserError, match="no such result"):
        read_system(tmp_path, "last", read_segments(files["ref"]))


def test_only_a_comparison_is_replaced(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scored_folder(tmp_path / "run", files["ref"], files["bad"])

    def compared(output: Path, samples: str) -> None:
        main([
            *("--baseline", str(files["good"]), "--systems", str(files["bad"]), "--references", str(files["ref"])),
            *("--samples", samples, "--output", str(output)),
        ])  # fmt: skip

    for kept in (folder / "result.json", files["bad"]):
        before = kept.read_bytes()
        with pytest.raises(SystemExit) as stopped:
            compared(kept, "20")
        assert stopped.value.code == 2
        assert f"error: --output {kept} is no comparison, which alone may be replaced" in capsys.readouterr().err
        assert kept.read_bytes() == before
    for samples in ("20", "30"):
        compared(tmp_path / "c.json", samples)
    assert json.loads((tmp_path / "c.json").read_text())["samples"] == 30
