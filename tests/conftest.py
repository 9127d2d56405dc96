"""For all tests: no deadlines, and no network: each process refuses it, and the session says so at its end."""

import os
import runpy
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("lskd", deadline=None)  # milliseconds say nothing on a busy machine
settings.load_profile("lskd")

NO_NETWORK = Path(__file__).parent / "no_network"
LOG = "LSKD_NETWORK_LOG"


def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-xdist starts its workers, which then are such processes, too."""
    if hasattr(config, "workerinput"):
        return
    handle, log = tempfile.mkstemp(prefix="lskd-network-")
    os.close(handle)
    os.environ[LOG] = log
    os.environ["PYTHONPATH"] = os.pathsep.join([str(NO_NETWORK), *filter(None, [os.environ.get("PYTHONPATH")])])
    runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    log = Path(os.environ[LOG])
    tried = log.read_text(encoding="utf-8")
    log.unlink()
    if tried:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nerror: the network was asked for in tests:\n{tried}")
