"""The Triton kernel against torch's own losses and distributions in float64.

In Triton's interpreter on a CPU, which must be chosen before triton is imported: one process of its own runs all cases,
`python -m tests.shared.losses.kernels.test_triton FOLDER`. And on a GPU, where there is one.
"""

import os
import random
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional as F
from torch.testing import assert_close

ROOT = Path(__file__).parents[4]
INF = float("inf")
SUMS = ("kd", "smoothed", "nll", "teacher_nll", "teacher_entropy", "agreement")
LONG = 9001  # classes: three blocks of the kernel, the last one short


def logits(shape: tuple[int, int], seed: int, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(
    student: Tensor,
    teacher: Tensor,
    weights: tuple[float, float, float, float],
    mask: str = "absent",
    dtype: torch.dtype = torch.float32,
    **options: bool,
) -> dict[str, Any]:
    """weights: T, alpha, of the KD, of the hard loss. Rows that do not count hold NaN and a target of -1."""
    rows, classes = student.shape
    target = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(rows))
    kept = {"some": torch.arange(rows) % 3 == 1, "none": torch.zeros(rows) > 0}.get(mask, torch.ones(rows) > 0)
    student, teacher = (x.to(dtype).masked_fill(~kept[:, None], torch.nan) for x in (student, teacher))
    inputs = {"student": student, "teacher": teacher, "target": target.masked_fill(~kept, -1)}
    return inputs | {"mask": None if mask == "absent" else kept, "weights": weights, "options": options}


def grid() -> dict[str, dict[str, Any]]:
    """Every temperature, alpha, pair of weights and dtype; shapes, masks and options as chance has it."""
    cases, chance = {}, random.Random(0)
    temperatures, dtypes = (0.5, 1.0, 2.0, 3.0, 64.0), (torch.float64, torch.float32, torch.bfloat16, torch.float16)
    for t, alpha, (kd, hard), dtype in product(temperatures, (0.0, 0.1), ((1.0, 0.0), (0.9, 0.1), (0.0, 1.0)), dtypes):
        shape = chance.choices([(1, 2), (3, 47), (31, 123)], [3, 6, 1])[0]
        mask = chance.choice(["absent", "some", "none", "all"])
        options = {"overwrite": chance.choice(["", "", "student", "teacher"]), "statistics": chance.random() < 0.6}
        chosen = " ".join(f"{key}={value}" for key, value in options.items())
        name = f"T={t} alpha={alpha} {kd}+{hard} {dtype} {shape} mask={mask} {chosen}"
        seed = len(cases)
        cases[name] = case(logits(shape, seed), logits(shape, -1 - seed), (t, alpha, kd, hard), mask, dtype, **options)
    return cases


