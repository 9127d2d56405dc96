"""`python -m nmt_plugin.sequence_kd`: a corpus whose training targets are a teacher's translations.

Sequence-level knowledge distillation (Kim and Rush 2016, section 3.2): the student learns from the mode of the
teacher's distribution over whole translations, which beam search approximates. The student is then trained on the new
corpus by any criterion; with `word_kd` both kinds of distillation are combined.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nmt_plugin.arguments import finite, positive
from nmt_plugin.beam_search import BeamSearch, Hypothesis
from nmt_plugin.checkpoints import checkpoint_config, checkpoint_paths, read_checkpoint, set_up_task
from nmt_plugin.corpora.card import NAME, finished_card, read_card, write_card
from nmt_plugin.corpora.corpus import Corpus, read_corpus
from nmt_plugin.corpora.databin import require_fairseq
from nmt_plugin.corpora.distilled import STEPS, write_distilled
from nmt_plugin.corpora.folder import whole_folder
from nmt_plugin.corpora.lines import read_lines
from nmt_plugin.corpora.progress import Progress
from nmt_plugin.records import teacher_card
from nmt_plugin.scores.generation import Search
from nmt_plugin.shards import Shards, kept_shards
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError, exit_on_user_error
from shared.files import sha256
from shared.results import Model

EXAMPLES = """examples:
  python -m nmt_plugin.sequence_kd --teacher runs/teacher/checkpoint_last.pt --corpus data/nmt/libreoffice.en-de \\
      --output data/nmt/distilled.en-de
  fairseq-train data/nmt/distilled.en-de/data-bin --user-dir nmt_plugin --criterion smoothed_cross_entropy ...
"""
SCORES = "train.scores.tsv"
TRANSLATION = "translation"  # what a training target is; the others are references, kept for the reason named


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.sequence_kd",
        description="Translate a corpus' training set with a teacher and make a corpus of the translations. Valid, "
        "test, dictionaries and SentencePiece models stay. Killed, it goes on with the shard that it was at.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--teacher", required=True, help="fairseq checkpoint, or several, A.pt:B.pt (mean probability)")
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--output", required=True, type=Path, help="folder of the new corpus")
    parser.add_argument("--beam", type=positive, default=Search.beam, help="beam size (default: %(default)s)")
    parser.add_argument("--lenpen", type=finite, default=Search.lenpen, help="length penalty (default: %(default)g)")
    parser.add_argument("--max-len", type=positive, default=Search.max_len, help="target tokens at most (%(default)s)")
    parser.add_argument(
        "--max-tokens", type=positive, default=Search.max_tokens, help="source tokens in a batch (%(default)s)"
    )
    parser.add_argument("--shard-size", type=positive, default=1000, help="sentences kept at a time (%(default)s)")
    parser.add_argument("--workers", type=positive, default=2, help="processes of fairseq-preprocess (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="make it again even if it, or a part of it, is there")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        distil(args)


def distil(args: argparse.Namespace) -> None:
    """Make the corpus that `args` asks for, unless it is there."""
    require_fairseq()
    corpus = read_corpus(args.corpus)
    _refuse_same_place(args.output, corpus)
    search = Search(beam=args.beam, lenpen=args.lenpen, max_len=args.max_len, max_tokens=args.max_tokens)
    teacher = teacher_card(args.teacher)
    request = {
        "corpus": "sequence-kd",
        "from_card_sha256": sha256(corpus.folder / NAME),
        "teacher_sha256": teacher.sha256,
        **asdict(search),
    }
    card = finished_card(args.output, request, fresh=args.fresh)
    if card is not None:
        print(f"{args.output} is already made: {_summary(card['targets'])}; --fresh makes it again")
        return
    task = _task(args.teacher, corpus)
    beam_search = BeamSearch(LiveTeacher(args.teacher, task), task, search)
    count = math.ceil(len(beam_search.fitting) / args.shard_size)
    settings = request | {"shard_size": args.shard_size}
    part = Path(f"{os.path.abspath(args.output)}.shards")  # "." has no name to add to
    with kept_shards(part, settings, count, fresh=args.fresh) as shards:
        _write_corpus(args, corpus, request, teacher, _translate(shards, beam_search))


def choose_targets(hypotheses: dict[int, Hypothesis], references: Sequence[str]) -> tuple[list[str], list[str]]:
    """Line of pieces for each training pair, and what it is: "translation", or why its reference was kept.

    No pair is dropped, so that the new corpus has the sources of the old one line by line. A translation that the
    length limit cut off (most often one that repeats itself) or that is empty teaches nothing; there the reference
    stays, as it does where the source is longer than the teacher can read.
    """
    targets, kinds = [], []
    for index, reference in enumerate(references):
        found = hypotheses.get(index)
        if found is None:
            kind = "reference: source too long"
        elif not found.ended:
            kind = "reference: translation at the length limit"
        elif found.is_empty:
            kind = "reference: translation empty"
        else:
            kind = TRANSLATION
        targets.append(found.pieces if found is not None and kind == TRANSLATION else reference)
        kinds.append(kind)
    return targets, kinds


def _refuse_same_place(output: Path, corpus: Corpus) -> None:
    """`--fresh` replaces the whole of `output`: the corpus that it is made from must not go with it."""
    ours, theirs = output.resolve(), corpus.folder.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise UserError(f"--output {output} is, holds or is inside --corpus {corpus.folder}; choose another --output")


def _task(teacher: str, corpus: Corpus) -> Any:
    """The (first) teacher's task on the corpus, with the corpus' dictionaries."""
    path = checkpoint_paths(teacher)[0]
    config = checkpoint_config(read_checkpoint(path))
    config.task.data = str(corpus.data_bin)
    config.task.source_lang, config.task.target_lang = corpus.source_language, corpus.target_language
    return set_up_task(path, config.task)


def _translate(shards: Shards, beam_search: BeamSearch) -> dict[int, Hypothesis]:
    """Make the shards that are missing; returns the hypotheses of all of them by their pair's index."""
    fitting = beam_search.fitting.tolist()
    # Every shard has short and long sentences, so that the time left can be told from the time spent.
    indices = [fitting[number :: shards.count] for number in range(shards.count)]
    missing = shards.missing()
    todo = sum(len(indices[number]) for number in missing)
    with tqdm(
        total=len(fitting), initial=len(fitting) - todo, unit=" sentences", desc="beam search", mininterval=1
    ) as bar:
        for number in missing:
            lines = []
            for batch in beam_search(indices[number]):
                lines += [_format(hypothesis) for hypothesis in batch]
                bar.update(len(batch))
            shards.write(number, lines)
    return {h.index: h for number in range(shards.count) for h in map(_parse, shards.read(number))}


