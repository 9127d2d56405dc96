"""kill -9 and SIGTERM of translation commands, in small form; scripts/faults.sh is the long one."""

from collections.abc import Callable

import pytest

from tests.faults.rounds import Killing

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", ["word_kd", "cache", "corpus", "nmt.evaluate"])
def test_a_killed_command_goes_on_to_the_same_end(killing: Callable[[str], Killing], name: str) -> None:
    for event in killing(name).events(kills=2):
        assert event.good, event


def test_sigterm_ends_with_a_checkpoint_and_143(killing: Callable[[str], Killing]) -> None:
    """In the middle of what it does; called again, it goes on to the same end."""
    told, again, differing = killing("word_kd").told_to_stop()
    assert told.status == 143, told.said[-2000:]
    assert "stopped by SIGTERM" in told.said
    assert "Traceback" not in told.said
    assert again.status == 0, again.said[-2000:]
    assert differing == []
