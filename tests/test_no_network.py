"""Nothing phones home: not at import, and (tests/conftest.py) not in any command that a test runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMPORT_ALL = """
import importlib, pathlib
for package in ("shared", "nmt_plugin", "vision"):
    for path in sorted(pathlib.Path(package).rglob("*.py")):
        if path.name != "__main__.py":
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""


def python(program: str, log: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LSKD_NETWORK_LOG": str(log)}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_importing_every_module_asks_for_no_network(tmp_path: Path) -> None:
    done = python(IMPORT_ALL, tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "log").exists()


def test_the_network_is_refused_and_noted(tmp_path: Path) -> None:
    program = """
import contextlib, socket, urllib.request
for ask in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
    lambda: urllib.request.urlopen("http://example.invalid/", timeout=1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("192.0.2.2", 53)),
):
    with contextlib.suppress(OSError):
        ask()
        print("was let through")
"""
    done = python(program, tmp_path / "log")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    noted = (tmp_path / "log").read_text()
    assert [host in noted for host in ("192.0.2.1", "example.invalid", "192.0.2.2")] == [True] * 3


def test_this_machine_may_be_spoken_to(tmp_path: Path) -> None:
    program = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
socket.getaddrinfo(socket.gethostname(), None)
"""
    done = python(program, tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "log").exists()
