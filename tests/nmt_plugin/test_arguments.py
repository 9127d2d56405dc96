"""Values of command-line options, as argparse reads them."""

import argparse
from collections.abc import Callable

import pytest

from nmt_plugin.arguments import finite, positive


def test_good_values_are_numbers() -> None:
    assert [positive("1"), positive("4000"), finite("-0.5"), finite("1e3")] == [1, 4000, -0.5, 1000.0]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (positive, "0", "0 is not above 0"),
        (positive, "-3", "-3 is not above 0"),
        (positive, "1.5", "invalid positive value: '1.5'"),
        (finite, "nan", "nan is not a finite number"),
        (finite, "inf", "inf is not a finite number"),
        (finite, "much", "invalid finite value: 'much'"),
    ],
)
def test_others_end_in_one_line(
    read: Callable[[str], float], text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=read)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([f"--size={text}"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument --size: {message}\n")
