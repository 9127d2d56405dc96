"""`text --source-lang en --target-lang fr --train a.en a.fr --output DIR`: any parallel files."""

import argparse
import os
import re
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.corpora import splits
from nmt_plugin.corpora.cleaning import Rules, clean
from nmt_plugin.corpora.commands.common import (
    Prepared,
    add_output_options,
    build_corpus,
    digest_of,
    ratio,
    reasons,
    vocabulary_request,
)
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.parallel import read_pairs
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError
from shared.files import sha256

STEPS = 3  # of `_prepare`
SIZES = {"valid": 1000, "test": 1200}  # where neither files nor sizes are given
BLOCK = 20  # where --block does not say
Files = dict[str, list[tuple[Path, Path]]]  # split -> source and target files


def add_parser(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m nmt_plugin.corpora`."""
    help_text = "any parallel files, line by line, plain or .gz"
    parser = corpora.add_parser("text", help=help_text, description=help_text)
    parser.set_defaults(build=build)
    parser.add_argument("--source-lang", required=True, help="name of the source language, as en")
    parser.add_argument("--target-lang", required=True, help="name of the target language, as de")
    several = "source and target file, and further such pairs"
    parser.add_argument("--train", required=True, nargs="+", type=Path, metavar="FILE", help=several)
    given = f"{several}; stays as it is (without --valid and --test, both are taken from --train)"
    parser.add_argument("--valid", nargs="+", type=Path, metavar="FILE", help=given)
    parser.add_argument("--test", nargs="+", type=Path, metavar="FILE", help=given)
    parser.add_argument("--valid-size", type=positive, help=f"pairs to take from --train ({SIZES['valid']})")
    parser.add_argument("--test-size", type=positive, help=f"pairs to take from --train ({SIZES['test']})")
    block = f"neighbouring lines that stay together when valid and test are taken from --train ({BLOCK})"
    parser.add_argument("--block", type=positive, help=block)
    leaks = "leave sentences of --valid and --test in --train, and only count them"
    parser.add_argument("--keep-leaks", action="store_true", help=leaks)
    parser.add_argument("--max-words", type=positive, default=Rules.max_words, help="drop longer pairs (%(default)s)")
    characters = "drop longer pairs (%(default)s)"
    parser.add_argument("--max-characters", type=positive, default=Rules.max_characters, help=characters)
    longer = "longer over shorter, in characters (%(default)s)"
    parser.add_argument("--max-ratio", type=ratio, default=Rules.max_ratio, help=longer)
    parser.add_argument("--licence", default="not stated", help="of the text, for the card")
    add_output_options(parser)


def build(options: argparse.Namespace) -> None:
    """From parallel files to a corpus folder."""
    languages = _languages(options.source_lang, options.target_lang)
    files = _files(options)
    sizes = _sizes(options)
    _check_split_options(options)
    inputs = {
        name: [{"file": path.name, "sha256": sha256(path)} for pair in pairs for path in pair]
        for name, pairs in files.items()
    }
    decisive = ("keep_leaks", "max_words", "max_characters", "max_ratio", "licence")
    request = (
        {"corpus": "text", "source_lang": languages[0], "target_lang": languages[1]}
        | vocabulary_request(options)
        | {f"{name}_size": size for name, size in sizes.items()}
        | {"block": options.block or BLOCK}  # cards of given splits have it too, though it changes nothing there
        | {name: getattr(options, name) for name in decisive}
        | {f"{name}_sha256": digest_of(one["sha256"] for one in of) for name, of in inputs.items()}
    )
    facts: dict[str, Any] = {"license": options.licence, "inputs": inputs}
    build_corpus(options, request, STEPS, lambda progress: _prepare(options, files, sizes, facts, progress))


def _languages(source: str, target: str) -> tuple[str, str]:
    for name in (source, target):
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UserError(f"the language {name!r} must be letters, digits and _ alone, as en or zh_CN, for fairseq")
    if source == target:
        raise UserError(f"--source-lang and --target-lang are both {source}; name them apart, as {source}1 {source}2")
    return source, target


def _files(options: argparse.Namespace) -> Files:
    """The files that are given by split. UserError where one is missing or has no partner."""
    if (options.valid is None) != (options.test is None):
        raise UserError("--valid and --test belong together: give both, or neither to take them from --train")
    given = {"train": options.train, "valid": options.valid, "test": options.test}
    files: Files = {}
    for name, paths in given.items():
        if paths is None:
            continue
        if len(paths) % 2:
            raise UserError(f"--{name} has {len(paths)} files; give pairs: SOURCE TARGET [SOURCE TARGET ...]")
        for path in paths:
            if not (path.is_file() and os.access(path, os.R_OK)):
                raise UserError(f"--{name} {path}: no such file, or it may not be read")
        files[name] = list(zip(paths[::2], paths[1::2], strict=True))
    return files


def _sizes(options: argparse.Namespace) -> dict[str, int]:
    """How many pairs valid and test shall take from train; none where they are given as files."""
    asked = {"valid": options.valid_size, "test": options.test_size}
    if options.valid is None:
        return {name: size or SIZES[name] for name, size in asked.items()}
    for name, size in asked.items():
        if size is not None:
            raise UserError(f"--{name} and --{name}-size are both given; a split is given or taken, not both")
    return {}


def _check_split_options(options: argparse.Namespace) -> None:
    """UserError for an option that would do nothing."""
    if options.valid is None and options.keep_leaks:
        raise UserError(
            "--keep-leaks is for a given --valid and --test; taken from --train, they have no leaks to keep"
        )
    if options.valid is not None and options.block is not None:
        raise UserError("--block is for splits that are taken from --train; --valid and --test are given")


def _prepare(
    options: argparse.Namespace, files: Files, sizes: dict[str, int], facts: dict[str, Any], progress: Progress
) -> Prepared:
    source, target = languages = (options.source_lang, options.target_lang)
    with progress.step("read") as note:
        texts = {name: read_pairs(pairs, options.block or BLOCK) for name, pairs in files.items()}
        note.text = _lengths(texts)
    with progress.step("clean") as note:
        rules = Rules(options.max_words, options.max_characters, options.max_ratio)
        fit, unfit = clean(texts["train"], source, target, rules)
        held = [name for name in files if name != "train"]
        given = {name: [pair for pair in texts[name] if pair.source and pair.target] for name in held}
        empty = {name: len(texts[name]) - len(part) for name, part in given.items()}
        note.text = f"{len(fit):,} of train fit; left out: {reasons(unfit)}"
        note.text += "".join(f"; {number:,} empty of {name}" for name, number in empty.items() if number)
    with progress.step("split") as note:
        if sizes:
            parts, spare = splits.split_by_page(fit, **sizes, seed=options.seed)
        else:
            parts, spare = splits.divide_given({"train": fit} | given, keep_leaks=options.keep_leaks)
        overlap = splits.count_overlap(parts)
        note.text = f"{_lengths(parts)}; left out: {reasons(spare)}"
        note.text += f"; in train too: {overlap['valid']:,} of valid, {overlap['test']:,} of test"
    facts |= {
        "counts": {"lines": {name: len(pairs) for name, pairs in texts.items()}, "fit": len(fit)},
        "dropped": {"unfit": dict(unfit), "empty": empty, "split": dict(spare)},
        "sentences_in_train_too": overlap,
    }
    return Prepared(languages, parts, facts)


def _lengths(parts: dict[str, list[Pair]]) -> str:
    return ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
