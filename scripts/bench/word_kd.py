"""What distillation costs a training step: plain label smoothing, a cached teacher, a live one, step by step in turn.

A live teacher is also held against the plain step and the teacher's own forward pass together, the least it can cost.

    python scripts/bench/word_kd.py --teacher runs/demo/nmt/teacher-a0.1/checkpoint_last.pt --cache runs/cache \
        --data data/nmt/libreoffice.en-de/data-bin --output runs/bench/word_kd.json

Every variant makes a full training step (forward, loss, backward, Adam) on the same batches of the same student, which
has the teacher's architecture (one without a plain last layer has no row for --fused-head). The variants take turns
batch by batch, so that whatever else the machine does falls on all of them; what is printed are ratios to the plain
step of the same batch.
"""

import argparse
import functools
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fairseq import tasks, utils
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from omegaconf import OmegaConf
from outputs import check_output

import nmt_plugin  # noqa: F401  (allow-lists what fairseq checkpoints hold)
from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from nmt_plugin.criterions import SmoothedCrossEntropyCriterion, WordKDCriterion
from nmt_plugin.data_folder import check_data_folder
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError, exit_on_user_error
from shared.files import write_text
from shared.provenance import package_versions

Step = Callable[[Any], Any]
PLAIN = "label smoothing alone"
FORWARD = "the teacher's forward pass alone"


def main() -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description="Cost of a word_kd step in multiples of a plain one, interleaved.")
    parser.add_argument("--teacher", required=True, help="fairseq checkpoint; the student has its architecture")
    parser.add_argument("--cache", help="teacher cache of the same data; without it a cached teacher is left out")
    parser.add_argument("--data", required=True, help="data-bin")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 2.0], help="default: 1 2")
    parser.add_argument("--kd-weight", type=float, default=1.0, help="default: 1")
    parser.add_argument("--max-tokens", type=int, default=1000, help="tokens in a batch (default: 1000)")
    parser.add_argument("--batches", type=int, default=60, help="batches measured (default: 60)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    with exit_on_user_error():
        for name, given, least in (("--batches", args.batches, 2), ("--max-tokens", args.max_tokens, 1)):
            if given < least:
                raise UserError(f"{name} {given}: it must be at least {least}")
        check_output(args.output)
        bench(args)


def bench(args: argparse.Namespace) -> None:
    """Measure, print a table, write the JSON file."""
    check_data_folder(args.data)
    config = checkpoint_config(read_checkpoint(args.teacher))
    config.task.data = args.data
    task = tasks.setup_task(config.task)
    task.load_dataset("train")
    student = task.build_model(config.model).train()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    student.to(device)
    settings = OmegaConf.structured(FairseqAdamConfig(lr=[1e-5], tpu=False))
    optimizer = FairseqAdam(settings, list(student.parameters()))
    batches = _batches(task, args, device)
    live = LiveTeacher(args.teacher, task)
    fused_head = _has_plain_last_layer(live, batches[0])
    criteria = {PLAIN: SmoothedCrossEntropyCriterion(task, 0.1)}
    for t in args.temperatures:
        common: dict[str, Any] = {"temperature": t, "kd_weight": args.kd_weight}
        if args.cache:
            criteria[f"cache, T = {t:g}"] = WordKDCriterion(task, 0.1, teacher_cache=args.cache, **common)
        criteria[f"live teacher, T = {t:g}"] = WordKDCriterion(task, 0.1, teacher=args.teacher, **common)
        if fused_head:
            criteria[f"live teacher, fused head, T = {t:g}"] = WordKDCriterion(
                task, 0.1, teacher=args.teacher, fused_head=True, **common
            )
    steps: dict[str, Step] = {
        name: functools.partial(_step, criterion, student, optimizer) for name, criterion in criteria.items()
    }
    steps[FORWARD] = live.logits
    seconds = _measure(steps, batches, device)
    least = [step + forward for step, forward in zip(seconds[PLAIN], seconds[FORWARD], strict=True)]
    rows = {name: _ratios(mine, seconds[PLAIN]) for name, mine in seconds.items()}
    to_least = {name: _ratios(mine, least) for name, mine in seconds.items() if name.startswith("live")}
    for title, table in ((PLAIN, rows), ("a plain step and the teacher's forward pass", to_least)):
        print(f"\nin multiples of {title}:")
        for name, row in table.items():
            print(f"| {name} | {row['median']:.3f} | {row['quartiles'][0]:.3f} to {row['quartiles'][1]:.3f} |")
    device_name = torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    facts = {
        "ratio_to": PLAIN,
        "ratios": rows,
        "ratios of live teachers to a plain step and the teacher's forward pass": to_least,
        "batches": args.batches,
        "max_tokens": args.max_tokens,
        "kd_weight": args.kd_weight,
        "device": device_name,
        "machine": platform.machine(),
        "versions": package_versions(),
    }
    write_text(args.output, json.dumps(facts, indent=1) + "\n")


def _batches(task: Any, args: argparse.Namespace, device: torch.device) -> list[Any]:
    iterator = task.get_batch_iterator(
        task.dataset("train"), max_tokens=args.max_tokens, required_batch_size_multiple=1, seed=1
    ).next_epoch_itr()
    chosen = [sample for sample, _ in zip(iterator, range(args.batches), strict=False)]
    return [utils.move_to_cuda(sample) if device.type == "cuda" else sample for sample in chosen]


def _has_plain_last_layer(teacher: LiveTeacher, sample: Any) -> bool:
    try:
        teacher.head(sample)
    except UserError as error:
        print(f"left out: {error}")
        return False
    return True


def _measure(steps: dict[str, Step], batches: list[Any], device: torch.device) -> dict[str, list[float]]:
    """Seconds of every step by variant; the first batch warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn, sample in enumerate([batches[0], *batches]):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken = _timed(functools.partial(steps[name], sample), device)
            if turn:
                seconds[name].append(taken)
    return seconds


def _step(criterion: Any, student: Any, optimizer: Any, sample: Any) -> None:
    loss, size, _ = criterion(student, sample)
    optimizer.backward(loss / size)
    optimizer.step()
    optimizer.zero_grad()


def _timed(step: Callable[[], Any], device: torch.device) -> float:
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _ratios(one: list[float], other: list[float]) -> dict[str, Any]:
    low, median, high = statistics.quantiles([a / b for a, b in zip(one, other, strict=True)], n=4)
    return {"median": median, "quartiles": [low, high]}


if __name__ == "__main__":
    main()
