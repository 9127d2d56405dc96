"""The fused loss written out in numpy, in float64, row by row: the oracle of every backend."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Case(NamedTuple):
    """Logits [n, V] of both, targets [n] and which rows count, [n]; `weights` as `Weights` of the loss."""

    student: Tensor
    teacher: Tensor
    target: Tensor
    mask: Tensor | None
    weights: dict[str, float]


def draw(rows: int, classes: int, mask: str, **weights: float) -> Case:
    """`mask`: all (None), some, or none; rows that do not count hold NaN."""
    generator = torch.Generator().manual_seed(rows * classes)
    student, teacher = (3.0 * torch.randn(rows, classes, generator=generator, dtype=torch.float64) for _ in range(2))
    target = torch.randint(classes, (rows,), generator=generator)
    if mask == "all":
        return Case(student, teacher, target, None, weights)
    kept = torch.rand(rows, generator=generator) < 0.6 if mask == "some" else torch.zeros(rows, dtype=torch.bool)
    student[~kept], teacher[~kept] = torch.nan, torch.nan
    return Case(student, teacher, target.masked_fill(~kept, -1), kept, weights)


def log_softmax(z: np.ndarray) -> np.ndarray:
    shifted = z - z.max()
    return shifted - np.log(np.exp(shifted).sum())


def expectation(p: np.ndarray, x: np.ndarray) -> float:
    """0 times infinity is 0: a class that is ruled out adds nothing."""
    with np.errstate(invalid="ignore"):
        return float(np.where(p == 0, 0.0, p * x).sum())


def expected(case: Case) -> tuple[dict[str, float], Tensor]:
    """The terms by name, and d loss / d student [n, V]."""
    t, alpha, kd_weight, hard_weight = (
        case.weights[name] for name in ("temperature", "alpha", "kd_weight", "hard_weight")
    )
    terms = dict.fromkeys(("kd", "smoothed", "nll", "teacher_nll", "teacher_entropy", "agreement"), 0.0)
    gradient = np.zeros(tuple(case.student.shape))
    classes = gradient.shape[1]
    for row in range(len(gradient)):
        if case.mask is not None and not case.mask[row]:
            continue
        z_s, z_t, gold = case.student[row].double().numpy(), case.teacher[row].double().numpy(), int(case.target[row])
        log_q, log_p, log_q_t, log_p_t = (log_softmax(z) for z in (z_s, z_t, z_s / t, z_t / t))
        smooth = np.full(classes, alpha / classes)
        smooth[gold] += 1.0 - alpha
        with np.errstate(invalid="ignore"):
            terms["kd"] += t**2 * expectation(np.exp(log_p_t), log_p_t - log_q_t)
        terms["smoothed"] -= expectation(smooth, log_q)
        terms["nll"] -= float(log_q[gold])
        terms["teacher_nll"] -= float(log_p[gold])
        terms["teacher_entropy"] -= expectation(np.exp(log_p), log_p)
        terms["agreement"] += float(z_s[z_t.argmax()] == z_s.max())
        gradient[row] = kd_weight * t * (np.exp(log_q_t) - np.exp(log_p_t)) + hard_weight * (np.exp(log_q) - smooth)
    parts = ((kd_weight, terms["kd"]), (hard_weight, terms["smoothed"]))
    return terms | {"loss": sum(weight * part for weight, part in parts if weight)}, torch.from_numpy(gradient)
