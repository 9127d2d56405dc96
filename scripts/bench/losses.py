"""What the losses cost here and in the packages that others install, in multiples of a bound, taken in turn.

    python scripts/bench/losses.py --output runs/bench/losses.json

The bound is `torch.add(student, teacher, out=...)` on the same logits: what reading both and writing a gradient costs.
Each loss makes its forward and backward pass, to the gradient of the student's logits. They take turns round by round,
each round in another order, and a ratio is to the bound of the same round. Not timed, beforehand: torch.compile for the
size; the gradient's error, |g - g64| / |g64| against the definition in float64 on 64 rows; and the memory that a call
takes at its peak beyond its arguments, the gradient included (on a CPU the process's resident set, n/a where
/proc/self/clear_refs cannot be written). A loss that overwrites logits (two of ours, Liger's cross-entropy) is given a
fresh copy before the clock starts. Losses are sums over the rows; timm's, Liger's JSD and "mean" are means. The task
"ls+kd" is half smoothed cross-entropy, half KD. With --dtype bf16 or fp16 the composition computes in fp32, as ours do;
timm and torchdistill compute in what they are given, and nothing scales a loss that is a mean.

A loss pays for the memory it allocates in its time too: on a CPU the first touch of every page, of which a row of the
table says what it takes for one gradient. glibc can be told to keep what is freed, so that no loss pays it again:

    GLIBC_TUNABLES=glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=17179869184 python ...
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from contenders import TASKS, Contender, Setting
from meters import Batch, available_bytes, extra_bytes, gradient, gradient_error, logits_for, seconds
from outputs import check_output
from roster import OPTIONAL, roster
from tables import BOUND, NEW_MEMORY, Row, facts_of, growth_table, table
from torch import Tensor
from tqdm import tqdm

from shared.errors import UserError, check_alpha, check_temperature, exit_on_user_error
from shared.files import write_text
from shared.provenance import package_versions

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ALLOCATOR = ("GLIBC_TUNABLES", "LD_PRELOAD", "PYTORCH_CUDA_ALLOC_CONF")  # what says how memory is had, if set
Prepare = Callable[[], Callable[[], Tensor]]  # makes, off the clock, the call that is measured


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write, anew after every table")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help=f"default: {' '.join(TASKS)}")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 16384], help="N (1024 4096 16384)")
    parser.add_argument("--classes", type=int, nargs="+", default=[10_000, 32_000], help="V (10000 32000)")
    parser.add_argument("--temperature", type=float, default=2.0, help="T, and DIST's tau (default: 2)")
    parser.add_argument("--alpha", type=float, default=0.1, help="label smoothing (default: 0.1)")
    parser.add_argument("--dtype", choices=list(DTYPES), default="fp32", help="of both logits (default: fp32)")
    parser.add_argument("--rounds", type=int, default=7, help="measured of every loss (default: 7)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="on a CPU (default: torch's)")
    parser.add_argument("--without", nargs="+", choices=list(OPTIONAL), default=[], help="losses to leave out")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        _check(args)
        bench(args)


def _check(args: argparse.Namespace) -> None:
    check_temperature(args.temperature)
    check_alpha(args.alpha)
    for name, given in (("--tokens", args.tokens), ("--classes", args.classes), ("--rounds", [args.rounds])):
        if min(given) < 2:
            raise UserError(f"{name} {min(given)}: it must be at least 2")
    if args.threads < 1:
        raise UserError(f"--threads {args.threads}: it must be at least 1")
    check_output(args.output)


def bench(args: argparse.Namespace) -> None:
    """Measure, print a table a size and task, write the JSON file."""
    torch.set_num_threads(args.threads)
    setting = Setting(args.temperature, args.alpha, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    sizes = [(tokens, classes) for tokens in sorted(set(args.tokens)) for classes in sorted(set(args.classes))]
    rows: list[Row] = []
    skipped: list[str] = []

    def skip(line: str) -> None:
        if line not in skipped:
            skipped.append(line)
            tqdm.write(line)

    turns = args.rounds + 1  # the first one warms up, checks and compiles
    total = sum(tokens * classes for tokens, classes in sizes) * len(args.tasks) * turns
    with tqdm(total=total, unit=" logits", unit_scale=True, smoothing=0) as progress:
        for task in args.tasks:
            for tokens, classes in sizes:
                progress.set_description(f"{task}, {tokens} tokens, V = {classes}")
                new = measure(args, setting, Row(task, BOUND, tokens, classes), skip, progress.update)
                rows += new
                tqdm.write("\n".join(table(new)) if new else "")
                write_text(args.output, json.dumps(_facts(args, setting, rows, skipped), indent=1) + "\n")
    print("\n".join(growth_table(rows)))
    print(f"\n{_machine(setting.device)}, {args.dtype}; wrote {args.output}")


def measure(
    args: argparse.Namespace,
    setting: Setting,
    bound: Row,
    skip: Callable[[str], None],
    advance: Callable[[float], Any],
) -> list[Row]:
    """One task at one size, those of `bound`: its rows, the bound first; none where the logits do not fit."""
    logits = bound.tokens * bound.classes
    if not _fits(bound, "everything", 3, setting, skip):
        advance(logits * (args.rounds + 1))
        return []
    torch.compiler.reset()  # torch.compile gives up on a function after some shapes
    batch = Batch.drawn(bound.tokens, bound.classes, DTYPES[args.dtype], setting.device)
    student = batch.student.detach()
    sums = torch.add(student, batch.teacher)
    new = Row(bound.task, NEW_MEMORY, bound.tokens, bound.classes, student.nbytes)
    calls: list[tuple[Row, Prepare]] = [
        (bound, lambda: lambda: torch.add(student, batch.teacher, out=sums)),
        (new, lambda: lambda: torch.empty_like(student).zero_()),
    ]
    contenders = roster(bound.task, setting, args.without, skip)
    for contender in contenders:
        row = _warm(contender, bound, batch, setting, skip)
        if row is not None:
            calls.append((row, partial(_call, contender, batch)))
        advance(logits / len(contenders))
    for turn in range(args.rounds):
        start = turn % len(calls)
        for row, prepare in calls[start:] + calls[:start]:
            row.seconds.append(seconds(prepare(), setting.device))
            advance(logits / len(calls))
    for row, _ in calls:
        row.ratios = [one / other for one, other in zip(row.seconds, bound.seconds, strict=True)]
    return [row for row, _ in calls]


def _call(contender: Contender, batch: Batch) -> Callable[[], Tensor]:
    return partial(gradient, contender, batch, logits_for(contender, batch))


def _warm(contender: Contender, bound: Row, batch: Batch, setting: Setting, skip: Callable[[str], None]) -> Row | None:
    """A row with what is not timed; None where the contender does not fit or does not run."""
    in_fp32 = batch.student.element_size() < 4  # most make one more copy then
    if not _fits(bound, contender.name, contender.copies + bool(contender.overwrites) + in_fp32, setting, skip):
        return None
    try:
        error = gradient_error(contender, bound.task, batch, setting)
        memory = extra_bytes(_call(contender, batch), setting.device)
        if contender.keeps and memory is not None:
            memory += batch.student.nbytes
    except Exception as failure:  # of a compiler, a driver, another's package: any kind
        reason = next(iter(str(failure).splitlines()), "")
        skip(f"{contender.name} is left out: {type(failure).__name__}: {reason}")
        return None
    return Row(bound.task, contender.name, bound.tokens, bound.classes, memory, error)


def _fits(bound: Row, name: str, copies: float, setting: Setting, skip: Callable[[str], None]) -> bool:
    """Whether `copies` of the logits in fp32 can be had, and a tenth to spare."""
    needed, free = 1.1 * copies * bound.tokens * bound.classes * 4, available_bytes(setting.device)
    if needed > free:
        size = f"{bound.tokens:,} x {bound.classes:,}"
        skip(f"{name} at {size} is left out: it takes {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
    return needed <= free


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"


def _facts(args: argparse.Namespace, setting: Setting, rows: list[Row], skipped: list[str]) -> dict[str, Any]:
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    packages = package_versions([*package_versions(), "triton", "torchdistill", "liger-kernel"])
    return {
        "ratio_to": "torch.add(student, teacher, out=...)",
        "settings": settings,
        "machine": _machine(setting.device),
        "rows": facts_of(rows),
        "left_out": skipped,
        "versions": packages,
        "environment": {name: os.environ[name] for name in ALLOCATOR if name in os.environ},
    }


if __name__ == "__main__":
    main()
