"""Which records may stand in one table: everything but the studied quantities (alpha, T) must agree."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from shared.report.text import ALPHA, alpha_label, count, listing, temperature_label
from shared.results import Data, Model, Result

# Studied, or shown in the table: not part of what must agree. (A model's own `alpha`, `temperature` and `seed` are
# fields of its card; some trainers repeat them in the recipe.)
_STUDIED = frozenset({"alpha", "label_smoothing", "temperature", "seed"})


@dataclass(frozen=True)
class Item:
    """One record in a comparison: a teacher (`student` is None), or a student with the first of its teachers."""

    record: Result
    teacher: Model
    student: Model | None


@dataclass(frozen=True)
class Group:
    """Records that may stand in one table. `variant` tells it from its siblings, `cautions` say why there are any."""

    items: list[Item]
    variant: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


@dataclass
class Sorting:
    """The groups of a study, and cautions about single records."""

    groups: list[Group] = field(default_factory=list)
    cautions: list[tuple[Result, str]] = field(default_factory=list)


Settings = Mapping[str, str]
T = TypeVar("T")


def comparable_groups(
    records: Sequence[Result], *kinds: str, alphas: Collection[float | None] | None = None
) -> Sorting:
    """Sort the records of `kinds` into groups. Students without a teacher's card belong to no group.

    `alphas`: of these teachers alone, as if there were no others, whose seeds or settings may differ.
    """
    known = _Known(records)
    sorting = Sorting()
    items = []
    for record in (r for r in records if r.kind in kinds):
        item = item_of(record, known.teachers)
        if item and (alphas is None or item.teacher.alpha in alphas):
            items.append(item)
            sorting.cautions += [(record, f"{record.name}: {text}") for text in _doubts(record, known)]
    for siblings in gather(items, lambda i: (i.record.task, i.record.data.name, i.teacher.arch)):
        for group in split_by_data(Group(siblings)):
            for family in split_by(group, "teacher", lambda i: settings_of(i.teacher)):
                for matched in _match_seeds(family):
                    sorting.groups += _split_students(matched)
    return sorting


class _Known:
    """The networks that have a record of their own: teachers by digest, students' digests by what they are."""

    def __init__(self, records: Sequence[Result]) -> None:
        models = [record for record in records if record.kind == "model"]
        self.teachers = {r.models[0].sha256: r.models[0] for r in models if r.models[0].role == "teacher"}
        self._students: dict[object, set[str]] = defaultdict(set)
        for record in models:
            if record.teacher is not None:
                self._students[_what(record.models[0], record.teacher)].add(record.models[0].sha256)

    def is_another(self, student: Model, teacher: Model) -> bool:
        """Whether there are records of such a student, and none of this one."""
        return student.sha256 not in self._students.get(_what(student, teacher), {student.sha256})


def _what(student: Model, teacher: Model) -> object:
    """All that a student's card and its teacher's say, but the digest of the student's weights."""
    settings = tuple(sorted(settings_of(student).items()))
    return student.arch, student.seed, student.temperature, settings, teacher.sha256


def item_of(record: Result, teachers: Mapping[str, Model]) -> Item | None:
    model = record.models[0]
    if record.kind in ("model", "clusters") and model.role == "teacher":
        return Item(record, teacher=model, student=None)
    if record.teacher is None:
        return None
    # The teacher's own record, where there is one, is better evidence than the card that its student carries.
    return Item(record, teacher=teachers.get(record.teacher.sha256, record.teacher), student=model)


