"""BLEU, chrF and TER by sacreBLEU on detokenized text, each with the signature that makes it comparable."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric as Scorer

from shared.errors import UserError
from shared.results import Metric

TOKENIZERS = ("13a", "intl", "char", "zh", "none")  # sacreBLEU's that need neither a download nor another package


@dataclass(frozen=True)
class Scoring:
    """What changes a score, and so stands in its signature.

    `lowercase` is for BLEU and chrF; TER never looks at case (sacreBLEU's default, after tercom). `tokenize` is BLEU's
    own tokenization, one of TOKENIZERS.
    """

    lowercase: bool = False
    tokenize: str = "13a"

    def scorers(self) -> dict[str, Scorer]:
        """sacreBLEU's scorers by the last part of a metric's key."""
        return {
            "bleu": BLEU(lowercase=self.lowercase, tokenize=self.tokenize),
            "chrf": CHRF(lowercase=self.lowercase),
            "ter": TER(),
        }

    def command(self, references: Path, hypotheses: Path) -> str:
        """The `sacrebleu` command line that gives the same scores from the files."""
        words = ["sacrebleu", str(references), "-i", str(hypotheses), "-m", "bleu", "chrf", "ter", "-w", "2"]
        if self.lowercase:
            words += ["--lowercase", "--chrf-lowercase"]
        if self.tokenize != "13a":
            words += ["--tokenize", self.tokenize]
        return shlex.join(words)

    def suffix(self) -> str:
        """What tells a folder of such scores from one of the default's: "" or e.g. `-lowercase`."""
        return f"{'-lowercase' if self.lowercase else ''}{f'-{self.tokenize}' if self.tokenize != '13a' else ''}"

    def agrees_with(self, bleu_signature: str) -> bool:
        """Whether a BLEU of that signature was computed in this way (by whichever version)."""
        parts = bleu_signature.split("|")
        return f"case:{'lc' if self.lowercase else 'mixed'}" in parts and f"tok:{self.tokenize}" in parts


def score(hypotheses: Sequence[str], references: Sequence[str], scoring: Scoring | None = None) -> dict[str, Metric]:
    """Scores in percent over all sentences; by default mixed case and BLEU's 13a tokenization.

    `bleu` is corpus BLEU (Papineni et al. 2002, as fixed by Post 2018), `chrf` is chrF2 (Popović 2015), `ter` the
    translation edit rate (Snover et al. 2006), which is better the lower it is and may exceed 100.
    Raises UserError unless there is one reference for each hypothesis, and at least one.
    """
    if len(hypotheses) != len(references):
        raise UserError(
            f"{len(hypotheses)} hypotheses but {len(references)} references; they must be line by line the same"
        )
    if not references:
        raise UserError("there are no sentences to score")
    metrics = {}
    for name, scorer in (scoring or Scoring()).scorers().items():
        found = scorer.corpus_score(list(hypotheses), [list(references)])
        signature = f"{found.name}|{scorer.get_signature()}"
        metrics[name] = Metric(value=found.score, unit=found.name, count=len(references), signature=signature)
    return metrics


def bleu_outcomes(hypotheses: Sequence[str], references: Sequence[str], scoring: Scoring) -> npt.NDArray[np.int64]:
    """sacreBLEU's statistics of every sentence, [N, 10]; their sums are those of corpus BLEU.

    The lengths of hypothesis and reference, then for n = 1 to 4 the n-grams that match, then those of the hypothesis.
    """
    scorer = BLEU(lowercase=scoring.lowercase, tokenize=scoring.tokenize, effective_order=True)
    scores = (scorer.sentence_score(line, [reference]) for line, reference in zip(hypotheses, references, strict=True))
    return np.array([[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in scores], dtype=np.int64)


def score_line(name: str, metric: Metric) -> str:
    """One line for a person: `last/test/bleu = 15.63 (1,188 sentences)  BLEU|nrefs:1|...`."""
    return f"{name} = {metric.value:.2f} ({metric.count:,} sentences)  {metric.signature}"