def special() -> dict[str, dict[str, Any]]:
    cases = {}
    ramp = torch.linspace(-20, 20, LONG, dtype=torch.float64).expand(2, LONG)
    one, two = logits((2, LONG), 1), logits((2, LONG), 2)
    late = two.index_fill(1, torch.arange(8300), -INF)  # the first two blocks and more are ruled out
    for t in (0.5, 1.0, 64.0):
        both = (t, 0.1, 0.9, 0.1)
        cases[f"long T={t}"] = case(one, two, both, "some")
        cases[f"ascending T={t}"] = case(ramp + 0.1 * one, ramp + two, both, overwrite="student")
        cases[f"descending teacher T={t}"] = case(ramp + one, 0.1 * two - ramp, both, dtype=torch.float64)
        cases[f"late T={t}"] = case(one, late, both)
        cases[f"late student T={t}"] = case(one.where(late > -INF, -INF), late, (t, 0.0, 1.0, 0.0))
        cases[f"same logits T={t}"] = case(one, one, (t, 0.0, 1.0, 0.0))
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            wide = logits((3, 47), 3, 1e4), logits((3, 47), 4, 1e4)
            cases[f"1e4 T={t} {dtype}"] = case(*wide, both, dtype=dtype)
    for classes in (2, 10, 123):
        cases[f"hot {classes}"] = case(logits((9, classes), 8), logits((9, classes), 9), (64.0, 0.0, 1.0, 0.0))
    small, other = logits((3, 47), 5), logits((3, 47), 6)
    ruled_out = other.where(logits((3, 47), 7) > 0, -INF)
    cases["ruled out by the teacher"] = case(small, ruled_out, (2.0, 0.1, 0.9, 0.1))
    cases["ruled out by both"] = case(small.where(ruled_out > -INF, -INF), ruled_out, (1.0, 0.0, 1.0, 0.0))
    cases["ruled out by the student"] = case(ruled_out, small, (2.0, 0.1, 0.9, 0.1))
    cases["far from 0"] = case(small + 1e4, other - 1e4, (2.0, 0.1, 0.9, 0.1))
    cases["ties"] = case(small.round().clamp(max=3.0), other.round().clamp(max=3.0), (2.0, 0.1, 0.9, 0.1))
    # The teacher's best are two classes, in the first and the last block; the student's is the one, the other, neither.
    peaks = 9.0 * F.one_hot(torch.tensor([3, 9000, 4500]), LONG)
    cases["ties far apart"] = case(
        peaks, 7.0 * F.one_hot(torch.tensor([[3, 9000]] * 3), LONG).sum(dim=1), (2.0, 0.1, 0.9, 0.1)
    )
    cases["no gradient"] = case(small, other, (2.0, 0.1, 0.9, 0.1), "some", gradient=False)
    cases["weights of 0"] = case(small, other, (2.0, 0.1, 0.0, 0.0), "some")
    cases["no rows"] = case(small[:0], other[:0], (2.0, 0.1, 0.9, 0.1))
    cases["a class"] = case(small[:, :1], other[:, :1], (2.0, 0.1, 0.9, 0.1))
    mixed = case(small, other, (2.0, 0.1, 0.9, 0.1), dtype=torch.bfloat16)
    cases["a teacher in fp32"] = mixed | {"teacher": other.float()}
    cases["a teacher in fp64"] = mixed | {"student": small.float(), "teacher": other}
    for name, cut in {"rows at a stride": lambda x: x[:, 5:40], "columns at a stride": lambda x: x.T}.items():
        for overwrite in ("", "student", "teacher"):
            given = case(small, other, (2.0, 0.1, 0.9, 0.1), overwrite=overwrite)
            rows = cut(small).shape[0]
            cut_inputs = {key: cut(given[key]) for key in ("student", "teacher")} | {"target": torch.arange(rows) % 3}
            cases[f"{name} overwrite={overwrite}"] = given | cut_inputs
    return cases


def diverged() -> dict[str, dict[str, Any]]:
    """A logit of a row that counts is NaN."""
    healthy = logits((3, 47), 5)
    ill = healthy.index_put((torch.tensor(1), torch.tensor(7)), torch.tensor(torch.nan, dtype=torch.float64))
    weights = (2.0, 0.1, 0.9, 0.1)
    return {"NaN in the student": case(ill, healthy, weights), "NaN in the teacher": case(healthy, ill, weights)}


def of_no_class() -> dict[str, dict[str, Any]]:
    """A target of a row that counts is no class: -100 is what torch's own losses ignore."""
    given = case(logits((3, 47), 5), logits((3, 47), 6), (2.0, 0.1, 0.9, 0.1))
    return {f"a target of {y}": given | {"target": torch.tensor([3, y, 4])} for y in (-100, 47)}


CASES = grid() | special()
ALL_CASES = CASES | diverged() | of_no_class()


def moved(x: Tensor, device: str) -> Tensor:
    """A copy with the same strides, which x.to does not promise."""
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=device).copy_(x)


