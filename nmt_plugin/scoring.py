"""BLEU and chrF by sacreBLEU on detokenized text, each with the signature that makes it comparable."""

from collections.abc import Sequence

from sacrebleu.metrics import BLEU, CHRF

from shared.errors import UserError
from shared.results import Metric


def score(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Metric]:
    """`bleu` (Post 2018: 13a tokenization, mixed case) and `chrf` (chrF2), in percent, over all sentences.

    Raises UserError unless there is one reference for each hypothesis.
    """
    if len(hypotheses) != len(references):
        raise UserError(
            f"{len(hypotheses)} hypotheses but {len(references)} references; they must be line by line the same"
        )
    scorers = {"bleu": ("BLEU", BLEU()), "chrf": ("chrF2", CHRF())}
    metrics = {}
    for name, (unit, scorer) in scorers.items():
        value = scorer.corpus_score(list(hypotheses), [list(references)]).score
        signature = f"{unit}|{scorer.get_signature()}"
        metrics[name] = Metric(value=value, unit=unit, count=len(references), signature=signature)
    return metrics
