import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shared.archives import read_arrays
from shared.errors import UserError


@pytest.mark.parametrize("second", ["rows.npy", "rows"])
def test_an_array_that_is_there_twice_is_refused(second: str, tmp_path: Path) -> None:
    """numpy would show one of the two, and another reader the other."""
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("rows.npy", second):
            archive.writestr(name, array.getvalue())
    with pytest.raises(UserError, match="it holds 'rows' twice"):
        read_arrays(tmp_path / "twice.npz", "rows")
