"""`python -m nmt_plugin.evaluate`: translate a split, score it with sacreBLEU, and write `result.json`."""

import argparse
from pathlib import Path

import torch

from nmt_plugin.corpora.corpus import Corpus, read_corpus
from nmt_plugin.generation import Search, translate
from nmt_plugin.records import model_card, num_updates, teacher_path, training_seconds
from nmt_plugin.scoring import score
from shared.errors import UserError, exit_on_user_error
from shared.files import write_text
from shared.results import Data, Metric, Result, RunClock, finite, write_result

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
    parser.add_argument(
        *("--model",),
        required=True,
        type=Path,
        help="a fairseq --save-dir (its last and best checkpoint are scored) or one checkpoint file",
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--subset", default="test", choices=["valid", "test"], help="split to score (default: test)")
    parser.add_argument("--beam", type=int, default=5, help="beam size (default: 5)")
    parser.add_argument("--lenpen", type=float, default=1.0, help="length penalty, above 1 favours longer (default: 1)")
    parser.add_argument("--max-tokens", type=int, default=8000, help="source tokens in a batch (default: 8000)")
    parser.add_argument("--output", type=Path, help="folder for hypotheses and result.json (default: the model's)")
    parser.add_argument("--name", help="name of the record (default: the output folder's)")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        evaluate(args)


def evaluate(args: argparse.Namespace) -> Result:
    """Score every checkpoint that `args.model` names and write one record; returns it."""
    clock = RunClock()
    corpus = read_corpus(args.corpus)
    checkpoints = find_checkpoints(args.model)
    search = Search(beam=args.beam, lenpen=args.lenpen, max_tokens=args.max_tokens)
    output = args.output or (args.model if args.model.is_dir() else args.model.parent)
    newest = next(iter(checkpoints.values()))
    card = model_card(newest)  # refuses a foreign file before the long work
    teacher = teacher_path(newest)
    if teacher is not None and not teacher.is_file():
        raise UserError(f"{teacher}: the teacher of {newest} is not there; put it back so that the record can name it")
    teacher_card = model_card(teacher) if teacher is not None else None
    metrics = _score_all(checkpoints, corpus, args.subset, search, output)
    result = Result(
        kind="model",
        task="translation",
        name=args.name or output.name,
        data=Data(name=corpus.name, sizes=corpus.sizes, sha256=corpus.sha256),
        models=[card],
        teacher=teacher_card,
        metrics=metrics,
        notes=[f"beam {search.beam}, length penalty {search.lenpen:g}"],
        provenance=clock.provenance(
            torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads",
            extra_seconds=training_seconds(newest),
        ),
    )
    path = write_result(output, result)
    for name, metric in metrics.items():
        print(f"{name} = {metric.value:.2f} ({metric.count} sentences)  {metric.signature}")
    print(f"wrote {path}")
    return result


def find_checkpoints(model: Path) -> dict[str, Path]:
    """Checkpoints by the name they are scored under: `last` and `best` of a folder, or one file by its stem."""
    if model.is_file():
        return {model.stem.removeprefix("checkpoint_"): model}
    found = {name: model / f"checkpoint_{name}.pt" for name in ("last", "best")}
    found = {name: path for name, path in found.items() if path.is_file()}
    if not found:
        raise UserError(f"{model}: neither a checkpoint nor a folder with checkpoint_last.pt or checkpoint_best.pt")
    return found


def _score_all(
    checkpoints: dict[str, Path], corpus: Corpus, subset: str, search: Search, output: Path
) -> dict[str, Metric]:
    """Metrics `<checkpoint>/<subset>/<score>`. Where best is last, the translation is made once."""
    references = corpus.raw_text(subset, corpus.target_language)
    by_updates: dict[int, dict[str, Metric]] = {}
    metrics: dict[str, Metric] = {}
    for name, checkpoint in checkpoints.items():
        updates = num_updates(checkpoint)
        if updates not in by_updates:
            hypotheses = translate(checkpoint, corpus, subset, search, output / "generate" / name)
            write_text(output / f"{name}.{subset}.{corpus.target_language}", "\n".join([*hypotheses, ""]))
            by_updates[updates] = score(hypotheses, references)
        for key, metric in by_updates[updates].items():
            finite(metric.value)
            metrics[f"{name}/{subset}/{key}"] = metric
    return metrics


if __name__ == "__main__":
    main()
