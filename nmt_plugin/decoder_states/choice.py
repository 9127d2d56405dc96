"""What a measurement of decoder states is of: its sentences, its classes, and S1 and S2 of its targets."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.decoder_states.reader import StateReader, choose_texts
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.study import SPLITS
from nmt_plugin.decoder_states.token_classes import TokenClasses
from nmt_plugin.decoder_states.token_sets import NamedSets, named_sets, sample_s2, sets_of_file
from shared.diffusion import ClassSets, nearest_centroid_sets
from shared.errors import UserError

S1_SIZE = 5


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that the functions below read."""
    parser.add_argument(
        "--targets",
        nargs="+",
        metavar="TOKEN",
        help="target tokens (default: all of --sets, or the three most frequent pieces that start a word and have at "
        "least 4 letters)",
    )
    parser.add_argument(
        "--sets",
        type=Path,
        metavar="FILE",
        help='JSON {"TARGET": {"s1": ["TOKEN", ...], "s2": [...]}}; without "s2", all other tokens; or the result.json '
        "that nmt_plugin.diffusion wrote, whose sets are then measured again",
    )
    parser.add_argument("--s1-size", type=positive, help=f"number of nearest tokens in S1 (default: {S1_SIZE})")
    parser.add_argument("--s2-size", type=positive, help="sample so many of the other tokens for S2 (default: all)")
    parser.add_argument(
        "--min-count",
        type=positive,
        default=10,
        help="leave out tokens with fewer occurrences in a measured split (default: 10)",
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=list(SPLITS),
        choices=SPLITS,
        help="what to measure; S1 is chosen on the first (default: train valid)",
    )
    parser.add_argument(
        "--max-sentences", type=positive, help="measure a sample of so many sentences of a split (default: all)"
    )
    parser.add_argument("--seed", type=positive, default=1, help="seed of the samples (default: 1)")


def settings_of(args: argparse.Namespace) -> list[Any]:
    """What shapes a record beside its sets, for its name."""
    return [args.splits, args.min_count, args.max_sentences, args.seed]


def sets_asked_for(args: argparse.Namespace) -> dict[str, NamedSets] | None:
    """The sets of `--sets`; None where centroids choose. Raises UserError for flags that do not go together."""
    if args.targets is not None and len(set(args.targets)) != len(args.targets):
        raise UserError(f"--targets names a token twice: {' '.join(args.targets)}")
    if args.sets is None:
        return None
    if args.s1_size is not None:
        raise UserError("--s1-size is for the nearest tokens of a teacher; --sets names S1 itself, so leave one out")
    return named_sets(args.sets, args.targets, args.s2_size)


def texts_and_classes(args: argparse.Namespace, readers: Sequence[StateReader]) -> tuple[list[Sentences], TokenClasses]:
    """The sentences of every split for all of these models, and the tokens that are frequent enough in them."""
    texts = choose_texts(args.splits, readers, args.max_sentences, args.seed)
    dictionary = readers[0].task.target_dictionary
    return texts, TokenClasses(dictionary, {text.split: text.counts() for text in texts}, args.min_count)


def choose_sets(
    args: argparse.Namespace,
    named: dict[str, NamedSets] | None,
    classes: TokenClasses,
    choosers: Sequence[StateReader],
    text: Sentences,
) -> list[ClassSets]:
    """S1 and S2 of every target: those `named`, or by the centroids of `choosers` on `text` where that is None."""
    if named is not None:
        chosen = [sets_of_file(target, sets, classes) for target, sets in named.items()]
    else:
        assert choosers  # the command asked for one
        size, targets = args.s1_size or S1_SIZE, args.targets or classes.frequent_words()
        places = [classes.place(target) for target in targets]
        if size > len(classes.names) - 2:
            raise UserError(f"--s1-size {size} leaves no class for S2: there are {len(classes.names)} in all")
        centroids = [chooser.centroids(text, classes.entries) for chooser in choosers]
        chosen = [nearest_centroid_sets(centroids, place, size) for place in places]
    return chosen if args.s2_size is None else [sample_s2(one, args.s2_size, args.seed) for one in chosen]
