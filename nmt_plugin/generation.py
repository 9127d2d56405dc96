"""Translations of a whole split by `fairseq-generate`."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nmt_plugin.corpora.corpus import Corpus
from shared.errors import UserError


@dataclass(frozen=True)
class Search:
    """Beam search settings; they change the score, so they are recorded beside it."""

    beam: int = 5
    lenpen: float = 1.0
    max_len: int = 200  # target tokens at most (fairseq's --max-len-b)
    max_tokens: int = 8000


def translate(checkpoint: Path, corpus: Corpus, subset: str, search: Search, folder: Path) -> list[str]:
    """Detokenized hypotheses of `subset`, in the order of its raw text; fairseq's own log goes to stderr.

    `fairseq-generate` keeps its full output (scores, alignments of pieces) in `folder/generate-<subset>.txt`.
    Raises UserError where generation fails.
    """
    command = [
        *(sys.executable, "-m", "fairseq_cli.generate", str(corpus.data_bin)),
        *("--user-dir", str(Path(__file__).parent), "--path", str(checkpoint), "--gen-subset", subset),
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
    return read_hypotheses(folder / f"generate-{subset}.txt")


def read_hypotheses(path: Path) -> list[str]:
    """The detokenized best hypotheses (`D-<id>` lines) of a `fairseq-generate` output, ordered by sentence id."""
    by_id: dict[int, str] = {}
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("D-"):
                tag, _, text = line.rstrip("\n").split("\t", 2)
                by_id[int(tag[2:])] = text
    if sorted(by_id) != list(range(len(by_id))):
        raise UserError(f"{path}: sentences are missing from fairseq-generate's output; remove it and evaluate again")
    return [by_id[index] for index in range(len(by_id))]
