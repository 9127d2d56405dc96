"""Scores of a plain file of hypotheses, whoever made it: no model, so no `result.json`, but `scores.json`."""

import json
from dataclasses import asdict
from pathlib import Path

from nmt_plugin.outputs import writable_folder
from nmt_plugin.scores.scoring import Scoring, score, score_line
from nmt_plugin.scores.segments import Segments, check_parallel
from shared.files import write_text
from shared.results import Metric, RunClock

FILE_NAME = "scores.json"
SCHEMA = 1


def score_file(
    hypotheses: Segments, references: Segments, scoring: Scoring, output: Path | None, name: str | None = None
) -> dict[str, Metric]:
    """Score `hypotheses` against `references`, line by line; print the scores and write them to `scores.json`.

    It goes to the folder `output`, by default one of its own beside the hypotheses. Raises UserError for files of
    different length.
    """
    clock = RunClock()
    check_parallel(hypotheses, references)
    folder = writable_folder(output or hypotheses.path.parent / f"scores-{hypotheses.path.name}{scoring.suffix()}")
    metrics = score(hypotheses.lines, references.lines, scoring)
    record = {
        "schema": SCHEMA,
        "name": name or hypotheses.path.name,
        "hypotheses": {"file": str(hypotheses.path), "sha256": hypotheses.sha256},
        "references": {"file": str(references.path), "sha256": references.sha256},
        "metrics": {key: asdict(metric) for key, metric in metrics.items()},
        "provenance": asdict(clock.provenance("cpu")),
    }
    write_text(folder / FILE_NAME, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    for key, metric in metrics.items():
        print(score_line(key, metric))
    print(f"by sacreBLEU's own command: {scoring.command(references.path, hypotheses.path)}")
    print(f"wrote {folder / FILE_NAME}")
    return metrics
