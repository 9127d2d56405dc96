"""Several hypotheses at once."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values, in the order given: those below a level keep the family's error below it.

    The i-th smallest of m is `max over j <= i of min(1, (m - j + 1) * p_(j))`. It holds however the tests depend on
    each other. Raises ValueError for a value outside [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(f"want p values in [0, 1], got {p_values}")
    order = np.argsort(values)
    steps = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps * values[order]), 1.0)
    return [float(value) for value in adjusted]
