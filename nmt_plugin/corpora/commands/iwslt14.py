"""`iwslt14 --pair en-de --output data/nmt/iwslt14.en-de`: from the official archive, downloaded or at hand."""

import argparse
from collections import Counter
from pathlib import Path

from nmt_plugin.arguments import positive
from nmt_plugin.corpora import iwslt14, splits
from nmt_plugin.corpora.commands.common import (
    Prepared,
    add_output_options,
    build_corpus,
    digest_of,
    ratio,
    reasons,
    vocabulary_request,
)
from nmt_plugin.corpora.download import fetch_archive
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError

STEPS = 3  # of `_prepare`


def add_parser(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m nmt_plugin.corpora`."""
    help_text = "IWSLT 2014: TED talks, from the official archive"
    parser = corpora.add_parser("iwslt14", help=help_text, description=help_text)
    parser.set_defaults(build=build)
    parser.add_argument("--pair", required=True, help=f"source-target: {' or '.join(iwslt14.ARCHIVES)}")
    source_help = "official archive (de-en.tgz, ru-en.tgz), folder with its files, or whole release; else a download"
    parser.add_argument("--source", type=Path, help=source_help)
    parser.add_argument("--url", help="mirror to download the archive from (it is kept beside the corpus folder)")
    parser.add_argument("--lowercase", action="store_true", help="all text in lower case, as in published numbers")
    limits = "of train and valid, in words and marks (%(default)s)"
    parser.add_argument("--max-words", type=positive, default=175, help=f"drop longer pairs {limits}")
    parser.add_argument("--max-ratio", type=ratio, default=1.5, help=f"longer over shorter {limits}")
    add_output_options(parser)


def build(options: argparse.Namespace) -> None:
    """From an archive to a corpus folder."""
    if options.pair not in iwslt14.ARCHIVES:
        raise UserError(f"--pair {options.pair} is unknown; choose from {', '.join(iwslt14.ARCHIVES)}")
    files = iwslt14.read_archive(_source(options), options.pair)
    decisive = ("lowercase", "max_words", "max_ratio")
    request = (
        {"corpus": "iwslt14", "pair": options.pair}
        | vocabulary_request(options)
        | {name: getattr(options, name) for name in decisive}
        | {"inputs_sha256": digest_of(iwslt14.fingerprint(files).values())}
    )
    build_corpus(options, request, STEPS, lambda progress: _prepare(options, files, progress))


def _source(options: argparse.Namespace) -> Path:
    """The archive that is named, or else downloaded now or by an earlier run."""
    archive = iwslt14.ARCHIVES[options.pair]
    if options.source is not None and options.url is not None:
        raise UserError("--source and --url are both given; name a local archive or a mirror, not both")
    if options.source is not None:
        return options.source
    hint = f"get release 2014-01 from {iwslt14.RELEASE} and name it, or its {archive}.tgz, with --source"
    url = options.url or iwslt14.URLS.get(archive)
    if url is None:
        raise UserError(f"{archive}.tgz has no address of its own; {hint}, or name a mirror with --url")
    return fetch_archive(url, options.output.parent / f"iwslt14.{archive}.tgz", hint)


def _prepare(options: argparse.Namespace, files: dict[str, bytes], progress: Progress) -> Prepared:
    with progress.step("parse") as note:
        training, metadata = iwslt14.training_pairs(files, options.pair)
        sets = iwslt14.segment_pairs(files, options.pair)
        absent = [name for name in iwslt14.SETS if name not in sets]
        test = [pair for pairs, _ in sets.values() for pair in pairs]
        note.text = f"{len(training):,} training lines, {len(test):,} segments in {len(sets)} test sets"
        note.text += f" (absent: {', '.join(absent)})" if absent else ""
    with progress.step("clean") as note:
        fit, unfit = _clean(training, options.max_words, options.max_ratio)
        note.text = f"{len(fit):,} fit; left out: {reasons(unfit)}"
    with progress.step("split by every 23rd line") as note:
        parts = splits.split_by_step(fit, 23) | {"test": test}
        if options.lowercase:
            parts = {name: [_lower(pair) for pair in part] for name, part in parts.items()}
        overlap = splits.count_overlap(parts)
        note.text = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
        note.text += f"; in train too: {overlap['valid']:,} of valid, {overlap['test']:,} of test"
    source, target = options.pair.split("-")
    facts = {
        "license": iwslt14.LICENSE,
        "release": iwslt14.RELEASE,
        "inputs": iwslt14.fingerprint(files),
        "test_sets": {name: len(pairs) for name, (pairs, _) in sets.items()},
        "segments_numbered_otherwise": {name: unlike for name, (_, unlike) in sets.items() if unlike},
        "counts": {"training_lines": len(training), "fit": len(fit), "distinct": splits.count_distinct(fit)},
        "dropped": {"metadata": dict(metadata), "unfit": dict(unfit)},
        "sentences_in_train_too": overlap,
    }
    return Prepared((source, target), parts, facts)


def _clean(pairs: list[Pair], max_words: int, max_ratio: float) -> tuple[list[Pair], Counter[str]]:
    why = [iwslt14.unfit(pair, max_words, max_ratio) for pair in pairs]
    fit = [pair for pair, reason in zip(pairs, why, strict=True) if reason is None]
    return fit, Counter(reason for reason in why if reason is not None)


def _lower(pair: Pair) -> Pair:
    return pair._replace(source=pair.source.lower(), target=pair.target.lower())
