"""How many examples a property test takes: few and always the same, or as many as LSKD_EXAMPLES says, drawn anew."""

import os

from hypothesis import HealthCheck, settings

_ASKED = os.environ.get("LSKD_EXAMPLES")

PROPERTY = settings(
    max_examples=int(_ASKED or 30),
    derandomize=_ASKED is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
