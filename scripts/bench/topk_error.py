"""What a top-K teacher gets wrong: value and gradient of the distillation loss by K and T, on real text.

    python scripts/bench/topk_error.py --teacher runs/demo/nmt/teacher-a0.1/checkpoint_last.pt \\
        --student runs/demo/nmt/student-a0.1-T1/checkpoint_last.pt \\
        --data data/nmt/libreoffice.en-de/data-bin --output runs/bench/topk_error.json

Both models run in eval mode and everything is compared in fp64 with `kd_loss` on all classes, per target token.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq import tasks, utils
from outputs import check_output
from torch import Tensor
from tqdm import tqdm

import nmt_plugin  # noqa: F401  (allow-lists what fairseq checkpoints hold)
from nmt_plugin.checkpoints import checkpoint_config, checkpoint_paths, read_checkpoint
from nmt_plugin.data_folder import check_data_folder
from nmt_plugin.teachers.checksums import data_digests
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError, check_temperature, exit_on_user_error
from shared.files import sha256, write_text
from shared.losses import TopK, kd_loss, top_k, topk_kd_loss
from shared.losses.topk import POLICIES, split_log_mass, tail_log_mass
from shared.results import RunClock

KEPT = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16}
_MAX_TOKENS = 500  # in a batch: some ten copies of [500, V] in fp64
_SEED = 1
_ROUNDING = 1e-12  # of fp64; at T = 1 the tail's mass is exact
_COMMON = 5  # sums that do not depend on the policy, see `_sums`


class PolicyError(NamedTuple):
    """Of a policy against all classes: `loss` (K's / all - 1), `gradient` (|g_K - g| / |g|) and its `cosine` with g."""

    loss: float
    gradient: float
    cosine: float


class Row(NamedTuple):
    """One K at one T. `mass`: the teacher's in its top K; `tail`: mean error of its tail's log-mass in nats."""

    k: int
    temperature: float
    mass: float
    tail: float
    policies: dict[str, PolicyError]


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description="Error of the top-K distillation loss and its gradient, by K and T.")
    parser.add_argument("--teacher", required=True, help="fairseq checkpoint, or several, A.pt:B.pt (mean probability)")
    parser.add_argument("--student", required=True, help="fairseq checkpoint of the student whose gradient counts")
    parser.add_argument("--data", required=True, help="data-bin")
    parser.add_argument("--split", default="valid", help="split of it (default: valid)")
    parser.add_argument("--tokens", type=int, default=2000, help="target tokens, in whole sentences (default: 2000)")
    parser.add_argument("--ks", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024], help="all classes come on top")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 2.0, 3.0, 64.0], help="1 and above")
    parser.add_argument("--dtype", choices=list(KEPT), default="fp64", help="of the kept logits (a cache: fp16)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        topk_error(args)


def topk_error(args: argparse.Namespace) -> None:
    """Measure, print a table, write the JSON file."""
    clock = RunClock()
    _check(args)
    config = checkpoint_config(read_checkpoint(checkpoint_paths(args.teacher)[0]))
    config.task.data = args.data
    task = tasks.setup_task(config.task)
    models = [LiveTeacher(path, task) for path in (args.teacher, args.student)]
    classes = len(task.target_dictionary)
    if too_large := [k for k in args.ks if k > classes]:
        raise UserError(f"--ks {too_large[0]} is more than the {classes:,} classes of the dictionary")
    sentences, tokens = _sentences(task, args.split, args.tokens, models)
    ks = sorted({*args.ks, classes})
    rows = measure(_logits(task.dataset(args.split), sentences, models), ks, args.temperatures, KEPT[args.dtype])
    print("\n".join(table(rows)))
    facts = {
        "teacher": {"checkpoints": args.teacher, "sha256": [sha256(path) for path in checkpoint_paths(args.teacher)]},
        "student": {"checkpoint": args.student, "sha256": sha256(args.student)},
        "data": {"split": args.split, "sentences": len(sentences), "tokens": tokens, "seed": _SEED},
        "data_sha256": data_digests(args.data, args.split),
        "classes": classes,
        "kept_as": args.dtype,
        "rows": [row._asdict() | {"policies": {p: e._asdict() for p, e in row.policies.items()}} for row in rows],
        "provenance": asdict(clock.provenance(f"cpu, {torch.get_num_threads()} thread(s)")),
    }
    write_text(args.output, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    print(f"\n{tokens:,} target tokens of {args.split}, V = {classes:,}, kept as {args.dtype}; wrote {args.output}")


def _check(args: argparse.Namespace) -> None:
    for name, values in (("--ks", args.ks), ("--tokens", [args.tokens])):
        if min(values) < 1:
            raise UserError(f"{name} {min(values)}: it must be at least 1")
    for temperature in args.temperatures:
        if check_temperature(temperature) < 1.0:
            raise UserError(f"--temperatures {temperature:g}: a top-K teacher serves 1 and above")
    check_data_folder(args.data)
    if not data_digests(args.data, args.split):
        raise UserError(f"{args.data}: holds no split {args.split}; fairseq-preprocess names them train, valid, test")
    check_output(args.output)


def _sentences(task: Any, split: str, tokens: int, models: Sequence[LiveTeacher]) -> tuple[list[int], int]:
    """Sentences drawn without return until they hold `tokens` target tokens, shortest first, and their tokens."""
    task.load_dataset(split)
    dataset = task.dataset(split)
    networks: list[Any] = [network for model in models for network in model.models]
    limits = utils.resolve_max_positions(task.max_positions(), *(network.max_positions() for network in networks))
    fitting, _ = dataset.filter_indices_by_size(np.arange(len(dataset)), limits)
    drawn = np.random.default_rng(_SEED).permutation(fitting)
    lengths = {index: len(dataset[index]["target"]) for index in drawn.tolist()}
    ends = np.cumsum(list(lengths.values()))
    enough = min(int(np.searchsorted(ends, tokens)) + 1, len(drawn))
    return sorted(drawn[:enough].tolist(), key=lambda index: (lengths[index], index)), int(ends[enough - 1])


def _logits(dataset: Any, sentences: Sequence[int], models: Sequence[LiveTeacher]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the teacher's and the student's logits at the target tokens, each [n, V], fp64."""
    batches = dataset.batch_by_size(np.array(sentences), max_tokens=_MAX_TOKENS, required_batch_size_multiple=1)
    for batch in tqdm(batches, unit=" batches", desc="measure"):
        sample = dataset.collater([dataset[index] for index in batch])
        counted = sample["target"] != dataset.tgt_dict.pad()
        teacher, student = (model.logits(sample)[counted].double() for model in models)
        yield teacher, student


def measure(
    batches: Iterable[tuple[Tensor, Tensor]],
    ks: Sequence[int],
    temperatures: Sequence[float],
    kept: torch.dtype = torch.float64,
) -> list[Row]:
    """Errors over all rows of `batches` of (teacher, student) logits [n, V] in fp64, by temperature, then K.

    `kept`: the type in which the top K's log-probabilities are stored; the tail's sketch is then fp32, as in a cache.
    """
    sums = {(t, k): [0.0] * (_COMMON + 4 * len(POLICIES)) for t in temperatures for k in ks}
    for teacher, student in batches:
        tops = {k: _stored(top_k(teacher, k), kept) for k in ks}
        for t in temperatures:
            whole = _loss_and_gradient(lambda z, t=t, p=teacher: kd_loss(z, p, t), student)  # type: ignore[misc]
            for k, topk in tops.items():
                new = _sums(teacher, student, topk, t, whole)
                sums[t, k] = [a + b for a, b in zip(sums[t, k], new, strict=True)]
    return [_row(k, t, values) for (t, k), values in sums.items()]


def _stored(topk: TopK, dtype: torch.dtype) -> TopK:
    if dtype == torch.float64:
        return topk
    return topk._replace(logits=topk.logits.to(dtype), tail=type(topk.tail)(*(part.float() for part in topk.tail)))


def _loss_and_gradient(loss: Callable[[Tensor], Tensor], student: Tensor) -> tuple[float, Tensor]:
    leaf = student.detach().requires_grad_()
    value = loss(leaf)
    return value.item(), torch.autograd.grad(value, leaf)[0]


def _sums(teacher: Tensor, student: Tensor, topk: TopK, t: float, whole: tuple[float, Tensor]) -> list[float]:
    """Rows, mass, tail's error, loss and |g|^2 of all classes; then per policy loss, |g_K - g|^2, <g_K, g>, |g_K|^2."""
    loss, gradient = whole
    mass, tail_error = float(len(teacher)), 0.0
    if topk.ids.shape[-1] < teacher.shape[-1]:
        _, tail = split_log_mass(teacher.log_softmax(dim=-1), topk.ids, t)
        mass -= (tail - (teacher.log_softmax(dim=-1) / t).logsumexp(dim=-1, keepdim=True)).exp().sum().item()
        tail_error = (tail_log_mass(topk.tail, t) - tail.squeeze(-1)).abs().sum().item()
    found = [len(teacher), mass, tail_error, loss, gradient.square().sum().item()]
    for policy in POLICIES:
        value, own = _loss_and_gradient(lambda z, p=policy: topk_kd_loss(z, topk, t, policy=p), student)  # type: ignore[misc]
        found += [value, *(x.sum().item() for x in ((own - gradient).square(), own * gradient, own.square()))]
    return found


def _row(k: int, t: float, sums: list[float]) -> Row:
    rows, mass, tail_error, loss, square = sums[:_COMMON]
    if square == 0.0:
        raise UserError("student and teacher agree everywhere, so no error has a scale; name another --student")
    policies = {}
    for index, policy in enumerate(POLICIES):
        value, difference, product, own = sums[_COMMON + 4 * index :][:4]
        cosine = product / math.sqrt(own * square) if own else 0.0
        policies[policy] = PolicyError(value / loss - 1, math.sqrt(difference / square), cosine)
    return Row(k, t, mass / rows, tail_error / rows, policies)


def table(rows: Sequence[Row]) -> list[str]:
    """The rows in Markdown."""
    heads = [f"{policy}: {what}" for policy in POLICIES for what in ("loss", "gradient", "cosine")]
    lines = [
        "| " + " | ".join(["T", "K", "mass in top K", "tail, nats", *heads]) + " |",
        "|--:" * (4 + len(heads)) + "|",
    ]
    for row in rows:
        cells = [
            f"{row.temperature:g}",
            f"{row.k:,}",
            f"{100 * row.mass:.1f} %",
            f"{row.tail:.1g}" if row.tail > _ROUNDING else "0",
        ]
        for error in row.policies.values():
            cells += [_percent(error.loss, "+"), _percent(error.gradient), f"{error.cosine:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _percent(ratio: float, sign: str = "") -> str:
    """`-3.4 %`; in powers of ten from 1,000 % on; 0 without a sign."""
    percent = round(100 * ratio, 1)
    if percent == 0.0:
        return "0 %"
    return f"{percent:{sign}.1f} %" if abs(percent) < 1000 else f"{percent:{sign}.1e} %"


if __name__ == "__main__":
    main()
