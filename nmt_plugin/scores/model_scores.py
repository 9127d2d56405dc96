"""Scores of a trained model: its checkpoints translate a split, and one `result.json` records what they reach."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from nmt_plugin.corpora.card import read_card
from nmt_plugin.corpora.corpus import Corpus, read_corpus
from nmt_plugin.outputs import writable_folder
from nmt_plugin.records import TrainedModel
from nmt_plugin.scores.averaging import average_checkpoints, latest_checkpoints
from nmt_plugin.scores.generation import Search, translate
from nmt_plugin.scores.scoring import Scoring, bleu_outcomes, score, score_line
from nmt_plugin.scores.segments import Segments, corpus_references
from shared.errors import UserError
from shared.files import sha256, write_text
from shared.outcomes import write_outcomes
from shared.provenance import Provenance, RunClock
from shared.results import FILE_NAME, Data, Metric, Model, Result, finite, read_result, write_result


@dataclass(frozen=True)
class Request:
    """What to score, and how.

    `average` is the number of checkpoints whose mean is scored too, None for no mean.
    """

    model: Path
    corpus: Path
    subset: str
    search: Search
    scoring: Scoring
    average: int | None = None
    output: Path | None = None
    name: str | None = None

    @property
    def folder(self) -> Path:
        """Where the hypotheses and the record go."""
        return self.output or default_output(self.model, self.subset, self.scoring)

    @property
    def kept(self) -> Path:
        """Where the run's own translations of the split are, which other scores of it need not make again."""
        return self.output or default_output(self.model, self.subset)

    @property
    def record_name(self) -> str:
        """Of its own for each run, also where the folder's name says no more than the split."""
        run = self.model.resolve() if self.model.is_dir() else self.model.resolve().parent
        below = self.output is None and self.folder != self.model
        return self.name or (f"{run.name} {self.folder.name}" if below else self.folder.resolve().name)


def score_model(request: Request) -> Result:
    """Score every checkpoint that the request names and write one record; returns it."""
    clock = RunClock()
    corpus = read_corpus(request.corpus)
    references = corpus_references(corpus, request.subset)
    checkpoints = find_checkpoints(request.model, request.average)
    _check_not_another_record(request, set(checkpoints))
    sources = latest_checkpoints(request.model, request.average) if request.average is not None else []
    output = writable_folder(request.folder)
    notes = []
    if sources:
        checkpoints[f"avg{request.average}"] = output / f"checkpoint_avg{request.average}.pt"
        average_checkpoints(sources, output / f"checkpoint_avg{request.average}.pt")
        notes.append(f"avg{request.average}: mean of {', '.join(path.name for path in sources)}")
    # Foreign files are refused at once.
    models = {name: TrainedModel(path) for name, path in checkpoints.items()}
    model = next(iter(models.values()))
    _check_dictionary_files(corpus)
    model.check_dictionaries(corpus.data_bin, corpus.source_language, corpus.target_language)
    card, teacher = model.card(), model.teacher()  # what they refuse is refused before the translation
    digests = {name: sha256(path) for name, path in checkpoints.items()}
    updates = [f"{name}: {_updates(model)}, sha256 {digests[name]}" for name, model in models.items()]
    metrics = _score_all(checkpoints, digests, corpus, references, request)
    provenance = clock.provenance(_device(), extra_seconds=model.training_seconds)
    result = _result(request, corpus, card, teacher, metrics, [*updates, *notes], provenance)
    path = write_result(output, result)
    for key, metric in metrics.items():
        print(score_line(key, metric))
    for name in checkpoints:
        command = request.scoring.command(references.path, _hypotheses_path(output, name, request.subset, corpus))
        print(f"{name} by sacreBLEU's own command: {command}")
    print(f"wrote {path}")
    return result


def default_output(model: Path, subset: str, scoring: Scoring | None = None) -> Path:
    """The run's own folder for the usual test scores of a run; a folder below it for one checkpoint or other scores."""
    variant = f"{subset}{(scoring or Scoring()).suffix()}"
    if model.is_dir():
        return model if variant == "test" else model / f"scores-{variant}"
    return model.parent / f"scores-{model.stem}-{variant}"


