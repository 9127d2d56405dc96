"""What streaming class centroids costs beside reading the features once, batch by batch in turn.

    python scripts/bench/centroids.py --images 1281167 --dim 2048 --classes 1000 --output runs/bench/centroids.json

How fast that is depends on the rows that a class has in a batch, each class being written once: so batches of two sizes
are measured, of 2,048 rows and of 8,192.

Batches come in rotation from a pool that no cache holds, non-negative as after a ReLU, with labels drawn anew for each.
In every turn one batch is read (`torch.sum`) and one is added to a `CentroidAccumulator`, so that whatever else the
machine does falls on both; neither finds its batch in a cache. The speed is reading's time over the accumulator's in a
whole pass, float64 flushes and the last division included: 1 would be free, 0.5 is another read. Before that a large
tensor is made and freed, as any model frees its activations: glibc then keeps what is freed, where at first it would
hand every megabyte back to the kernel and fault it in again page by page.

Memory and error are of two more passes, untimed. Memory: the largest resident set from the accumulator's making to its
centroids, less what was resident before, with the pool made and read (on a GPU, the same of torch's allocator). Error:
the largest relative one of any centroid's coordinate, for some classes, against numpy's float64 sums of the same rows.
"""

import argparse
import json
import platform
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from meters import extra_bytes, seconds
from outputs import check_output
from torch import Tensor
from tqdm import tqdm

from shared.diffusion import CentroidAccumulator
from shared.errors import UserError, exit_on_user_error
from shared.files import write_text
from shared.provenance import package_versions

_FREED = 30 << 20  # bytes; glibc learns from freed blocks of up to 32 MiB
CONTENDERS: dict[str, dict[str, bool]] = {"centroids": {}, "with second moments": {"second_moments": True}}


