"""An advice as a person reads it on a terminal."""

import os
from collections.abc import Iterator, Sequence

from shared.advice.advice import Advice, Measures
from shared.advice.likeness import StudiedTeachers
from shared.advice.loss import LossComparison
from shared.advice.scores import PAPER
from shared.advice.temperature import Students, TemperatureChoice
from shared.report.text import PLUS_MINUS, count, listing, number, p_text, signed
from shared.stats import MeanInterval

_WORDS = {
    "accuracy": "share of the examples classified rightly",
    "confidence": "mean probability of the most likely class",
    "entropy": "of the prediction, nats",
    "evenness": "of the wrong classes' probabilities; 1: nothing tells them apart",
    "spread": "of the clusters, within / between; smaller is tighter",
    "stability": "of the predictions within a class; 1: all alike",
}


def advice_lines(advice: Advice) -> list[str]:
    """The measures, what they look like, the recommendation, then the evidence for it and what it does not tell."""
    lines = [
        *_measures(advice.measures),
        "",
        _implied(advice),
        *map(_teachers, advice.teachers),
        f"So {advice.likeness.verdict}.",
        "",
        f"recommendation: {_recommendation(advice)}",
        *(line for choice in advice.choices for line in _choice(choice)),
        *map(_loss, advice.losses),
        *(f"not told: {sentence}." for sentence in advice.uncovered),
    ]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _measures(measures: dict[str, Measures]) -> Iterator[str]:
    yield f"{'':<12}" + "".join(f"{split:>12}" for split in measures)
    yield f"{'examples':<12}" + "".join(f"{one.smoothness.count:>12,}" for one in measures.values())
    for name, meaning in _WORDS.items():
        values = [getattr(one.smoothness, name, getattr(one.tightness, name, None)) for one in measures.values()]
        yield f"{name:<12}" + "".join(f"{'-' if v is None else f'{v:.4f}':>12}" for v in values) + f"  {meaning}"


def _implied(advice: Advice) -> str:
    train, alpha = advice.measures["train"].smoothness, advice.card.alpha
    card = "its card does not say" if alpha is None else f"its card says {alpha:g}"
    if train.implied_alpha is None or train.right_probability is None:
        return f"implied alpha: none, as no training example is classified rightly; {card}"
    return (
        f"implied alpha: {train.implied_alpha:.3f}; {card}\n"
        f"  (the right class has a mean probability of {train.right_probability:.4f} on training examples that are\n"
        "  classified rightly, as for an ideally fitted teacher of that alpha; one that fits less shows more)"
    )


def _teachers(one: StudiedTeachers) -> str:
    theirs = _mean(one.theirs, 4)
    return (
        f"confidence on train: {number(one.ours, 4)} here, {theirs} ({count(one.theirs.n, 'seed')}) of alpha "
        f"{one.alpha:g}, {one.arch} on {one.data} ({_paths(one.records)})"
    )


def _recommendation(advice: Advice) -> str:
    if advice.temperature is not None:
        return f"T = {advice.temperature:g}, loss {advice.loss}"
    if not advice.choices:
        return f"no T, as {'its alpha is in doubt' if not advice.likeness.alphas else 'no study has such teachers'}"
    found = listing([f"{t:g}" for t in sorted({choice.recommended for choice in advice.choices})])
    return f"no single T: the studies below speak for T = {found}"


def _choice(choice: TemperatureChoice) -> Iterator[str]:
    yield f"{choice.study}; alpha {choice.alpha:g}: {choice.measure}"
    low = choice.students[0].temperature
    for one in choice.students:
        gain = "" if one.temperature == low else f"  {_gain(one, choice.digits)} against T = {low:g}"
        yield f"  T = {one.temperature:g}: {_mean(one.score, choice.digits)} ({_seeds(one)}){gain}"
        if one.records != [PAPER]:
            yield f"    {_paths(one.records)}"
    yield f"  so T = {choice.recommended:g}: {_why(choice)}"


def _why(choice: TemperatureChoice) -> str:
    low, digits = choice.students[0].temperature, choice.digits
    gains = {one.temperature: one.gain for one in choice.students}
    if len(choice.students) == 1:
        return "the only one that was tried"
    if choice.recommended != low:
        why = f"better than T = {low:g} beyond chance"
    elif all(one.p is None for one in choice.students):
        why = "the lowest, as no test tells a gain from chance"
    else:
        why = "the lowest, as no other is better beyond chance"
    best = gains.get(choice.best)
    if choice.best != choice.recommended and best is not None:
        why += f"; the best mean is that of T = {choice.best:g}, {_mean(best, digits, sign=True)}"
    return why


def _gain(one: Students, digits: int) -> str:
    if one.gain is None:
        return "no seed in common to compare"
    p = "" if one.adjusted_p is None else f" (Holm p {p_text(one.adjusted_p)}, n = {one.gain.n})"
    return _mean(one.gain, digits, sign=True) + p


def _loss(one: LossComparison) -> str:
    untested = "one seed: no test" if one.gain.n == 1 else f"n = {one.gain.n}, all alike: no test"
    p = untested if one.adjusted_p is None else f"Holm p {p_text(one.adjusted_p)}, n = {one.gain.n}"
    verdict = "better beyond chance" if one.better else "not better beyond chance"
    return (
        f"{one.dist} less {one.kd}, {one.study}, teacher {one.teachers}: "
        f"{_mean(one.gain, one.digits, sign=True)} ({p}), {verdict} ({_paths(one.records)})"
    )


def _mean(mean: MeanInterval, digits: int, *, sign: bool = False) -> str:
    """With the half-width of its 95 % t interval, where it has one."""
    half = "" if mean.half_width is None else f" {PLUS_MINUS} {number(mean.half_width, digits)}"
    return (signed if sign else number)(mean.mean, digits) + half


def _seeds(one: Students) -> str:
    """`seeds 1, 2`, those of the students, which tell pairs of equal students apart by their teachers'."""
    seeds = [pair[-1] for pair in one.seeds]
    if None in seeds:
        return count(len(seeds), "seed")
    alike = len(set(seeds)) < len(seeds)
    told = ["/".join(map(str, pair)) for pair in one.seeds] if alike else list(map(str, seeds))
    return f"seed{'s' if len(told) > 1 else ''}{' (teacher/student)' if alike else ''} {', '.join(told)}"


def _paths(paths: Sequence[str]) -> str:
    """The files, with what they have in common written once: `runs/{a,b}/result.json`."""
    names = list(dict.fromkeys(paths))
    top = os.path.commonpath(names)
    if len(names) == 1 or not top:
        return ", ".join(names)
    folders, files = zip(*(os.path.split(os.path.relpath(name, top)) for name in names), strict=True)
    if len(set(files)) > 1 or "" in folders:
        return ", ".join(names)
    return f"{top}/{{{','.join(folders)}}}/{files[0]}"