def find_checkpoints(model: Path, average: int | None = None) -> dict[str, Path]:
    """Checkpoints by the name they are scored under: `last` and `best` of a folder, or one file by its stem.

    With `average` a folder that has neither is fine, since others are averaged, but one file is not.
    """
    if average is not None and not model.is_dir():
        raise UserError(f"--average takes the last checkpoints of a --save-dir, and {model} is not a folder")
    if model.is_file():
        return {model.stem.removeprefix("checkpoint_"): model}
    found = {name: model / f"checkpoint_{name}.pt" for name in ("last", "best")}
    found = {name: path for name, path in found.items() if path.is_file()}
    if not found and average is None:
        raise UserError(f"{model}: neither a checkpoint nor a folder with checkpoint_last.pt or checkpoint_best.pt")
    return found


def _check_not_another_record(request: Request, checkpoints: set[str]) -> None:
    """A finished record is replaced by a newer one of the same scores only. Raises UserError otherwise."""
    path = request.folder / FILE_NAME
    if not path.exists():
        return
    found = read_result(path)
    if found.kind != "model":
        raise UserError(f"{path} is a record of another kind ({found.kind}); choose another --output")
    scored = {f"{name}/{request.subset}" for name in (*checkpoints, f"avg{request.average}")}
    there = {key.rpartition("/")[0] for key in found.metrics}
    if not there <= scored:
        raise UserError(f"{path} holds other scores ({', '.join(sorted(there))}); choose another --output")
    for metric in found.metrics.values():
        if metric.unit == "BLEU" and not request.scoring.agrees_with(metric.signature or ""):
            raise UserError(f"{path} holds scores of another signature ({metric.signature}); choose another --output")


def _result(
    request: Request,
    corpus: Corpus,
    card: Model,
    teacher: Model | None,
    metrics: dict[str, Metric],
    notes: list[str],
    provenance: Provenance,
) -> Result:
    search = request.search
    return Result(
        kind="model",
        task="translation",
        name=request.record_name,
        data=Data(name=corpus.name, sizes=corpus.sizes, sha256=corpus.sha256),
        models=[card],
        teacher=teacher,
        metrics=metrics,
        notes=[
            f"beam {search.beam}, length penalty {search.lenpen:g}, at most {search.max_len} tokens",
            *notes,
            "command, versions, commit and peak memory are the evaluation's; the wall time includes the training",
        ],
        provenance=provenance,
    )


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"


def _updates(model: TrainedModel) -> str:
    return "updates not recorded" if model.num_updates is None else f"{model.num_updates} updates"


def _check_dictionary_files(corpus: Corpus) -> None:
    """Raise UserError where a dictionary is not the one that the corpus was built with, by its card."""
    digests = read_card(corpus.folder)["files"]
    for path in (corpus.dictionary(corpus.source_language), corpus.dictionary(corpus.target_language)):
        digest = digests.get(path.relative_to(corpus.folder).as_posix())
        if digest is not None and (not path.is_file() or sha256(path) != digest):
            raise UserError(f"{path} is missing or changed since the corpus was built; build it again with --fresh")


def _score_all(
    checkpoints: dict[str, Path], digests: dict[str, str], corpus: Corpus, references: Segments, request: Request
) -> dict[str, Metric]:
    """Metrics `<checkpoint>/<subset>/<score>`. Where best is last, it is translated and scored once.

    Hypotheses, and what became of every sentence (`shared/outcomes.py`), are written to the request's folder.
    """
    done: dict[str, tuple[list[str], dict[str, Metric]]] = {}
    metrics: dict[str, Metric] = {}
    outcomes: dict[str, npt.NDArray[np.int64]] = {}
    for name, path in checkpoints.items():
        if digests[name] not in done:
            folder, kept = (place / "generate" / name for place in (request.folder, request.kept))
            hypotheses = translate(path, corpus, request.subset, request.search, folder, kept)
            done[digests[name]] = hypotheses, score(hypotheses, references.lines, request.scoring)
        hypotheses, scores = done[digests[name]]
        write_text(_hypotheses_path(request.folder, name, request.subset, corpus), "\n".join([*hypotheses, ""]))
        for key, metric in scores.items():
            finite(metric.value, f"{name}/{request.subset}/{key}")
            metrics[f"{name}/{request.subset}/{key}"] = metric
        outcomes[f"{name}/{request.subset}/bleu"] = bleu_outcomes(hypotheses, references.lines, request.scoring)
    write_outcomes(request.folder, outcomes)
    return metrics


def _hypotheses_path(folder: Path, checkpoint: str, subset: str, corpus: Corpus) -> Path:
    return folder / f"{checkpoint}.{subset}.{corpus.target_language}"