def _write_corpus(
    args: argparse.Namespace,
    corpus: Corpus,
    request: dict[str, Any],
    teacher: Model,
    hypotheses: dict[int, Hypothesis],
) -> None:
    """The new corpus in `args.output`, whole or not at all."""
    targets, kinds = choose_targets(hypotheses, _references(corpus))
    counts = dict(Counter(kinds))
    progress = Progress(STEPS)
    with whole_folder(args.output) as folder:
        facts = write_distilled(folder, corpus, targets, progress, workers=args.workers)
        _write_scores(folder / "raw" / SCORES, hypotheses, kinds)
        write_card(folder, request, facts | {"teacher": asdict(teacher), "targets": counts})
    print(f"{args.output}: {_summary(counts)} ({progress.seconds:.1f} s after the search)")


def _format(h: Hypothesis) -> str:
    return f"{h.index}\t{h.log_probability!r}\t{int(h.ended)}\t{h.pieces}"


def _parse(line: str) -> Hypothesis:
    index, log_probability, ended, pieces = line.split("\t")
    return Hypothesis(int(index), pieces, float(log_probability), ended == "1")


def _references(corpus: Corpus) -> list[str]:
    """The training targets in pieces. Raises UserError where they are not those that were built."""
    name = f"spm/train.{corpus.target_language}"
    path = corpus.folder / name
    if not path.is_file() or sha256(path) != read_card(corpus.folder)["files"].get(name):
        raise UserError(f"{path} is missing or changed since the corpus was built; build it again with --fresh")
    return read_lines(path)


def _write_scores(path: Path, hypotheses: dict[int, Hypothesis], kinds: Sequence[str]) -> None:
    """One line for each training pair: the translation's log-probability (nats) and tokens, and what the target is."""
    lines = ["log_probability\ttokens\ttarget"]
    for index, kind in enumerate(kinds):
        found = hypotheses.get(index)
        tokens = len(found.pieces.split()) + 1 if found else ""
        lines.append(f"{found.log_probability if found else ''}\t{tokens}\t{kind}")
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _summary(counts: dict[str, int]) -> str:
    kept = [f"{count:,} kept their {kind}" for kind, count in sorted(counts.items()) if kind != TRANSLATION]
    return ", ".join([f"{counts.get(TRANSLATION, 0):,} training targets are translations", *kept])


if __name__ == "__main__":
    main()