def _doubts(record: Result, known: _Known) -> list[str]:
    """What does not fit between a student's record and the teacher's or its own, or between an index's two students."""
    doubts = []
    if (card := record.teacher) is not None:
        own = known.teachers.get(card.sha256)
        if own is None:
            doubts.append(
                f"its teacher ({alpha_label(card.alpha)}, sha256 {card.sha256[:12]}) has no record in this folder, so "
                "the teacher's own score is missing and its recipe rests on the student's word."
            )
        elif own.alpha != card.alpha:
            doubts.append(
                f"its card says that its teacher has {alpha_label(card.alpha)}; the teacher's own record says "
                f"{alpha_label(own.alpha)}, which is used here."
            )
        doubts += [
            f"its student of {temperature_label(model.temperature)} (sha256 {model.sha256[:12]}) is not the one that "
            "its record here names: it was trained again, or this was measured at another checkpoint."
            for model in record.models
            if known.is_another(model, card)
        ]
    differing = differing_fields([{**settings_of(model), "seed": str(model.seed)} for model in record.models])
    if record.kind == "diffusion" and differing:
        doubts.append(f"its two students differ in {listing(differing)} besides temperature.")
    if record.kind == "diffusion" and not _rising(record):
        doubts.append("its first student must have the lower temperature, and has not; its signs cannot be read.")
    return doubts


def _rising(record: Result) -> bool:
    low, high = (model.temperature for model in record.models)
    return low is not None and high is not None and low < high


def settings_of(model: Model) -> Settings:
    """What must agree between models of one table: the recipe; of a student also its loss with weights and settings."""
    recipe = {f"recipe.{k}": json.dumps(v, sort_keys=True) for k, v in model.recipe.items() if k not in _STUDIED}
    if model.role == "teacher":
        return recipe
    usual = None if model.kd_weight is None else 1.0 - model.kd_weight
    hard = model.distill.get("hard_weight", usual)
    odd = {} if hard == usual else {"hard_weight": json.dumps(hard)}  # older records do not say the usual one
    loss = model.loss or "kd"  # older records of KD do not say it
    weights = {"alpha": json.dumps(model.alpha), "kd_weight": json.dumps(model.kd_weight), "loss": loss} | odd
    further = {} if loss == "kd" else {k: v for k, v in model.distill.items() if k != "hard_weight"}
    return recipe | weights | {f"distill.{k}": json.dumps(v, sort_keys=True) for k, v in further.items()}


def _taught(item: Item) -> Settings:
    """By which loss a student learned, and from how many teachers."""
    loss = settings_of(item.student or item.teacher)["loss"]
    return {"loss": loss, "number of teachers": str(max(1, len(item.record.teachers)))}


def _split_students(group: Group) -> list[Group]:
    """One group per student architecture, loss, number of teachers and setting; the teachers stand in each."""
    teachers = [i for i in group.items if i.student is None]
    students = [i for i in group.items if i.student is not None]
    if not students:
        return [group]
    split: list[Group] = []
    for siblings in gather(students, lambda i: i.student.arch if i.student else ""):
        for alike in split_by(dataclasses.replace(group, items=siblings), "student", _taught):
            split += split_by(alike, "student", lambda i: settings_of(i.student or i.teacher))
    return [dataclasses.replace(g, items=[*teachers, *g.items]) for g in split]


def split_by(group: Group, what: str, settings: Callable[[Item], Settings]) -> list[Group]:
    """One group per distinct settings, each with a caution that names the fields that differ."""
    parts = gather(group.items, lambda i: tuple(sorted(settings(i).items())))
    differing = differing_fields([settings(part[0]) for part in parts])
    if not differing:
        return [group]
    caution = (
        f"These {what}s were trained differently (they differ in {listing(differing)}), so they stand in "
        f"{len(parts)} separate tables; do not compare across them."
    )
    return [_with(group, part, _variant(what, settings(part[0]), differing), caution) for part in parts]


@dataclass
class _Part:
    """Records that read the same data, by their places in the group: what they say of it, and their networks.

    `undecided` where it would fit several others.
    """

    places: list[int] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    undecided: bool = False

    def clashes(self, facts: Settings) -> set[str]:
        return {name for name in facts if self.facts.get(name, facts[name]) != facts[name]}


