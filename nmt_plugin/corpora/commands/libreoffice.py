"""`libreoffice --pair en-de --source data/libreoffice-help --output data/nmt/libreoffice.en-de`."""

import argparse
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.corpora import libreoffice, splits
from nmt_plugin.corpora.cleaning import Rules, clean
from nmt_plugin.corpora.commands.common import (
    Prepared,
    add_output_options,
    build_corpus,
    ratio,
    reasons,
    vocabulary_request,
)
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError

STEPS = 3  # of `_prepare`


def add_parser(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m nmt_plugin.corpora`."""
    help_text = "LibreOffice Help, aligned by paragraph id, split by page"
    parser = corpora.add_parser("libreoffice", help=help_text, description=help_text)
    parser.set_defaults(build=build)
    parser.add_argument("--pair", required=True, help=f"source-target: {' or '.join(libreoffice.PAIRS)}")
    parser.add_argument("--source", required=True, type=Path, help="folder with en-US/, de/, ru/ (scripts/setup.sh)")
    parser.add_argument("--valid-size", type=positive, default=1000, help="pairs aimed at (default %(default)s)")
    parser.add_argument("--test-size", type=positive, default=1200, help="pairs aimed at (default %(default)s)")
    parser.add_argument("--max-words", type=positive, default=Rules.max_words, help="drop longer pairs (%(default)s)")
    parser.add_argument("--max-ratio", type=ratio, default=Rules.max_ratio, help="longer over shorter (%(default)s)")
    add_output_options(parser)


def build(options: argparse.Namespace) -> None:
    """From the help pages of two languages to a corpus folder."""
    if options.pair not in libreoffice.PAIRS:
        raise UserError(f"--pair {options.pair} is unknown; choose from {', '.join(libreoffice.PAIRS)}")
    files = {language: libreoffice.pages(options.source, language) for language in options.pair.split("-")}
    decisive = ("valid_size", "test_size", "max_words", "max_ratio")
    request = (
        {"corpus": "libreoffice", "pair": options.pair}
        | vocabulary_request(options)
        | {name: getattr(options, name) for name in decisive}
        | {f"pages_sha256_{language}": libreoffice.fingerprint(found) for language, found in files.items()}
    )
    build_corpus(options, request, STEPS, lambda progress: _prepare(options, files, progress))


def _prepare(options: argparse.Namespace, files: dict[str, dict[str, Path]], progress: Progress) -> Prepared:
    source, target = options.pair.split("-")
    with progress.step("parse and align") as note:
        pairs, unaligned = libreoffice.align(files[source], files[target])
        note.text = f"{len(pairs):,} paragraphs in both languages on {len(files[source]):,} pages"
    with progress.step("clean") as note:
        fit, unfit = clean(pairs, source, target, Rules(max_words=options.max_words, max_ratio=options.max_ratio))
        note.text = f"{len(fit):,} fit; left out: {reasons(unfit)}"
    with progress.step("split by page") as note:
        parts, spare = splits.split_by_page(fit, valid=options.valid_size, test=options.test_size, seed=options.seed)
        note.text = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    facts: dict[str, Any] = {
        "license": libreoffice.LICENSE,
        "packages": [libreoffice.package_release(options.source, language) for language in (source, target)],
        "libreoffice_version": libreoffice.version(files[source]),
        "counts": {"aligned": len(pairs), "fit": len(fit), "distinct": splits.count_distinct(fit)},
        "dropped": {"unaligned": dict(unaligned), "unfit": dict(unfit), "split": dict(spare)},
    }
    return Prepared((source, target), parts, facts)