def main() -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description="Speed, memory and error of streaming class centroids, interleaved.")
    parser.add_argument("--images", type=int, default=1281167, help="rows of a pass (default: 1281167, ImageNet's)")
    parser.add_argument("--dim", type=int, default=2048, help="features of a row (default: 2048)")
    parser.add_argument("--classes", type=int, default=1000, help="default: 1000")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[2048, 8192], help="default: 2048 8192")
    parser.add_argument("--pool", type=int, default=8, help="distinct batches (default: 8; of 8192 rows 512 MiB)")
    parser.add_argument("--passes", type=int, default=5, help="timed, each with a new accumulator (default: 5)")
    parser.add_argument("--checked", type=int, default=50, help="classes compared with float64 (default: 50)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    with exit_on_user_error():
        sizes = (args.images, args.dim, args.classes, *args.batch_size, args.checked)
        if min(sizes) < 1 or min(args.pool, args.passes) < 2:
            raise UserError("--pool and --passes are 2 or more, everything else 1 or more")
        check_output(args.output)
        bench(args)


def bench(args: argparse.Namespace) -> None:
    """Measure, print, write the JSON file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    scale = 0.2 + torch.rand(args.dim, generator=generator)
    # In place, so that no freed memory is left over in which the accumulator would go unnoticed.
    most = max(args.batch_size)
    pool = [torch.empty(most, args.dim).normal_(0.4, 1, generator=generator) for _ in range(args.pool)]
    pool = [batch.mul_(scale).relu_().to(device) for batch in pool]
    pools = {size: [batch[:size] for batch in pool] for size in args.batch_size}
    memory = _memory(pool, args)
    errors = {size: _error(batches, args) for size, batches in pools.items()}
    torch.ones(_FREED, dtype=torch.uint8)  # made and freed
    rows = {name: {size: _row(*_timed(batches, args, name)) for size, batches in pools.items()} for name in CONTENDERS}
    machine = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    print(
        f"{args.images:,} rows of {args.dim} in {args.classes} classes; {machine}, {torch.get_num_threads()} threads; "
        f"{args.passes} passes"
    )
    for name, size, row in ((name, size, row) for name, sizes in rows.items() for size, row in sizes.items()):
        low, high = row["quartiles"]
        print(
            f"{name}, batches of {size:,}: {100 * row['speed']:.1f} % of the speed of reading (passes "
            f"{100 * min(row['passes']):.1f} to {100 * max(row['passes']):.1f} %; 32 batches, quartiles "
            f"{100 * low:.1f} to {100 * high:.1f} %)"
        )
        read, add = (statistics.median(row["ms a batch"][what]) for what in ("reading", "adding"))
        print(f"    a batch: {read:.2f} ms to read, {add:.2f} ms to add")
    print(f"memory beyond batches of {most:,}: {'unknown' if memory is None else f'{memory / 1e6:.0f} MB'}")
    print(f"largest relative error of {min(args.checked, args.classes)} centroids: {max(errors.values()):.1e}")
    facts = {
        "settings": {key: value for key, value in vars(args).items() if key != "output"},
        "machine": machine,
        "threads": torch.get_num_threads(),
        "speed in multiples of reading's": rows,
        "peak memory beyond the batches, bytes": memory,
        "largest relative error": errors,
        "versions": package_versions(["torch", "numpy"]),
    }
    write_text(args.output, json.dumps(facts, indent=1) + "\n")


def _stream(pool: list[Tensor], args: argparse.Namespace, task: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(batch to add, its labels, batch to read) until all rows are added; the same for every call."""
    generator = torch.Generator().manual_seed(1)
    starts = range(0, args.images, len(pool[0]))
    for turn, start in enumerate(tqdm(starts, desc=task, unit="batch", leave=False)):
        size = min(len(pool[0]), args.images - start)
        labels = torch.randint(args.classes, (size,), generator=generator).to(pool[0].device)
        yield pool[turn % len(pool)][:size], labels, pool[(turn + len(pool) // 2) % len(pool)][:size]


def _timed(pool: list[Tensor], args: argparse.Namespace, name: str) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of every turn in every pass: (reading, adding). The centroids are part of the last turn's adding."""
    reading: list[list[float]] = []
    adding: list[list[float]] = []
    device = pool[0].device
    for index in range(args.passes + 1):  # the first warms up
        seen = CentroidAccumulator(args.classes, args.dim, **CONTENDERS[name])
        reads, adds = [], []
        for turn, (batch, labels, other) in enumerate(_stream(pool, args, f"{name}, pass {index} of {args.passes}")):
            if turn % 2:
                adds.append(seconds(partial(seen.update, batch, labels), device))
            reads.append(seconds(other.sum, device))
            if not turn % 2:
                adds.append(seconds(partial(seen.update, batch, labels), device))
        adds[-1] += seconds(partial(getattr, seen, "centroids"), device)
        if index:
            reading.append(reads)
            adding.append(adds)
    return reading, adding


def _row(reading: list[list[float]], adding: list[list[float]]) -> dict[str, Any]:
    """Speeds of whole passes, and of 32 batches at a time, over which a flush weighs what it does in the long run."""
    passes = [sum(read) / sum(add) for read, add in zip(reading, adding, strict=True)]
    parts = [
        sum(read[start : start + 32]) / sum(add[start : start + 32])
        for read, add in zip(reading, adding, strict=True)
        for start in range(0, len(read), 32)
    ]
    low, _, high = statistics.quantiles(parts, n=4) if len(parts) > 1 else parts * 3
    means = {
        what: [1000 * statistics.fmean(turns) for turns in seconds]
        for what, seconds in (("reading", reading), ("adding", adding))
    }
    return {"speed": statistics.median(passes), "passes": passes, "quartiles": [low, high], "ms a batch": means}


def _memory(pool: list[Tensor], args: argparse.Namespace) -> int | None:
    """Bytes that a pass holds at most beyond the pool; None where the kernel does not let a process ask that."""
    device = pool[0].device
    warm = CentroidAccumulator(2, 3)  # what torch needs for its first kernels is not the accumulator's
    warm.update(torch.ones(100, 3, device=device), torch.zeros(100, dtype=torch.long))
    pool[0].sum() + warm.centroids.sum()

    def one_pass() -> None:
        seen = CentroidAccumulator(args.classes, args.dim)
        for batch, labels, _ in _stream(pool, args, "memory"):
            seen.update(batch, labels)
        assert len(seen.centroids) == args.classes

    return extra_bytes(one_pass, device)


def _error(pool: list[Tensor], args: argparse.Namespace) -> float:
    """Largest relative error of a coordinate of the centroids of some classes."""
    seen = CentroidAccumulator(args.classes, args.dim)
    checked = range(0, args.classes, max(1, args.classes // args.checked))[: args.checked]
    sums, counts = np.zeros((len(checked), args.dim)), np.zeros((len(checked), 1))
    for batch, labels, _ in _stream(pool, args, "error"):
        seen.update(batch, labels)
        for place, k in enumerate(checked):
            rows = batch[labels == k].cpu().numpy().astype(np.float64)
            sums[place] += rows.sum(axis=0)
            counts[place] += len(rows)
    found, expected = seen.centroids[list(checked)].cpu().numpy(), sums / counts.clip(1)
    known = expected > 0  # there are rows, and the coordinate was not 0 in all of them
    if not known.any():
        raise UserError("none of the checked classes has a row; give more --images")
    return float((np.abs(found - expected)[known] / expected[known]).max())


if __name__ == "__main__":
    main()
