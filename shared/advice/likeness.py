"""Which of a study's teachers a teacher is like, by its confidence on the training examples."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from shared.advice.evidence import Evidence, same_alpha
from shared.report.grouping import gather
from shared.report.text import listing
from shared.results import Result
from shared.stats import MeanInterval, mean_interval

METRIC = "train/confidence"
# Confidence goes down by about as much as alpha goes up: half of the usual step from 0 to 0.1.
NEAR = 0.05
# What nmt_plugin.clusters notes: its confidence is over the tokens of its sets alone.
_OVER_TOKENS = re.compile(r"confidence are over the (\d+) tokens that are targets or in S1")
_SETS = re.compile(r"(\S+) \([^()]+(?:\([^()]+\))?\): S1 (.+?); S2 ")  # (nearest, S2 a sample of 50 (seed 1))
ConfidenceOf = Callable[[Sequence[str] | None], float | None]


@dataclass(frozen=True)
class StudiedTeachers:
    """Teachers of one data set, architecture and alpha, one a seed: `theirs` is their confidence on train.

    `ours` is that of the teacher in question over the same examples or tokens as theirs; `records` are the files.
    """

    data: str
    arch: str
    alpha: float
    theirs: MeanInterval
    ours: float
    records: list[str]

    @property
    def distance(self) -> float:
        """How far the two are apart."""
        return abs(self.ours - self.theirs.mean)

    @property
    def within_seeds(self) -> bool:
        """Whether `ours` lies in the interval of theirs, which one teacher alone does not have."""
        return self.theirs.half_width is not None and self.distance <= self.theirs.half_width


def studied_teachers(evidence: Evidence, data: str, confidence_of: ConfidenceOf) -> list[StudiedTeachers]:
    """The teachers whose clusters the evidence has, the nearest in confidence first; those of `data`, else of any.

    `confidence_of` gives the confidence of the teacher in question over the examples of the named tokens (None: over
    all); records without a number to compare are left out.
    """
    records = [r for r in evidence.clusters if METRIC in r.metrics]
    records = [r for r in records if r.data.name == data] or records
    found = []
    for alike in gather(records, lambda r: (r.data.name, r.models[0].arch, r.models[0].alpha)):
        ours = {record.name: confidence_of(_tokens(record)) for record in alike}
        pairs = [(record, own) for record in alike if (own := ours[record.name]) is not None]
        if pairs:
            found.append(_of_pairs(pairs, evidence.paths))
    return sorted(found, key=lambda one: one.distance)


@dataclass(frozen=True)
class Likeness:
    """What measure and card together say of a teacher's alpha.

    `alphas` are those that the advice is for: one; several where the measure does not tell them apart, or disagrees
    with the card; all that the evidence has (`known`) where nothing tells; none where neither can be believed.
    `verdict` says it in a sentence.
    """

    alphas: list[float]
    verdict: str


def likeness(
    card: float | None, implied: float | None, teachers: Sequence[StudiedTeachers], known: Sequence[float]
) -> Likeness:
    """`card` is the alpha that the teacher's own card says, `implied` the alpha that its training examples imply."""
    if not teachers:
        return _by_card(card, implied, known)
    if teachers[0].distance > NEAR:
        return Likeness([], f"it looks like no teacher of the studies: none has a confidence within {NEAR} of its own")
    alike = sorted({teachers[0].alpha, *(one.alpha for one in teachers if one.within_seeds)})
    looks = f"it looks like the studies' teachers of alpha {listing([f'{alpha:g}' for alpha in alike])}"
    looks += ", which their seeds do not tell apart" if len(alike) > 1 else ""
    if card is None:
        return Likeness(alike, f"{looks}; its card does not say")
    if agreed := [alpha for alpha in alike if same_alpha(card, alpha)]:
        return Likeness(agreed, f"{looks}; its card says {card:g}: measure and card agree")
    return Likeness([card, *alike], f"{looks}; its card says {card:g}: measure and card disagree")


def _by_card(card: float | None, implied: float | None, known: Sequence[float]) -> Likeness:
    """With no teachers to compare with, the card is believed unless the training examples contradict it."""
    if card is None:
        return Likeness(
            list(known), "neither a card nor a study tells its alpha, so the advice is for any that is known"
        )
    if implied is not None and implied < card - NEAR:
        text = f"its card says alpha {card:g}, but its training examples imply {implied:.3f}, less than such a teacher"
        return Likeness([], f"{text} shows however well it is fitted: measure and card disagree")
    return Likeness(
        [card], f"its alpha is taken to be its card's, {card:g}, as there are no studies' teachers to compare it with"
    )


def _of_pairs(pairs: Sequence[tuple[Result, float]], paths: Mapping[str, str]) -> StudiedTeachers:
    record, model = pairs[0][0], pairs[0][0].models[0]
    assert model.alpha is not None  # Evidence.clusters
    teachers = gather([one for one, _ in pairs], lambda r: r.models[0].sha256)  # measured by several sets: still one
    theirs = mean_interval([fmean(one.metrics[METRIC].value for one in alike) for alike in teachers])
    ours = mean_interval([own for _, own in pairs]).mean
    return StudiedTeachers(
        record.data.name, model.arch, model.alpha, theirs, ours, [paths[one.name] for one, _ in pairs]
    )


def _tokens(record: Result) -> list[str] | None:
    """The tokens that a record's confidence is over; None: it is over all examples."""
    if not any(_OVER_TOKENS.search(note) for note in record.notes):
        return None
    sets = [match for note in record.notes if (match := _SETS.match(note))]
    return sorted({token for match in sets for token in (match[1], *match[2].split(" "))})
