"""Scoring of a plain file of hypotheses, from the command line: what it writes, and what is refused."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_plugin.evaluate import main
from nmt_plugin.scores.segments import read_segments
from shared.errors import UserError

REFERENCES = "Öffnen Sie das Dokument.\nSpeichern Sie es danach.\nDrucken Sie \u2028 alles.\n"
HYPOTHESES = "Öffne das Dokument.\nspeichern Sie es danach.\nDrucken alles.\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    for name, text in (("mine.de", HYPOTHESES), ("theirs.de", REFERENCES)):
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path / "mine.de", tmp_path / "theirs.de"


def refusal(capsys: pytest.CaptureFixture[str], *flags: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([str(flag) for flag in flags])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "error: " in said
    return said


@pytest.mark.parametrize("flags", [(), ("--lowercase",), ("--tokenize", "intl")])
def test_the_printed_sacrebleu_command_gives_the_same_scores(
    files: tuple[Path, Path], flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is run as it was printed."""
    mine, theirs = files
    main(["--hypotheses", str(mine), "--references", str(theirs), *flags])
    printed = capsys.readouterr().out
    (command,) = re.findall(r"own command: (.+)", printed)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(f"{command} -b", shell=True, env=environment, capture_output=True, text=True, check=True)
    by_sacrebleu = json.loads(done.stdout)
    (written,) = mine.parent.glob("scores-mine.de*/scores.json")
    metrics = json.loads(written.read_text())["metrics"]
    assert [round(metrics[name]["value"], 2) for name in ("bleu", "chrf", "ter")] == by_sacrebleu
    assert metrics["ter"]["count"] == 3
    assert all(f"{metric['value']:.2f} (3 sentences)" in printed for metric in metrics.values())


def test_scores_json_says_what_was_scored(files: tuple[Path, Path]) -> None:
    mine, theirs = files
    main(["--hypotheses", str(mine), "--references", str(theirs), "--output", str(mine.parent / "out")])
    record = json.loads((mine.parent / "out" / "scores.json").read_text())
    assert record["hypotheses"] == {"file": str(mine), "sha256": hashlib.sha256(HYPOTHESES.encode()).hexdigest()}
    assert record["references"] == {"file": str(theirs), "sha256": hashlib.sha256(REFERENCES.encode()).hexdigest()}
    assert record["metrics"]["bleu"]["signature"].startswith("BLEU|nrefs:1|case:mixed|")
    assert record["provenance"]["versions"]["sacrebleu"]


def test_only_a_line_feed_ends_a_line_and_the_last_needs_none(files: tuple[Path, Path]) -> None:
    _, theirs = files
    assert read_segments(theirs).lines[2:] == ["Drucken Sie \u2028 alles."]
    theirs.write_bytes(b"a\r\n\nb\x0bc")
    assert read_segments(theirs).lines == ["a\r", "", "b\vc"]


def test_unequal_counts_are_refused_with_both(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine, theirs = files
    mine.write_text("one\n")
    said = refusal(capsys, "--hypotheses", mine, "--references", theirs)
    assert f"{mine} has 1 lines, but the references {theirs} have 3" in said
    assert sorted(path.name for path in mine.parent.iterdir()) == ["mine.de", "theirs.de"]


def test_what_is_not_utf8_is_refused_by_its_line(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine, theirs = files
    mine.write_bytes("gut\nschön\n\n".encode() + "schön\n".encode("latin-1"))
    assert "mine.de, line 4: not UTF-8 (byte 0xf6, the 4. of the line)" in refusal(
        capsys, "--hypotheses", mine, "--references", theirs
    )


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_that_is_not_there_or_empty_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match="no such file" if content is None else "is empty"):
        read_segments(tmp_path / "f")


def test_flags_that_do_not_go_with_a_file_are_refused(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = files
    both = ("--hypotheses", mine, "--references", theirs)
    assert "--beam, --max-len, --average: says how a model" in refusal(
        capsys, *both, "--beam", "4", "--max-len", "9", "--average", "3"
    )
    assert "either --references FILE or --corpus DIR" in refusal(capsys, "--hypotheses", mine)
    assert "either --references FILE or --corpus DIR" in refusal(capsys, *both, "--corpus", mine.parent)
    assert "one of the arguments --model --hypotheses is required" in refusal(capsys)
    assert "cannot make the folder" in refusal(capsys, *both, "--output", theirs / "below-a-file")
