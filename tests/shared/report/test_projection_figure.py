"""The projection figure: its grid, its shared limits, and what it refuses."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
from types import ModuleType

import numpy as np
import pytest

from shared.errors import UserError
from shared.report.projection_figure import draw_projection


def test_two_rows_and_a_column_per_student(sample: ModuleType) -> None:
    figure = draw_projection(sample.projection_record().panels)
    axes = np.array(figure.axes).reshape(2, 4)
    titles = [a.get_title() for a in axes[0]]
    assert titles == [f"teacher α = {a}\nstudent, T = {t}" for a in ("0", "0.1") for t in ("1", "3")]
    assert [a.get_ylabel() for a in axes[:, 0]] == ["training images", "validation images"]
    for column in axes.T:
        assert column[0].get_xlim() == column[1].get_xlim()
        assert column[0].get_ylim() == column[1].get_ylim()
    assert axes[0, 0].get_xlim() != axes[0, 3].get_xlim()


def test_one_basis_is_one_scale(sample: ModuleType) -> None:
    """Every panel of a shared basis has the limits that hold them all."""
    panels = [dataclasses.replace(panel, basis="a model") for panel in sample.projection_record().panels]
    axes = draw_projection(panels).axes
    assert len({(a.get_xlim(), a.get_ylim()) for a in axes}) == 1
    (left, right), (low, high) = axes[0].get_xlim(), axes[0].get_ylim()
    assert all(left < x < right and low < y < high for p in panels for rows in p.points.values() for x, y in rows)


def test_points_and_stars_are_those_of_the_panel(sample: ModuleType) -> None:
    panel = sample.projection_record().panels[0]
    [axes] = draw_projection([panel]).axes
    drawn = [collection.get_offsets().tolist() for collection in axes.collections]
    expected = [shown for name in panel.points for shown in (panel.points[name], [panel.centroids[name]])]
    assert drawn == expected
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for x, y in (xy for rows in drawn for xy in rows):
        assert left < x < right
        assert low < y < high


def test_a_missing_panel_leaves_its_place_marked(sample: ModuleType) -> None:
    figure = draw_projection(sample.projection_record().panels[:3])
    assert [text.get_text() for a in figure.axes for text in a.texts] == ["not recorded"]


def test_one_point_has_a_square_around_it(sample: ModuleType) -> None:
    panel = dataclasses.replace(sample.projection_record().panels[0], points={"a": [[2.0, 3.0]]}, centroids={})
    [axes] = draw_projection([panel]).axes
    assert axes.get_xlim() == (1.0, 3.0)


def test_what_cannot_be_drawn_is_refused(sample: ModuleType) -> None:
    panel = sample.projection_record().panels[0]
    with pytest.raises(UserError, match="at least one panel"):
        draw_projection([])
    with pytest.raises(UserError, match="two projection panels for train"):
        draw_projection([panel, panel])
    with pytest.raises(UserError, match="centroids of frog"):
        draw_projection([dataclasses.replace(panel, centroids={"frog": [0.0, 0.0]})])
    with pytest.raises(UserError, match="holds no points"):
        draw_projection([dataclasses.replace(panel, points={"a": []}, centroids={})])
