"""The table that every number links to: who made it, when, with what, from which teacher."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.report.document import Block, Cell, Paragraph, Table
from shared.report.metrics import metric_keys
from shared.report.text import NO_BREAK, alpha_label, duration, memory, moment, temperature_label
from shared.results import KINDS, Model, Provenance, Result


def anchors(records: Mapping[Path, Result]) -> dict[str, str]:
    """An address for each record's name; names may hold any character, so they are numbered."""
    return {record.name: f"record-{index}" for index, record in enumerate(records.values(), start=1)}


def provenance_blocks(records: Mapping[Path, Result], folder: Path) -> list[Block]:
    """One row per record, and one row per distinct set of software versions, named A, B, ..."""
    stacks = list(dict.fromkeys(_stack(record) for record in records.values()))
    rows = [_row(record, path.relative_to(folder), stacks) for path, record in records.items()]
    header = ["Record and file", "What it is", "Seed", "Teacher", "Time, memory, device", "Code", "Command"]
    addresses = anchors(records)
    software = [[Cell(_letter(k)), Cell(stack)] for k, stack in enumerate(stacks)]
    return [
        Paragraph(
            "Scores and differences above link to the records they come from; p values and intervals are of the same "
            "records as the numbers beside them. Paths are relative to the folder of this study; teachers are named by "
            "the first 12 digits of their weights' SHA-256."
        ),
        Table("Records", header, rows, anchors=[addresses[record.name] for record in records.values()], numeric=False),
        Table("Software", ["Set", "Versions"], software, numeric=False),
        _costs(list(records.values())),
    ]


def _costs(records: Sequence[Result]) -> Table:
    """What the records took, by kind and in all. Runs may have been at the same time."""
    by_kind = {kind: [record.provenance for record in records if record.kind == kind] for kind in KINDS}
    rows = [_cost(kind, made) for kind, made in by_kind.items() if made]
    if len(rows) > 1:
        rows.append(_cost("all", [record.provenance for record in records]))
    header = ["Kind of record", "Records", "Wall time (hours, summed)", "Largest peak memory"]
    note = "The wall time of a record of kind model includes its training where its notes or its command say so."
    return Table("Costs", header, rows, note)


def _cost(what: str, made: Sequence[Provenance]) -> list[Cell]:
    hours = sum(p.wall_seconds for p in made) / 3600
    return [
        Cell(what),
        Cell(f"{len(made):,}"),
        Cell(f"{hours:.2f}"),
        Cell(memory(max(p.peak_memory_bytes for p in made))),
    ]


def other_models(records: Mapping[Path, Result]) -> Table | None:
    """Models that no table compares: students without a teacher's card."""
    rows = []
    for record in records.values():
        model = record.models[0]
        if record.kind == "model" and model.role != "teacher" and record.teacher is None:
            scores = [
                f"{key.label} {record.metrics[key.text].value:.{key.scale.digits}f}" for key in metric_keys([record])
            ]
            rows.append([Cell(record.name, (record.name,)), Cell(_what(model)), Cell("; ".join(scores))])
    return (
        Table("Models without a teacher's card", ["Record", "Model", "Scores"], rows, numeric=False) if rows else None
    )


def _row(record: Result, path: Path, stacks: list[str]) -> list[Cell]:
    p = record.provenance
    commit = p.git_commit or "not recorded"
    dirty = " (with local changes)" if commit.endswith("-dirty") else ""
    code = f"{commit.removesuffix('-dirty')[:12]}{dirty}, software {_letter(stacks.index(_stack(record)))}"
    return [
        Cell(f"{record.name}\n{path.as_posix()}"),
        Cell(_subject(record)),
        Cell(", ".join(dict.fromkeys("not recorded" if m.seed is None else str(m.seed) for m in record.models))),
        Cell(_teachers(record)),
        Cell(f"{duration(p.wall_seconds)}, {memory(p.peak_memory_bytes)}, {p.device}\n{moment(p.finished)}"),
        Cell(code, title=p.git_commit or ""),
        Cell(shlex.join(p.command), code=True),
    ]


def _subject(record: Result) -> str:
    models = list(dict.fromkeys(_what(model) for model in record.models))
    sizes = ", ".join(f"{split} {size:,}" for split, size in record.data.sizes.items())
    notes = "".join(f"\n{note}" for note in record.notes)
    kind = f"{record.kind} by {record.combination}" if record.combination else record.kind
    noise = f", label noise {100 * record.data.label_noise:g}{NO_BREAK}%" if record.data.label_noise else ""
    return f"{kind}: {'; '.join(models)}\n{record.data.name}{f' ({sizes})' if sizes else ''}{noise}{notes}"


def _what(model: Model) -> str:
    if model.role == "teacher":
        setting = alpha_label(model.alpha)
    elif model.loss in (None, "kd"):
        setting = temperature_label(model.temperature)
    else:
        at = "" if model.temperature is None else f" at {temperature_label(model.temperature)}"
        setting = f"{model.loss.upper()}{at}"
    return f"{model.role} {model.arch}, {setting}, {model.parameters:,} parameters, {model.sha256[:12]}"


def _teachers(record: Result) -> str:
    teachers = record.teachers or ([record.teacher] if record.teacher else [])
    return "; ".join(f"{alpha_label(teacher.alpha)}, {teacher.sha256[:12]}" for teacher in teachers) or "none"


def _stack(record: Result) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(record.provenance.versions.items()))


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"
