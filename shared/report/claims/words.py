"""Verdicts in words."""

from __future__ import annotations

from shared.report.claims.comparison import LEVEL, Comparison, Verdict
from shared.report.text import CONFIDENCE, NO_BREAK, count

RULE = (
    f"A comparison is a mean of differences that are paired by seed, with its {CONFIDENCE} interval. p is that of the "
    "two-sided t test that the mean is 0, in brackets after Holm's correction for all the comparisons that the claim "
    "requires on these data, those that are missing among them (Holm p). Confirmed: every required comparison has the "
    f"predicted sign with Holm p < {LEVEL:g}. Refuted: at least one has the opposite sign with Holm p < {LEVEL:g}. "
    "Undecided: all else, as with fewer than 2 seeds or "
    "where records are missing that the claim or the study's design asks for; it does not mean that there is no effect."
)
FURTHER = (
    "Beside them stand g, Hedges' effect size of the differences, and the sign-flip p, which assumes no normal "
    "distribution but cannot get below 0.25 with 3 seeds or 0.0625 with 5. Where the outcome of every test item is "
    f"recorded: the 95{NO_BREAK}% bootstrap interval that resamples items and seeds together (few seeds say little of "
    "other seeds there; trust the t interval for those), and for two models the p of a permutation test over items, "
    "which speaks of these trained models alone."
)


def in_numbers(verdict: Verdict) -> str:
    """`2 of 3 comparisons as predicted, 1 of them beyond chance; 1 against, none beyond chance`."""
    required = verdict.required
    if not required:
        return "nothing to compare"
    agree, against = ([c for c in required if c.direction == side] for side in (1, -1))
    text = f"{len(agree)} of {count(len(required), 'comparison')} as predicted{_beyond(agree, ' of them')}"
    if against:
        text += f"; {len(against)} the other way{_beyond(against)}"
    return text


def seeds_of(verdict: Verdict) -> str:
    """`n = 1 seed: no test`, `n = 3 to 5 seeds`."""
    sizes = sorted({len(c.values) for c in verdict.required})
    if not sizes:
        return ""
    several = f"{sizes[0]}{NO_BREAK}to{NO_BREAK}{sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    plural = "seed" if sizes == [1] else "seeds"
    return f"n{NO_BREAK}={NO_BREAK}{several}{NO_BREAK}{plural}" + (": no test" if sizes == [1] else "")


def remarks(verdict: Verdict) -> str:
    """The verdict's note, what its numbers do not hold for, and what is missing."""
    missing = f"Missing: {'; '.join(verdict.missing)}." if verdict.missing else ""
    return " ".join(text for text in (verdict.note, _of_few_teachers(verdict), missing) if text)


def _of_few_teachers(verdict: Verdict) -> str:
    """Students of one teacher are alike in what their teacher is."""
    teachers = [len({teacher for teacher, _ in c.values}) for c in verdict.required]
    if all(n == len(c.values) for n, c in zip(teachers, verdict.required, strict=True)):
        return ""
    return f"Students share teachers ({count(max(teachers), 'seed')} of them): p and intervals are for these alone."


def sentence(verdict: Verdict) -> str:
    """One line of the summary: `C4 undecided. The student ...: 2 of 3 comparisons as predicted, ... (n = 3 seeds).`"""
    seeds = seeds_of(verdict)
    said = f"{in_numbers(verdict)}{f' ({seeds})' if seeds else ''}."
    return (
        f"{verdict.claim} {verdict.status}: {verdict.statement} {said[:1].upper()}{said[1:]} {remarks(verdict)}".strip()
    )


def outcome(comparison: Comparison) -> str:
    """In words, beside the sign: nothing is told by colour or mark alone."""
    if not comparison.predicted_sign:
        return "none predicted"
    what = {1: "as predicted", -1: "the other way", 0: "no difference"}[comparison.direction]
    return f"{what}, beyond chance" if comparison.beyond_chance else what


def predicted(comparison: Comparison) -> str:
    return {1: "> 0", -1: "< 0", 0: "\N{EN DASH}"}[comparison.predicted_sign]


def _beyond(comparisons: list[Comparison], of_them: str = "") -> str:
    if not comparisons or all(c.adjusted_p is None for c in comparisons):
        return ""
    beyond = sum(c.beyond_chance for c in comparisons)
    return f", {beyond or 'none'}{of_them} beyond chance"
