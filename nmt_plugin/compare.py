"""`python -m nmt_plugin.compare`: are systems better than a baseline, by sacreBLEU's paired significance tests?"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.outputs import writable_folder
from nmt_plugin.scores.comparison import SAMPLES, TESTS, Comparison, Standing, compare_systems, read_system
from nmt_plugin.scores.scoring import TOKENIZERS, Scoring
from nmt_plugin.scores.segments import Segments, corpus_references, read_segments
from shared.decoding import read_json
from shared.errors import UserError, exit_on_user_error
from shared.files import write_text
from shared.results import RunClock

EXAMPLES = """examples:
  python -m nmt_plugin.compare --baseline runs/demo/nmt/student-a0.1-T1 --systems runs/demo/nmt/student-a0.1-T3 \\
      --corpus data/nmt/libreoffice.en-de --output comparison.json
  python -m nmt_plugin.compare --baseline a.de --systems b.de c.de --references test.de --test ar --output abc.json
"""
SCHEMA = 1


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    with exit_on_user_error():
        compare(args)


def compare(args: argparse.Namespace) -> Comparison:
    """Compare what the arguments name, print the table and write it as JSON; returns it."""
    clock = RunClock()
    references = (
        read_segments(args.references)
        if args.corpus is None
        else corpus_references(read_corpus(args.corpus), args.subset)
    )
    systems = [read_system(path, args.checkpoint, references) for path in (args.baseline, *args.systems)]
    _check_output(args.output)
    scoring = Scoring(lowercase=args.lowercase, tokenize=args.tokenize)
    found = compare_systems(systems, references, scoring, test=args.test, samples=args.samples, seed=args.seed)
    record = {"schema": SCHEMA, **_facts(found), "provenance": asdict(clock.provenance("cpu"))}
    write_text(args.output, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    print("\n".join(table(found)))
    print(f"wrote {args.output}")
    return found


def table(found: Comparison) -> list[str]:
    """The comparison for a person: a block of lines for each metric."""
    names = [str(system.path) for system in found.systems]
    names[0] += " (baseline)"
    width = max(map(len, names))
    lines = [
        f"{TESTS[found.test]}: {found.samples:,} samples, seed {found.seed}, {len(found.references.lines):,} sentences"
    ]
    for metric, (signature, standings) in found.standings.items():
        remark = "  (lower is better)" if metric == "TER" else ""
        lines += ["", signature + remark, f"{'':{width}}   score   95 % interval   change        p"]
        lines += [f"{name:<{width}}  {_cells(standing)}" for name, standing in zip(names, standings, strict=True)]
    if len(names) > 2:
        lines += ["", f"each p is of one pair; with {len(names) - 1} systems ask for {0.05 / (len(names) - 1):.2g}"]
        lines[-1] += " rather than 0.05 (Bonferroni)"
    return [*lines, ""]


def _check_output(path: Path) -> None:
    """Raise UserError where `path` cannot be written, or is a file that is no comparison."""
    writable_folder(path.parent)
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; name a file, e.g. {path / 'comparison.json'}")
    if path.exists() and not _is_comparison(path):
        raise UserError(f"--output {path} is no comparison, which alone may be replaced; name another file")


def _is_comparison(path: Path) -> bool:
    """Whether this command wrote it: a run's record has metrics and provenance too, but no systems."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"schema", "test", "references", "systems", "metrics"} <= found.keys()


def _cells(standing: Standing) -> str:
    text = f"{standing.score:6.2f}   {standing.mean:6.2f} ± {standing.half_width:4.2f}"
    if standing.change is None or standing.p_value is None:
        return text
    return f"{text}   {standing.change:+6.2f}   {standing.p_value:6.4f}"


def _facts(found: Comparison) -> dict[str, Any]:
    """The comparison as `--output` holds it."""
    return {
        "test": found.test,
        "samples": found.samples,
        "seed": found.seed,
        "references": _file(found.references),
        "systems": [_file(system) for system in found.systems],
        "metrics": {
            metric: {"signature": signature, "systems": [asdict(standing) for standing in standings]}
            for metric, (signature, standings) in found.standings.items()
        },
    }


def _file(segments: Segments) -> dict[str, Any]:
    return {"file": str(segments.path), "sha256": segments.sha256, "lines": len(segments.lines)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.compare",
        description="Test systems against a baseline on the same sentences with sacreBLEU's paired tests. A system is "
        "a text file of detokenized hypotheses, or a folder that python -m nmt_plugin.evaluate scored.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--baseline", type=Path, required=True, help="the system that the others are tested against")
    parser.add_argument("--systems", type=Path, required=True, nargs="+", help="one system or more")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--corpus", type=Path, help="folder that python -m nmt_plugin.corpora built")
    either.add_argument("--references", type=Path, help="in place of --corpus: a text file of references")
    parser.add_argument("--subset", default="test", choices=["valid", "test"], help="split of --corpus (default: test)")
    parser.add_argument("--checkpoint", default="last", help="in folders: last, best, avg5, ... (default: last)")
    parser.add_argument("--test", default="bs", choices=list(TESTS), help="bootstrap or randomization (default: bs)")
    samples_help = f"resamples or trials (default: {SAMPLES['bs']:,} for bs, {SAMPLES['ar']:,} for ar)"
    parser.add_argument("--samples", type=positive, help=samples_help)
    parser.add_argument("--seed", type=positive, default=12345, help="of the resamples (default: 12345)")
    parser.add_argument("--lowercase", action="store_true", help="BLEU and chrF without regard to case")
    parser.add_argument("--tokenize", default="13a", choices=TOKENIZERS, help="BLEU's tokenization (default: 13a)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    return parser


if __name__ == "__main__":
    main()