def split_by_data(group: Group) -> list[Group]:
    """Records whose data of one name have different sizes or digests are kept apart; fields only one names agree.

    A record that would fit several parts, as one without digests does, goes where most of its networks are; all those
    whose networks are nowhere else stand together.
    """
    parts: list[_Part] = []
    differing: set[str] = set()
    order = sorted(range(len(group.items)), key=lambda i: -len(facts_of(group.items[i].record.data)))
    for place in order:  # those that say most first
        record = group.items[place].record
        facts, networks = facts_of(record.data), _networks(record)
        clashes = [part.clashes(facts) for part in parts]
        differing |= set().union(*clashes)
        fitting = [part for part, clash in zip(parts, clashes, strict=True) if not clash]
        several = len(fitting) > 1
        if several:
            fitting.sort(key=lambda part: -len(part.networks & networks))
            fitting = [part for part in fitting if part.networks & networks or part.undecided]
        home = fitting[0] if fitting else _Part(undecided=several)
        if not fitting:
            parts.append(home)
        home.places.append(place)
        home.facts.update(facts)
        home.networks |= networks
    if len(parts) == 1:
        return [group]
    caution = (
        f"These records name the same data but read different data (they differ in {listing(sorted(differing))}), so "
        f"they stand in {len(parts)} separate tables; do not compare across them."
    )
    return [
        _with(
            group,
            [group.items[place] for place in sorted(part.places)],
            _variant("data", part.facts, sorted(differing)),
            caution,
        )
        for part in parts
    ]


def _networks(record: Result) -> set[str]:
    teachers = record.teachers or ([record.teacher] if record.teacher else [])
    return {model.sha256 for model in (*record.models, *teachers)}


def facts_of(data: Data) -> dict[str, str]:
    """What must agree between records of one data set, where both name it."""
    sizes = {f"sizes.{k}": str(v) for k, v in data.sizes.items()}
    digests = {f"sha256.{k}": v for k, v in data.sha256.items()}
    return sizes | digests | {"label_noise": f"{data.label_noise or 0.0:g}"}


def _match_seeds(group: Group) -> list[Group]:
    """Columns of one table hold teachers of the same seeds; seeds that not every alpha has get tables of their own."""
    seeds = defaultdict(set)
    for item in group.items:
        seeds[item.teacher.alpha].add(item.teacher.seed)
    common = set.intersection(*seeds.values())
    if all(found == common for found in seeds.values()):
        return [group]
    have = "; ".join(f"{alpha_label(a)}: {_seeds(s)}" for a, s in sorted(seeds.items(), key=lambda kv: kv[0] or 0.0))
    caution = f"The teachers differ in seed ({have}); only those whose seed every {ALPHA} has share a table."
    parts = gather(group.items, lambda i: None if i.teacher.seed in common else str(i.teacher.alpha))
    return [_with(group, part, _seeds({i.teacher.seed for i in part}), caution) for part in parts]


def _seeds(seeds: Iterable[int | None]) -> str:
    ordered = ["not recorded" if seed is None else str(seed) for seed in sorted(seeds, key=lambda s: (s is None, s))]
    return ("teacher seed " if len(ordered) == 1 else "teacher seeds ") + listing(ordered)


def _with(group: Group, items: list[Item], variant: str, caution: str) -> Group:
    return Group(items, (*group.variant, variant), (*group.cautions, caution))


def _variant(what: str, settings: Settings, differing: Sequence[str]) -> str:
    shown = [f"{name.removeprefix('recipe.')} {_short(settings.get(name, 'not recorded'))}" for name in differing[:3]]
    return f"{what} {', '.join(shown)}" + (f" and {count(len(differing) - 3, 'other field')}" if differing[3:] else "")


def _short(value: str) -> str:
    return value if len(value) <= 24 else value[:12] + "..."


def differing_fields(settings: Sequence[Settings]) -> list[str]:
    names = sorted({name for one in settings for name in one})
    return [name for name in names if len({one.get(name) for one in settings}) > 1]


def gather(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items in groups of equal key, in order of first appearance."""
    groups: dict[object, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())
