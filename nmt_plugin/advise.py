"""`python -m nmt_plugin.advise`: how smoothed a teacher is, and which temperature and loss the evidence speaks for."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from nmt_plugin.arguments import positive
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader, choose_texts
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.study import SPLITS, quiet_libraries
from nmt_plugin.outputs import writable_folder
from shared.advice import (
    Advice,
    Measurement,
    Teacher,
    advice_lines,
    advise,
    check_evidence,
    measure,
    read_evidence,
    write_advice,
)
from shared.errors import UserError, exit_on_user_error
from shared.locks import alone_in

TASK = "translation"
SEED = 1
# The tokens whose states are clusters: frequent enough for a centroid, and so few that their mean predictions fit.
MIN_COUNT, MOST_TOKENS = 10, 200
EXAMPLES = """examples:
  python -m nmt_plugin.advise --model teacher/checkpoint_last.pt --corpus data/nmt/libreoffice.en-de
  python -m nmt_plugin.advise --model teacher/checkpoint_last.pt --corpus data/nmt/libreoffice.en-de \\
      --max-sentences 2000 --evidence runs/study-nmt --output runs/nmt/advice
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    quiet_libraries()
    with exit_on_user_error(), alone_in(args.output):
        give_advice(args)


def give_advice(args: argparse.Namespace) -> Advice:
    """Print the advice for a teacher, measured on train and valid, write it where `args.output` says so; return it.

    Raises UserError, before any model is run, for a student, other dictionaries than the corpus has, and a folder of
    evidence without records.
    """
    check_evidence(args.evidence)
    evidence = read_evidence(args.evidence, TASK)
    if args.output is not None:
        writable_folder(args.output)
    corpus = read_corpus(args.corpus)
    reader = StateReader(args.model, corpus)
    if reader.card.role != "teacher":
        raise UserError(f"{reader.path} is a student; name the teacher that you want to distil")
    texts = choose_texts(SPLITS, [reader], args.max_sentences, SEED)
    print(*texts, sep="\n", flush=True)
    tokens = _frequent(reader, texts)
    measured = {text.split: _measured(reader, text, tokens) for text in texts}
    names = reader.task.target_dictionary.symbols
    advice = advise(Teacher(str(reader.path), TASK, corpus.name, reader.card, names), measured, evidence)
    print(*advice_lines(advice), sep="\n", flush=True)
    if args.output is not None:
        print(f"wrote {write_advice(args.output, advice)}", flush=True)
    return advice


def _measured(reader: StateReader, text: Sentences, tokens: Sequence[int]) -> Measurement:
    """After one pass, over every target position but pads. Raises UserError where the model has diverged."""
    dictionary = reader.task.target_dictionary
    counted = [entry for entry in range(len(dictionary)) if entry != dictionary.pad()]
    entry_of = torch.tensor(counted, device=reader.device)
    batches = ((states, entry_of[labels]) for states, labels in reader.states(text, counted))
    try:
        return measure(batches, reader.logits, len(dictionary), tokens)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{reader.path} on {text.split}: {error}") from None


def _frequent(reader: StateReader, texts: Sequence[Sentences]) -> list[int]:
    """The most frequent entries of the first text that are no specials and occur `MIN_COUNT` times in each."""
    dictionary = reader.task.target_dictionary
    counts = [text.counts() for text in texts]
    enough = torch.stack(counts).amin(dim=0) >= MIN_COUNT
    enough[[dictionary.pad(), dictionary.unk(), dictionary.bos(), dictionary.eos()]] = False
    ordered = counts[0].argsort(descending=True, stable=True)
    kept: list[int] = ordered[enough[ordered]][:MOST_TOKENS].tolist()
    return kept


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.advise",
        description="How smoothed a teacher's predictions of target tokens are, on samples of train and valid, and "
        "which temperature and loss the records of studies speak for.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, type=Path, help="checkpoint of the teacher")
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument(
        "--max-sentences",
        type=positive,
        default=500,
        help="measure a sample of so many sentences of train and of valid (default: 500)",
    )
    parser.add_argument(
        "--evidence",
        help="folder whose result.json files are the evidence (default: results/ where that has any, else the paper's "
        "published numbers)",
    )
    parser.add_argument("--output", type=Path, help="folder for advice.json (default: print only)")
    return parser


if __name__ == "__main__":
    main()
