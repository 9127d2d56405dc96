"""Translations of a whole split by `fairseq-generate`, made once for each checkpoint and search."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt_plugin.corpora.card import NAME
from nmt_plugin.corpora.corpus import Corpus
from shared.decoding import read_json
from shared.errors import UserError
from shared.files import sha256, write_text

_USER_DIR = Path(__file__).parent.parent  # the plugin, for --user-dir


@dataclass(frozen=True)
class Search:
    """Beam search settings; they change the score, so they are recorded beside it."""

    beam: int = 5
    lenpen: float = 1.0
    max_len: int = 200  # target tokens at most (fairseq's --max-len-b)
    max_tokens: int = 8000


def translate(
    checkpoint: Path, corpus: Corpus, subset: str, search: Search, folder: Path, kept: Path | None = None
) -> list[str]:
    """Detokenized hypotheses of `subset`, in the order of its raw text; fairseq's own log goes to stderr.

    `fairseq-generate` keeps its full output (scores, alignments of pieces) in `folder/generate-<subset>.txt`. What was
    asked for is written beside it once that output is whole, so that the same request is answered from the file, here
    or in the folder `kept`: a crash afterwards does not cost another translation. Raises UserError where generation
    fails.
    """
    name = f"generate-{subset}.txt"
    request: dict[str, Any] = {
        "checkpoint_sha256": sha256(checkpoint),
        "corpus_card_sha256": sha256(corpus.folder / NAME),
        "subset": subset,
        "search": asdict(search),
    }
    for output in dict.fromkeys((folder / name, (kept or folder) / name)):
        if _answered(output, request):
            print(f"{output} is that of an earlier run with the same checkpoint, corpus and search", file=sys.stderr)
            return read_hypotheses(output)
    output = folder / name
    _generate(checkpoint, corpus, subset, search, folder)
    hypotheses = read_hypotheses(output)
    if len(hypotheses) != corpus.sizes[subset]:
        raise UserError(f"{output} has {len(hypotheses)} sentences, but the corpus has {corpus.sizes[subset]}")
    request["output_sha256"] = sha256(output)
    write_text(output.with_suffix(".json"), json.dumps(request, indent=1) + "\n")
    return hypotheses


def read_hypotheses(path: Path) -> list[str]:
    """The detokenized best hypotheses (`D-<id>` lines) of a `fairseq-generate` output, ordered by sentence id."""
    by_id: dict[int, str] = {}
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("D-"):
                by_id.update([_numbered(line.removesuffix("\n"), path)])
    if sorted(by_id) != list(range(len(by_id))):
        raise UserError(f"{path}: sentences are missing from fairseq-generate's output; remove it and evaluate again")
    return [by_id[index] for index in range(len(by_id))]


def _numbered(line: str, path: Path) -> tuple[int, str]:
    try:
        tag, _, text = line.split("\t", 2)
        return int(tag[2:]), text
    except ValueError:
        raise UserError(f"{path}: {line[:40]!r} is no line of fairseq-generate; remove it and evaluate again") from None


def _answered(output: Path, request: dict[str, Any]) -> bool:
    """Whether `output` is the whole and unchanged answer to `request`."""
    try:
        found = read_json(output.with_suffix(".json"))
    except (OSError, ValueError):
        return False
    return output.is_file() and found == {**request, "output_sha256": sha256(output)}


def _generate(checkpoint: Path, corpus: Corpus, subset: str, search: Search, folder: Path) -> None:
    command = [
        *(sys.executable, "-m", "fairseq_cli.generate", str(corpus.data_bin)),
        *("--user-dir", str(_USER_DIR), "--path", str(checkpoint), "--gen-subset", subset),
        *("--source-lang", corpus.source_language, "--target-lang", corpus.target_language),
        # fairseq's default of 8 drops the last batch, the longest sentences, unless its size is a multiple of 8.
        *("--required-batch-size-multiple", "1"),
        *("--beam", str(search.beam), "--lenpen", str(search.lenpen)),
        *("--max-len-b", str(search.max_len), "--max-tokens", str(search.max_tokens)),
        *("--bpe", "sentencepiece", "--sentencepiece-model", str(corpus.sentencepiece_model)),
        *("--results-path", str(folder), "--log-format", "simple", "--log-interval", "5"),
    ]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise UserError(f"fairseq-generate failed on {checkpoint}; its own message stands above")
