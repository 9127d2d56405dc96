"""Logits of every size, kind, dtype and layout for property tests, and the divergence between them in float64."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import strategies as st
from torch import Tensor

Array = npt.NDArray[np.float64]

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
FINITE = ("ordinary", "extreme", "ties")
KINDS = (*FINITE, "teacher rules out", "both rule out", "student rules out")
LAYOUTS = ("contiguous", "transposed", "every second")
TEMPERATURES = st.sampled_from([1.0, 2.0, 3.0, 4.0, 64.0, 1000.0]) | st.floats(1.0, 1000.0)


class Pair(NamedTuple):
    """Logits [N, K] of a student and of a teacher, the rows that count, targets, and what they were drawn as."""

    student: Tensor
    teacher: Tensor
    mask: Tensor
    target: Tensor
    kind: str

    @property
    def classes(self) -> int:
        return self.student.shape[1]

    @property
    def eps(self) -> float:
        """Of the arithmetic: half precision is computed in fp32."""
        return torch.finfo(torch.promote_types(self.student.dtype, torch.float32)).eps

    @property
    def spread(self) -> float:
        """Largest magnitude of a logit that is a number."""
        both = torch.cat([self.student, self.teacher]).detach().double()
        return max(1.0, float(both[both.isfinite()].abs().max())) if bool(both.isfinite().any()) else 1.0


@st.composite
def pairs(draw: Any, kinds: tuple[str, ...] = KINDS, dtypes: tuple[torch.dtype, ...] = DTYPES, rows: int = 0) -> Pair:
    """At least `rows` rows; rows that do not count hold NaN."""
    kind, dtype = draw(st.sampled_from(kinds)), draw(st.sampled_from(dtypes))
    n, k = draw(st.integers(rows, 6)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    masked = draw(st.sampled_from(["none", "some", "all"]))
    student, teacher = (_logits(kind, n, k, generator) for _ in range(2))
    out = torch.rand(n, k, generator=generator) < 0.4
    out[:, 0] = False  # a class is left
    if kind in ("teacher rules out", "both rule out"):
        teacher[out] = -torch.inf
    if kind in ("student rules out", "both rule out"):
        student[out] = -torch.inf
    mask = torch.rand(n, generator=generator) < {"none": 2.0, "some": 0.5, "all": -1.0}[masked]
    student[~mask], teacher[~mask] = torch.nan, torch.nan
    target = torch.randint(k, (n,), generator=generator)
    layouts = [draw(st.sampled_from(LAYOUTS)) for _ in range(2)]
    placed = [laid_out(z.to(dtype), layout) for z, layout in zip((student, teacher), layouts, strict=True)]
    return Pair(placed[0], placed[1], mask, target, kind)


def _logits(kind: str, rows: int, classes: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    if kind == "extreme":
        return 1e4 * drawn.sign() * (torch.rand(rows, classes, generator=generator) < 0.8)
    return drawn.round() if kind == "ties" else 3.0 * drawn


def laid_out(z: Tensor, layout: str) -> Tensor:
    """The same values at other strides."""
    if layout == "transposed":
        return z.t().contiguous().t()
    if layout == "every second":
        wide = torch.full((len(z), 2 * z.shape[1]), torch.nan, dtype=z.dtype)
        wide[:, ::2] = z
        return wide[:, ::2]
    return z


def log_softmax(z: Array) -> Array:
    """Of the last axis, which has a number."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def expectation(p: Array, x: Array) -> float:
    """sum p x, with 0 times infinity 0."""
    with np.errstate(invalid="ignore"):
        return float(np.where(p == 0.0, 0.0, p * x).sum())


def divergence(student: Array, teacher: Array, temperature: float, smallest: float = 0.0) -> float:
    """T^2 KL(teacher || student) of rows; a probability below `smallest` is 0, as it is where no number holds it."""
    log_p, log_q = log_softmax(teacher / temperature), log_softmax(student / temperature)
    p = np.exp(log_p)
    p[p < smallest] = 0.0
    with np.errstate(invalid="ignore"):
        return temperature**2 * expectation(p, log_p - log_q)


def slope(student: Array, teacher: Array, temperature: float) -> Array:
    """d divergence / d student."""
    softened = [np.exp(log_softmax(z / temperature)) for z in (student, teacher)]
    return temperature * (softened[0] - softened[1])


def close_gradient(found: Tensor, expected: Array, pair: Pair, scale: float) -> None:
    """Within the rounding of `scale` (the largest a gradient can be), of the logits, and of the gradient's dtype."""
    rounding = torch.finfo(found.dtype)
    atol = scale * 8 * pair.eps * pair.spread + rounding.tiny
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=2 * rounding.eps + 1e-5, atol=atol)
