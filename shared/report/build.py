"""Records to a document: which sections there are, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.decoding import decode, read_json
from shared.errors import UserError
from shared.report.beside import beside_blocks
from shared.report.claims import claim_blocks, claim_headlines, claim_sets
from shared.report.clusters import cluster_blocks
from shared.report.design import Design, missing_cells
from shared.report.document import Block, Bullets, Caution, Document, Paragraph, Picture, Section, Tables
from shared.report.eta import eta_groups
from shared.report.eta_tables import eta_blocks
from shared.report.grouping import comparable_groups
from shared.report.losses_tables import loss_blocks, loss_headline
from shared.report.moved import moved_blocks
from shared.report.projection_figure import draw_projection
from shared.report.provenance import anchors, other_models, provenance_blocks
from shared.report.published import published_tables
from shared.report.score_tables import score_blocks
from shared.report.several_tables import several_blocks
from shared.report.several_words import several_headline
from shared.report.studies import Studies, sort_records
from shared.report.summary import headlines
from shared.report.text import ALPHA, alpha_label, count, listing, temperature_label
from shared.results import Result

_TASK_TITLES = {"translation": "Translation", "image-classification": "Image classification"}
_ITEMS = {"translation": "token", "image-classification": "image"}
_FEATURES = {"translation": "decoder states", "image-classification": "penultimate features"}
_OWN_BASIS = "each column has its own projection and scale, so compare shapes, not lengths, between columns."
_SHARED_BASIS = (
    "all columns share the axes of one model and one scale, which says something where the models' features have the "
    "same coordinates."
)
_BY_TEMPERATURE = (
    f"This report shows what label smoothing in the teacher (its weight is {ALPHA}) and the temperature of "
    "distillation (T) did to the students of this study."
)
_BY_LOSS = "This report shows what students learned by KD and by DIST, from teachers of several strengths."
_BY_TEACHERS = "This report shows what several teachers are worth: as an ensemble, and as a source of pseudo-labels."
_LEAD = (
    "Every table, figure and sentence is computed from the {records} found in the study's folder, and every "
    "score links to the records it comes from."
)
_STUDY = (
    '{"title": "...", "note": "...", "design": {"alphas": [0, 0.1], "temperatures": [1, 3], "seeds": [1, 2, 3], '
    '"data": ["cifar10"]}}, each optional, and data too'
)


@dataclass(frozen=True)
class Study:
    """`study.json`: a study's own title, what its reader should know first, and the cells it set out to run."""

    title: str | None = None
    note: str | None = None
    design: Design | None = None


def read_study(folder: Path) -> Study:
    """`folder/study.json`, or an empty Study where there is none. Raises UserError for one that is not as above."""
    path = folder / "study.json"
    if not path.exists():
        return Study()
    try:
        study: Study = decode(Study, read_json(path), "study")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: want {_STUDY} ({error})") from None
    return study