def run_case(given: dict[str, Any], device: str) -> dict[str, Tensor]:
    from shared.losses.kernels import terms, triton  # not before the interpreter is chosen

    student, teacher, target = (moved(given[key], device) for key in ("student", "teacher", "target"))
    mask = None if given["mask"] is None else moved(given["mask"], device)
    options = given["options"]
    # What was there before must not show through.
    own = torch.full(student.shape, 7.0, dtype=student.dtype).to(device)
    gradient = {"student": student, "teacher": teacher}.get(options.get("overwrite", ""), own)
    if not options.get("gradient", True):
        gradient = None
    statistics = options.get("statistics", True)
    sums = triton.run(student, teacher, target, mask, terms.Weights(*given["weights"]), gradient, statistics)
    return {"sums": sums.cpu(), "student": student.cpu()} | ({} if gradient is None else {"gradient": gradient.cpu()})


@pytest.fixture(scope="module", params=["interpreter", *["gpu"] * torch.cuda.is_available()])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What the kernel made of every case."""
    if request.param == "gpu":
        return {name: run_case(given, "cuda") for name, given in ALL_CASES.items()}
    pytest.importorskip("triton")
    folder = tmp_path_factory.mktemp("triton")
    torch.save(ALL_CASES, folder / "cases.pt")
    run_python("-m", "tests.shared.losses.kernels.test_triton", str(folder), TRITON_INTERPRET="1")
    return torch.load(folder / "found.pt", weights_only=True)


def run_python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected(given: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The sums [6] and the gradient [n, V] in float64, by torch.distributions, F.cross_entropy and autograd."""
    temperature, alpha, kd_weight, hard_weight = given["weights"]
    kept = slice(None) if given["mask"] is None else given["mask"]
    student, teacher = given["student"].double().requires_grad_(), given["teacher"].double()[kept]
    s, y = student[kept], given["target"][kept]
    p = torch.softmax(teacher / temperature, dim=-1)
    # F.kl_div knows that 0 * log 0 is 0, but not that 0 * log q is.
    log_q = torch.log_softmax(s / temperature, dim=-1).masked_fill(p == 0, 0.0)
    kd = temperature**2 * F.kl_div(log_q, p, reduction="sum")
    smoothed = F.cross_entropy(s, y, label_smoothing=alpha, reduction="sum")
    loss = kd_weight * kd + hard_weight * smoothed
    gradient = torch.autograd.grad(loss, student)[0]
    best = [(z == z.max(dim=-1, keepdim=True).values) for z in (s, teacher)] if len(s) else [s > 0, s > 0]
    agreement = (best[0] & best[1]).any(dim=-1).sum()
    nll, teacher_nll = (F.cross_entropy(z, y, reduction="sum") for z in (s, teacher))
    entropy = Categorical(logits=teacher, validate_args=False).entropy().sum()
    sums = [kd, smoothed, nll, teacher_nll, entropy, agreement]
    return torch.stack([x.detach().double() for x in sums]), gradient


def rounding(given: dict[str, Any]) -> float:
    return 1e-15 if given["student"].dtype == torch.float64 else 1e-7


def wanted_sums(given: dict[str, Any]) -> list[str]:
    if given["options"].get("statistics", True):
        return list(SUMS)
    _, _, kd_weight, hard_weight = given["weights"]
    return ["kd"] * (kd_weight > 0) + ["smoothed", "nll"] * (hard_weight > 0)


