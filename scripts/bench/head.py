"""What `head_terms` costs beside making both networks' logits and calling `fused_terms`, as the number of tokens grows.

    python scripts/bench/head.py --output runs/bench/head.json

Both make the forward and backward pass from hidden states [N, d] of student and teacher to the gradients of the
student's hidden states and output matrix [V, d], in turn, round by round; the ratio is of the same round. Memory is
what a call takes at its peak beyond its arguments, the gradients' (N + V) d numbers included; n/a where
/proc/self/clear_refs cannot be written.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from meters import extra_bytes, seconds
from outputs import check_output
from torch import Tensor

from shared.errors import UserError, check_temperature, exit_on_user_error
from shared.files import write_text
from shared.losses import FusedTerms, Head, fused_terms, head_terms
from shared.provenance import package_versions

Terms = Callable[..., FusedTerms]


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--tokens", type=int, nargs="+", default=[1024, 2048, 4096, 8192], help="N (1024 2048 4096 8192)"
    )
    parser.add_argument("--classes", type=int, default=32_000, help="V (default: 32000)")
    parser.add_argument("--dim", type=int, default=512, help="d of both networks (default: 512)")
    parser.add_argument("--temperature", type=float, default=2.0, help="T (default: 2)")
    parser.add_argument("--rounds", type=int, default=7, help="measured at every N (default: 7)")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        check_temperature(args.temperature)
        if min(*args.tokens, args.classes, args.dim) < 1 or args.rounds < 2:
            raise UserError("--rounds is 2 or more, every size 1 or more")
        check_output(args.output)
        bench(args)


def bench(args: argparse.Namespace) -> None:
    """Measure, print a row for every N, write the JSON file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    print(
        "| tokens | time / logits + fused loss | MB, head_terms | MB, logits + fused loss | difference of gradients |"
    )
    print("|---|---|---|---|---|")
    for count, tokens in enumerate(args.tokens, start=1):
        print(f"{tokens} tokens, size {count} of {len(args.tokens)}", file=sys.stderr, flush=True)
        rows.append(row := measure(args, tokens, device))
        low, high = row["quartiles"]
        memory = ["n/a" if value is None else f"{value / 1e6:.0f}" for value in row["bytes"]]
        print(
            f"| {tokens} | {row['ratio']:.3f} ({low:.3f} to {high:.3f}) | {memory[0]} | {memory[1]} | "
            f"{row['difference']:.1e} |",
            flush=True,
        )
    machine = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    print(f"V = {args.classes}, d = {args.dim}, fp32; {machine}, {torch.get_num_threads()} thread(s)")
    facts = {"machine": machine, "threads": torch.get_num_threads(), "rows": rows, "versions": package_versions()}
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    write_text(args.output, json.dumps({"settings": settings} | facts, indent=1) + "\n")


def measure(args: argparse.Namespace, tokens: int, device: torch.device) -> dict[str, Any]:
    """At one N: the ratios, both peaks, and how far the gradients are apart (relative, by norm)."""
    draw = torch.Generator(device).manual_seed(0)
    tensors = [
        torch.randn(rows, args.dim, device=device, generator=draw) * scale
        for rows, scale in ((tokens, 1.0), (args.classes, 2 / args.dim**0.5)) * 2
    ]
    student, teacher = Head(*(tensor.requires_grad_() for tensor in tensors[:2])), Head(*tensors[2:])
    target = torch.randint(args.classes, (tokens,), device=device, generator=draw)
    calls = [partial(gradients, terms, student, teacher, target, args.temperature) for terms in (head_terms, of_logits)]
    one, other = (call() for call in calls)
    difference = float((one - other).norm() / other.norm())
    del one, other
    peaks = [extra_bytes(call, device) for call in calls]
    taken: list[list[float]] = [[], []]
    for turn in range(args.rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            taken[which].append(seconds(calls[which], device))
    ratios = [a / b for a, b in zip(*taken, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    row = {"tokens": tokens, "ratio": median, "quartiles": [low, high], "bytes": peaks}
    return row | {"difference": difference, "seconds": taken}


def gradients(terms: Terms, student: Head, teacher: Head, target: Tensor, temperature: float) -> Tensor:
    """Of the output matrix [V, d]; that of the hidden states is made beside it."""
    weights = {"temperature": temperature, "alpha": 0.1, "kd_weight": 0.9, "hard_weight": 0.1}
    loss = terms(student, teacher, target, statistics=False, **weights).loss
    return torch.autograd.grad(loss, student[:2])[1]


def of_logits(student: Head, teacher: Head, target: Tensor, **options: Any) -> FusedTerms:
    """The usual way: all logits of both, the gradient of the student's in their place."""
    with torch.no_grad():
        given = teacher.logits()
    return fused_terms(student.logits(), given, target, overwrite="student", **options)


if __name__ == "__main__":
    main()