def build_document(records: Mapping[Path, Result], folder: Path, study: Study) -> Document:
    """The whole report of `records` (by path, ordered by name)."""
    results = list(records.values())
    studies = sort_records(results)
    models = comparable_groups(studies.by_temperature, "model")
    pairs = comparable_groups(results, "diffusion")
    etas = eta_groups(pairs)
    clusters = comparable_groups(results, "clusters")
    design = study.design
    claims = claim_sets(records, studies.by_temperature, design)
    said = claim_headlines(claims) + headlines(models, etas) + _other_headlines(studies)
    lacking = missing_cells(design, studies.by_temperature) if design else []
    sections = [Section("In short", [*_short(said), *map(Caution, lacking)])]
    if claims:
        sections.append(Section("The paper's claims", claim_blocks(claims)))
    tasks = {result.task for result in results}
    for task, title in _TASK_TITLES.items():
        if blocks := score_blocks(models, task):
            lines = [Caution(text) for record, text in models.cautions if record.task == task]
            beside = beside_blocks(models) if task == "translation" else []
            sections.append(Section(title, [*lines, *beside, *blocks, *moved_blocks(models, task)]))
    if studies.losses:
        sections.append(Section("KD and DIST", loss_blocks(studies.losses)))
    if studies.several:
        sections.append(Section("Several teachers", several_blocks(studies.several)))
    if clusters.groups:
        sections.append(Section("Clusters", cluster_blocks(clusters)))
    if etas:
        sections.append(Section("Diffusion index", eta_blocks(etas, [text for _, text in pairs.cautions])))
    if pictures := _projections(results):
        sections.append(Section("Projections of three classes", pictures))
    if table := other_models(records):
        sections.append(Section("Other models", [table]))
    if _is_by_temperature(studies):
        sections.append(Section("What the paper reports", _published(tasks)))
    sections.append(Section("Where every number comes from", provenance_blocks(records, folder)))
    date = max(result.provenance.finished for result in results)
    lead = " ".join([*_subjects(studies), _LEAD.replace("{records}", count(len(results), "record"))])
    notes = [study.note] if study.note else []
    return Document(study.title or "Label smoothing and distillation", date, lead, notes, sections, anchors(records))


def _is_by_temperature(studies: Studies) -> bool:
    """Whether anything is about alpha and T, or nothing about anything else."""
    about = any(record.teacher or record.kind == "projection" for record in studies.by_temperature)
    return about or not (studies.losses or studies.several)


def _subjects(studies: Studies) -> list[str]:
    others = [_BY_LOSS] * bool(studies.losses) + [_BY_TEACHERS] * bool(studies.several)
    first, *more = [_BY_TEMPERATURE] * _is_by_temperature(studies) + others
    return [first, *(text.replace("This report shows", "It shows") for text in more)]


def _other_headlines(studies: Studies) -> list[tuple[str, list[str]]]:
    losses = [(study.title, loss_headline(study)) for study in studies.losses]
    return losses + [(study.title, several_headline(study)) for study in studies.several]


def _short(headline: Sequence[tuple[str, Sequence[str]]]) -> list[Block]:
    return [Bullets(headline)] if headline else [Paragraph("These records hold nothing that can be compared.")]


def _projections(results: Sequence[Result]) -> list[Block]:
    blocks: list[Block] = []
    for result in (r for r in results if r.kind == "projection"):
        columns = dict.fromkeys((p.teacher_alpha, p.temperature) for p in result.panels)
        shown = listing([f"{alpha_label(alpha)} with {temperature_label(t)}" for alpha, t in columns])
        classes = listing(list(dict.fromkeys(name for panel in result.panels for name in panel.points)))
        item = _ITEMS[result.task]
        points = sum(len(rows) for panel in result.panels for rows in panel.points.values())
        shares_basis = all(panel.basis for panel in result.panels)
        caption = (
            f"{result.data.name}: {_FEATURES[result.task]} of {classes}, projected on the plane of their output "
            f"weights. A mark is one {item}, a star the centroid of its class. Look within a column at how tight a "
            f"class is and how far apart the similar classes lie; {_SHARED_BASIS if shares_basis else _OWN_BASIS}"
        )
        alt = f"Scatter plots of {count(points, f'projected {item}')} of {classes}, in columns {shown}."
        try:
            figure = draw_projection(result.panels, items=f"{item}s")
        except UserError as error:
            raise UserError(f"{result.name}: {error}") from None
        blocks.append(Picture(f"projection-{len(blocks) + 1}", caption, alt, figure, wide=len(columns) > 2))
    return blocks


def _published(tasks: set[str]) -> list[Block]:
    return [
        Paragraph(
            "For orientation only: Chandrasegaran et al. (ICML 2022) trained their own networks (IWSLT14, "
            "ImageNet-1K, CUB-200-2011) with one seed, so compare the direction of the effects with "
            "those above, not the numbers."
        ),
        Tables(published_tables(tasks)),
    ]