@pytest.mark.parametrize("name", CASES)
def test_sums(found: dict[str, Any], name: str) -> None:
    given = CASES[name]
    rows, temperature, eps = len(given["student"]), given["weights"][0], rounding(given)
    sums, oracle = found[name]["sums"], expected(given)[0]
    assert sums.dtype == torch.float64
    for i, key in enumerate(SUMS):
        # The docstring of kd_loss promises a rounding of about T^2 * 6e-8 a row; both p and q have their part in it.
        atol = rows * eps * (2 * temperature**2 if key == "kd" else 10)
        if key not in wanted_sums(given):
            assert sums[i] == 0.0, key
        elif key == "agreement":
            assert sums[i] == oracle[i]
        else:
            assert_close(sums[i], oracle[i], rtol=10 * eps, atol=atol, msg=lambda m, key=key: f"{key} {m}")


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]["options"].get("gradient", True)])
def test_gradient(found: dict[str, Any], name: str) -> None:
    given, gradient = CASES[name], found[name]["gradient"]
    assert gradient.dtype == given["student"].dtype
    oracle = expected(given)[1]
    dropped = torch.zeros(len(oracle)) > 0 if given["mask"] is None else ~given["mask"]
    assert torch.equal(gradient[dropped], torch.zeros_like(gradient[dropped]))
    # The interpreter cuts bf16 and fp16 off where a GPU rounds: a whole unit in the last place.
    rtol = {torch.bfloat16: 2**-7, torch.float16: 2**-10}.get(gradient.dtype, 0.0) + 100 * rounding(given)
    atol = 3 * rounding(given) * max(given["weights"][0], 1.0)
    if gradient.dtype == torch.float16:
        atol += 2**-24
    assert_close(gradient.double(), oracle, rtol=rtol, atol=atol)


def test_logits_that_are_not_overwritten_stay(found: dict[str, Any]) -> None:
    for name, given in CASES.items():
        if given["options"].get("overwrite") != "student":
            assert_close(found[name]["student"], given["student"], rtol=0, atol=0, equal_nan=True)


def test_equal_logits_do_not_diverge(found: dict[str, Any]) -> None:
    assert all(found[f"same logits T={t}"]["sums"][0] == 0.0 for t in (0.5, 1.0, 64.0))


@pytest.mark.parametrize("classes", [2, 10, 123])
def test_t_squared_does_not_blow_up_the_rounding(found: dict[str, Any], classes: int) -> None:
    """A tenth of what the docstring of kd_loss promises."""
    name = f"hot {classes}"
    error = found[name]["sums"][0] - expected(CASES[name])[0][0]
    assert abs(error) < 9 * 64**2 * 6e-9


def test_the_student_may_rule_out_what_the_teacher_does_not(found: dict[str, Any]) -> None:
    sums, gradient = (found["ruled out by the student"][key] for key in ("sums", "gradient"))
    assert sums[0] == sums[1] == INF
    assert gradient.isfinite().all()
    assert_close(gradient.sum(dim=-1), torch.zeros(3), rtol=0, atol=1e-5)


def test_nan_is_not_hidden(found: dict[str, Any]) -> None:
    for name in diverged():
        sums, gradient = found[name]["sums"], found[name]["gradient"]
        assert sums[0].isnan()
        assert gradient.isnan().any(dim=-1).tolist() == [False, True, False]


def test_a_target_that_is_no_class_reads_no_other_memory(found: dict[str, Any]) -> None:
    for name in of_no_class():
        sums, gradient = found[name]["sums"], found[name]["gradient"]
        assert sums[1:4].isnan().all()
        assert gradient.isnan().any(dim=-1).tolist() == [False, True, False]


RUN = """
import sys, torch
import shared.losses.fused
assert "triton" not in sys.modules, "shared.losses imports triton"
if sys.argv[1] == "absent":
    sys.modules["triton"] = None
from shared.errors import UserError
from shared.losses.kernels.terms import Weights
try:
    from shared.losses.kernels import triton
    logits = torch.zeros(2, 3)
    triton.run(logits, logits, torch.zeros(2, dtype=torch.int64), None, Weights(1.0, 0.0, 1.0, 0.0), None, True)
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(("triton", "message"), [("absent", "pip install triton"), ("there", "wants logits on a GPU")])
def test_what_is_missing_is_one_clear_line(triton: str, message: str) -> None:
    if triton == "there":
        pytest.importorskip("triton")
    said = run_python("-c", RUN, triton)
    assert message in said
    assert said.count("\n") == 1


if __name__ == "__main__":
    at = Path(sys.argv[1])
    torch.save({name: run_case(given, "cpu") for name, given in torch.load(at / "cases.pt").items()}, at / "found.pt")
