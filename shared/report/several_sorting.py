"""Which records of ensembles and of students of several teachers stand in one table."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.report.grouping import Settings, differing_fields, facts_of, gather, settings_of
from shared.report.several import (
    DIST,
    ENSEMBLE,
    EPL,
    RPL,
    SINGLE,
    SOFT,
    Method,
    Replicate,
    SeveralTeachers,
    is_of_several,
    teachers_of,
)
from shared.report.text import NO_BREAK, count, listing
from shared.results import Data, Model, Result

_STUDENTS = {"epl": EPL, "rpl": RPL, "dist": DIST}
_WEIGHTS = ("alpha", "kd_weight", "hard_weight")


def several_studies(records: Sequence[Result]) -> list[SeveralTeachers]:
    """A study for each kind of teachers, and in it for each kind of student; the ensembles stand in each."""
    records = [record for record in records if record.kind in ("model", "ensemble")]
    own = _by_weights(records)
    studies = []
    for together in gather(filter(is_of_several, records), lambda r: _kinds(teachers_of(r), own)):
        kinds = _kinds(teachers_of(together[0]), own)
        singles = {sha: its for sha, its in own.items() if _kinds([its[0].models[0]], own) <= kinds}
        ensembles = [record for record in together if record.kind == "ensemble"]
        families = _families([record for record in together if record.kind == "model"], own) or [[]]
        studies += [_study([*ensembles, *family], singles, len(families), len(kinds)) for family in families]
    return studies


def _by_weights(records: Sequence[Result]) -> dict[str, list[Result]]:
    """Records of single models by SHA-256 of the weights, the earliest first, without those on other test images."""
    own: dict[str, list[Result]] = {}
    for record in sorted(records, key=lambda r: (r.provenance.finished, r.name)):
        if record.kind != "model":
            continue
        its = own.setdefault(record.models[0].sha256, [])
        if not its or same_test(its[0].data, record.data):
            its.append(record)
    return own


def same_test(one: Data, other: Data) -> bool:
    """Whether scores may be of the same test items: the size of the test split and the digests agree, where known."""
    facts, others = facts_of(one), facts_of(other)
    test = [name for name in facts if name == "sizes.test" or name.startswith("sha256.")]
    return all(others.get(name, facts[name]) == facts[name] for name in test)


def _kinds(teachers: Sequence[Model], own: Mapping[str, list[Result]]) -> frozenset[object]:
    """What tells teachers apart that may not stand in one table. One without a record is of the kind of the others."""
    data = {m.sha256: own[m.sha256][0].data for m in teachers if m.sha256 in own}
    read: dict[str, object] = {sha: (known.name, known.label_noise) for sha, known in data.items()}
    others = set(read.values()) or {None}
    return frozenset(
        (m.arch, m.alpha, json.dumps(settings_of(m), sort_keys=True), one)
        for m in teachers
        for one in ({read[m.sha256]} if m.sha256 in read else others)
    )


def _study(records: Sequence[Result], singles: dict[str, list[Result]], families: int, kinds: int) -> SeveralTeachers:
    cells: dict[Method, dict[Replicate, list[Result]]] = defaultdict(lambda: defaultdict(list))
    differing = _differing(records)
    for record in sorted(records, key=lambda r: (r.provenance.finished, r.name)):
        seed = record.models[0].seed if record.kind == "model" else None
        cells[_method(record, differing)][frozenset(m.sha256 for m in teachers_of(record)), seed].append(record)
    first = next((its[0] for its in singles.values()), records[0])
    study = SeveralTeachers(_title(records, first), first.data, singles, dict(cells))
    study.cautions += _doubts(study, kinds)
    if families > 1:
        study.cautions.append(
            "The students differ in architecture, recipe, data or the weights of their loss, so they stand in "
            f"{families} separate tables; do not compare across them."
        )
    return study


def _differing(records: Sequence[Result]) -> Mapping[str, Sequence[str]]:
    """By loss, the settings in which students by KD, or by DIST, differ: they are rows of their own."""
    found = defaultdict(list)
    for settings in (_loss_settings(r.models[0]) for r in records if r.kind == "model" and not _by_labels(r)):
        found[settings["loss"]].append(settings)
    return {loss: differing_fields(settings) for loss, settings in found.items()}


def _loss_settings(student: Model) -> Settings:
    return {name: value for name, value in settings_of(student).items() if not name.startswith("recipe.")}


def _method(record: Result, differing: Mapping[str, Sequence[str]]) -> Method:
    used = len(teachers_of(record))
    if record.kind == "ensemble":
        return Method(ENSEMBLE, used, record.combination or "")
    model = record.models[0]
    at = "" if model.temperature is None else f"T{NO_BREAK}={NO_BREAK}{model.temperature:g}"
    drawn = "per batch" if model.distill.get("draw") == "batch" else ""  # per example is the paper's
    settings = _loss_settings(model)
    told = {name: "none" if value == "null" else value.strip('"') for name, value in settings.items()}
    further = [f"{name} {told[name]}" for name in differing.get(settings["loss"], []) if name in told]
    soft = ", ".join(filter(None, [at, *further]))
    detail = {"epl": model.distill.get("ensemble", ""), "rpl": drawn}.get(model.loss or "", soft)
    return Method(_STUDENTS.get(model.loss or "", SOFT), used, detail)


def _title(records: Sequence[Result], teacher: Result) -> str:
    """`fashion_mnist, label noise 20 %: teacher slim-resnet, student slim-resnet`."""
    noise = teacher.data.label_noise
    noisy = f", label noise {100 * noise:g}{NO_BREAK}%" if noise else ""
    archs = sorted({model.arch for record in records for model in teachers_of(record)})
    students = sorted({record.models[0].arch for record in records if record.kind == "model"})
    learned = f", student {listing(students)}" if students else ""
    return f"{teacher.data.name}{noisy}: several teachers {listing(archs)}{learned}"


def _doubts(study: SeveralTeachers, kinds: int) -> list[str]:
    doubts = []
    if kinds > 1:
        doubts.append("Some teachers that work together differ in architecture, recipe, data or label noise.")
    used = {sha for cell in study.cells.values() for teachers, _ in cell for sha in teachers}
    if missing := used - study.singles.keys():
        doubts.append(
            f"{count(len(missing), 'teacher')} of {len(used)} "
            f"{'has' if len(missing) == 1 else 'have'} no record in this folder; no score of theirs is known."
        )
    of_one = [
        m.label
        for m in study.methods
        if m.name != SINGLE and 1 == len({t for t, _ in study.cells[m]}) < len(study.cells[m])
    ]
    if of_one:
        doubts.append(
            f"{listing(of_one)}: all of one set of teachers, so the interval is over the students' seeds alone."
        )
    shared = [m.label for m in study.methods if m.name != SINGLE and _overlap({t for t, _ in study.cells[m]})]
    if shared:
        doubts.append(
            f"{listing(shared)}: the sets of teachers overlap, so the replicates are not independent and the intervals "
            "are too narrow."
        )
    doubts += [
        f"{one.name} and {other.name} are of one cell and replicate; where both have a score, the later one is shown."
        for cell in study.cells.values()
        for records in cell.values()
        for one, other in itertools.pairwise(records)
        if one.kind == "model" and one.models[0].sha256 != other.models[0].sha256
    ]
    counts = {m.count for r in study.records for k, m in r.metrics.items() if k in ("test/top1", "last/test/top1")}
    if len(counts) > 1:
        doubts.append("The scores are over different numbers of images; do not compare them.")
    return doubts


def _overlap(sets: Iterable[frozenset[str]]) -> bool:
    members = [sha for one in sets for sha in one]
    return len(members) > len(set(members))


def _families(students: Sequence[Result], own: Mapping[str, list[Result]]) -> list[list[Result]]:
    """What may share a table. Students by pseudo-labels, which are compared with each other, agree in the weights of
    their loss too; those by KD and DIST, whose weights go with the loss, stand in each.
    """
    families: list[list[Result]] = []
    for alike in gather(students, lambda r: _family(r, own)):
        soft = [record for record in alike if not _by_labels(record)]
        weighed = gather(filter(_by_labels, alike), lambda r: _weights(r.models[0]))
        families += [[*labelled, *soft] for labelled in weighed or [[]]]
    return families


def _weights(student: Model) -> tuple[str | None, ...]:
    settings = settings_of(student)
    return tuple(settings.get(name) for name in _WEIGHTS)


def _by_labels(student: Result) -> bool:
    return student.models[0].loss in ("epl", "rpl")


def _family(record: Result, own: Mapping[str, list[Result]]) -> object:
    """What students of one table share. Their first record says what they learned from, later ones what scored them."""
    model, trained = record.models[0], own[record.models[0].sha256][0].data
    return (model.arch, json.dumps(model.recipe, sort_keys=True), trained.name, json.dumps(trained.sizes))
