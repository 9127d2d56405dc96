"""What `losses.py` prints and writes of what it has measured."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

BOUND = "bound"
NEW_MEMORY = "zeros in new memory, as a gradient's"


@dataclass
class Row:
    """One loss at one size. `memory`: bytes beyond the arguments, None where it cannot be seen; `error`: of the
    gradient, None of what is no loss; `seconds` and `ratios` to the bound, both by round."""

    task: str
    name: str
    tokens: int
    classes: int
    memory: int | None = 0
    error: float | None = None
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def copies(self) -> float | None:
        """`memory` in multiples of N * V * 4 bytes."""
        return None if self.memory is None else self.memory / (4 * self.tokens * self.classes)

    @property
    def nanoseconds(self) -> float:
        """Median per logit of the student."""
        return 1e9 * statistics.median(self.seconds) / (self.tokens * self.classes)


def _quartiles(values: Sequence[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive")


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown lines of one task at one size; the bound first."""
    first = rows[0]
    lines = [
        f"\n### {first.task}: {first.tokens:,} tokens, V = {first.classes:,}\n",
        "| loss, forward and backward | time / bound | quartiles | ms | memory / (N V 4 bytes) | gradient error |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, ratio, high = _quartiles(row.ratios)
        copies = "n/a" if row.copies is None else f"{row.copies:.1f}"
        error = "" if row.error is None else f"{row.error:.1e}"
        milliseconds = f"{1000 * statistics.median(row.seconds):.4g}"
        lines.append(f"| {row.name} | {ratio:.2f} | {low:.2f} to {high:.2f} | {milliseconds} | {copies} | {error} |")
    return lines


def growth_table(rows: Sequence[Row]) -> list[str]:
    """Markdown lines: nanoseconds per logit of every loss, by size; constant where the cost grows as N V."""
    sizes = sorted({(row.tokens, row.classes) for row in rows})
    found = {(row.task, row.name, row.tokens, row.classes): f"{row.nanoseconds:.3g}" for row in rows}
    lines = [
        "\n### Growth: ns per logit (N V of them), by N x V\n",
        "| task | loss | " + " | ".join(f"{tokens:,} x {classes:,}" for tokens, classes in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for task, name in dict.fromkeys((row.task, row.name) for row in rows):
        cells = (found.get((task, name, *size), "") for size in sizes)
        lines.append(f"| {task} | {name} | {' | '.join(cells)} |")
    return lines


def facts_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For the JSON file."""
    return [_facts(row) for row in rows]


def _facts(row: Row) -> dict[str, Any]:
    low, ratio, high = _quartiles(row.ratios)
    return {
        "task": row.task,
        "loss": row.name,
        "tokens": row.tokens,
        "classes": row.classes,
        "ratio": {"median": ratio, "quartiles": [low, high]},
        "seconds": {"median": statistics.median(row.seconds), "rounds": row.seconds},
        "ns_per_logit": row.nanoseconds,
        "extra_bytes": row.memory,
        "extra_copies": row.copies,
        # fp16 and bf16 can overflow; JSON has no infinity.
        "gradient_error": row.error if row.error is not None and math.isfinite(row.error) else None,
    }
