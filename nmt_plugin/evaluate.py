"""`python -m nmt_plugin.evaluate`: translate a split, score it with sacreBLEU, and write `result.json`."""

import argparse
from pathlib import Path

import torch

from nmt_plugin.corpora.corpus import Corpus, read_corpus
from nmt_plugin.generation import Search, translate
from nmt_plugin.records import TrainedModel
from nmt_plugin.scoring import score
from shared.errors import UserError, exit_on_user_error
from shared.files import sha256, write_text
from shared.results import FILE_NAME, Data, Metric, Result, RunClock, finite, read_result, write_result

EXAMPLES = """examples:
  python -m nmt_plugin.evaluate --model runs/demo/nmt/teacher-a0.1 --corpus data/nmt/libreoffice.en-de
  python -m nmt_plugin.evaluate --model checkpoint_best.pt --corpus data/nmt/libreoffice.en-de --output scores/best
"""


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.evaluate",
        description="Translate a split with fairseq-generate and score it with sacreBLEU (BLEU and chrF).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_help = "a fairseq --save-dir (its last and best checkpoint are scored) or one checkpoint file"
    parser.add_argument("--model", required=True, type=Path, help=model_help)
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--subset", default="test", choices=["valid", "test"], help="split to score (default: test)")
    parser.add_argument("--beam", type=_positive, default=5, help="beam size (default: 5)")
    parser.add_argument("--lenpen", type=float, default=1.0, help="length penalty, above 1 favours longer (default: 1)")
    parser.add_argument("--max-len", type=_positive, default=200, help="target tokens at most (default: 200)")
    parser.add_argument("--max-tokens", type=_positive, default=8000, help="source tokens in a batch (default: 8000)")
    output_help = "folder for hypotheses and result.json (default: --model for a folder's test scores, else below it)"
    parser.add_argument("--output", type=Path, help=output_help)
    parser.add_argument("--name", help="name of the record (default: the output folder's)")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        evaluate(args)


def evaluate(args: argparse.Namespace) -> Result:
    """Score every checkpoint that `args.model` names and write one record; returns it."""
    clock = RunClock()
    corpus = read_corpus(args.corpus)
    references = corpus.raw_text(args.subset, corpus.target_language)
    checkpoints = find_checkpoints(args.model)
    search = Search(beam=args.beam, lenpen=args.lenpen, max_len=args.max_len, max_tokens=args.max_tokens)
    output = args.output or default_output(args.model, args.subset)
    _check_not_another_record(output, {f"{name}/{args.subset}" for name in checkpoints})
    trained = {name: TrainedModel(path) for name, path in checkpoints.items()}  # refuses foreign files at once
    first, *_ = trained.values()
    first.check_dictionary(corpus.data_bin, corpus.target_language)
    teacher = first.teacher()
    metrics = _score_all(trained, corpus, references, args.subset, search, output)
    result = Result(
        kind="model",
        task="translation",
        name=args.name or output.name,
        data=Data(name=corpus.name, sizes=corpus.sizes, sha256=corpus.sha256),
        models=[first.card()],
        teacher=teacher,
        metrics=metrics,
        notes=[
            f"beam {search.beam}, length penalty {search.lenpen:g}, at most {search.max_len} tokens",
            *(f"{name}: {model.num_updates} updates, sha256 {sha256(model.path)}" for name, model in trained.items()),
            "command, versions, commit and peak memory are the evaluation's; the wall time includes the training",
        ],
        provenance=clock.provenance(
            torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads",
            extra_seconds=first.training_seconds,
        ),
    )
    path = write_result(output, result)
    for name, metric in metrics.items():
        print(f"{name} = {metric.value:.2f} ({metric.count} sentences)  {metric.signature}")
    print(f"wrote {path}")
    return result


def default_output(model: Path, subset: str) -> Path:
    """The run's own folder for the test scores of a run; a folder below it for one checkpoint or another split."""
    if model.is_dir():
        return model if subset == "test" else model / f"scores-{subset}"
    return model.parent / f"scores-{model.stem}-{subset}"


def find_checkpoints(model: Path) -> dict[str, Path]:
    """Checkpoints by the name they are scored under: `last` and `best` of a folder, or one file by its stem."""
    if model.is_file():
        return {model.stem.removeprefix("checkpoint_"): model}
    found = {name: model / f"checkpoint_{name}.pt" for name in ("last", "best")}
    found = {name: path for name, path in found.items() if path.is_file()}
    if not found:
        raise UserError(f"{model}: neither a checkpoint nor a folder with checkpoint_last.pt or checkpoint_best.pt")
    return found


def _check_not_another_record(output: Path, scored: set[str]) -> None:
    """A finished record is replaced by a newer one of the same scores only. Raises UserError otherwise."""
    if (output / FILE_NAME).exists():
        found = {key.rpartition("/")[0] for key in read_result(output / FILE_NAME).metrics}
        if not found <= scored:
            raise UserError(
                f"{output / FILE_NAME} holds other scores ({', '.join(sorted(found))}); choose another --output"
            )


def _score_all(
    trained: dict[str, TrainedModel],
    corpus: Corpus,
    references: list[str],
    subset: str,
    search: Search,
    output: Path,
) -> dict[str, Metric]:
    """Metrics `<checkpoint>/<subset>/<score>`. Where best is last, the translation is made once."""
    by_updates: dict[int, dict[str, Metric]] = {}
    metrics: dict[str, Metric] = {}
    for name, model in trained.items():
        if model.num_updates not in by_updates:
            hypotheses = translate(model.path, corpus, subset, search, output / "generate" / name)
            write_text(output / f"{name}.{subset}.{corpus.target_language}", "\n".join([*hypotheses, ""]))
            by_updates[model.num_updates] = score(hypotheses, references)
        for key, metric in by_updates[model.num_updates].items():
            finite(metric.value)
            metrics[f"{name}/{subset}/{key}"] = metric
    return metrics


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


if __name__ == "__main__":
    main()
