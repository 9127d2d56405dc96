"""`python -m nmt_plugin.evaluate`: score a trained model, or a finished translation, with sacreBLEU."""

import argparse
from pathlib import Path

from nmt_plugin.arguments import finite, positive
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.scores.file_scores import score_file
from nmt_plugin.scores.generation import Search
from nmt_plugin.scores.model_scores import Request, score_model
from nmt_plugin.scores.scoring import TOKENIZERS, Scoring
from nmt_plugin.scores.segments import corpus_references, read_segments
from shared.errors import UserError, exit_on_user_error
from shared.locks import alone_in

EXAMPLES = """examples:
  python -m nmt_plugin.evaluate --model runs/demo/nmt/teacher-a0.1 --corpus data/nmt/libreoffice.en-de
  python -m nmt_plugin.evaluate --model runs/teacher --average 5 --corpus data/nmt/libreoffice.en-de --lowercase
  python -m nmt_plugin.evaluate --model checkpoint_best.pt --corpus data/nmt/libreoffice.en-de --output scores/best
  python -m nmt_plugin.evaluate --hypotheses mine.de --corpus data/nmt/libreoffice.en-de
  python -m nmt_plugin.evaluate --hypotheses mine.de --references theirs.de
"""


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    with exit_on_user_error():
        evaluate(args)


def evaluate(args: argparse.Namespace) -> None:
    """Score what the arguments name. Raises UserError for arguments that do not go together."""
    scoring = Scoring(lowercase=args.lowercase, tokenize=args.tokenize)
    search = {"beam": args.beam, "lenpen": args.lenpen, "max_len": args.max_len, "max_tokens": args.max_tokens}
    given = {name: value for name, value in search.items() if value is not None}
    if args.model is None:
        _refuse_with_hypotheses([*given, *(["average"] if args.average is not None else [])])
        hypotheses = read_segments(args.hypotheses)
        if (args.references is None) == (args.corpus is None):
            raise UserError("--hypotheses needs either --references FILE or --corpus DIR (and --subset) to compare to")
        references = (
            read_segments(args.references)
            if args.corpus is None
            else corpus_references(read_corpus(args.corpus), args.subset)
        )
        score_file(hypotheses, references, scoring, args.output, args.name)
        return
    if args.references is not None:
        raise UserError("--references is for --hypotheses; a --model is scored against its split of --corpus DIR")
    if args.corpus is None:
        raise UserError("--corpus is missing: the folder whose split --model translates")
    request = Request(
        model=args.model,
        corpus=args.corpus,
        subset=args.subset,
        search=Search(**given),
        scoring=scoring,
        average=args.average,
        output=args.output,
        name=args.name,
    )
    with alone_in(request.folder):
        score_model(request)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.evaluate",
        description="Translate a split with fairseq-generate, or take a finished translation, and score it with "
        "sacreBLEU (BLEU, chrF and TER).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    either = parser.add_mutually_exclusive_group(required=True)
    model_help = "a fairseq --save-dir (its last and best checkpoint are scored) or one checkpoint file"
    either.add_argument("--model", type=Path, help=model_help)
    either.add_argument("--hypotheses", type=Path, help="a finished translation, one detokenized sentence per line")
    parser.add_argument("--corpus", type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--subset", default="test", choices=["valid", "test"], help="split to score (default: test)")
    parser.add_argument(
        "--references", type=Path, help="with --hypotheses, in place of --corpus: a text file of references"
    )
    parser.add_argument(
        "--lowercase", action="store_true", help="BLEU and chrF without regard to case (TER never regards it)"
    )
    parser.add_argument("--tokenize", default="13a", choices=TOKENIZERS, help="BLEU's own tokenization (default: 13a)")
    parser.add_argument(
        "--average", type=_several, metavar="N", help="also score the mean of the last N epoch (or update) checkpoints"
    )
    parser.add_argument("--beam", type=positive, help=f"beam size (default: {Search.beam})")
    parser.add_argument(
        "--lenpen", type=finite, help=f"length penalty, above 1 favours longer (default: {Search.lenpen:g})"
    )
    parser.add_argument("--max-len", type=positive, help=f"target tokens at most (default: {Search.max_len})")
    parser.add_argument("--max-tokens", type=positive, help=f"source tokens in a batch (default: {Search.max_tokens})")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of hypotheses and record (default: a run's own for its usual test scores, else one beside them)",
    )
    parser.add_argument("--name", help="name of the record (default: from its folder)")
    return parser


def _refuse_with_hypotheses(given: list[str]) -> None:
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{flags}: says how a model translates, but --hypotheses is translated already")


def _several(text: str) -> int:
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"the mean of {value} checkpoints says nothing new; give 2 or more")
    return value


if __name__ == "__main__":
    main()
