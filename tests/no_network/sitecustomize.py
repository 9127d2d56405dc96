"""Every Python process of a test session imports this first (tests/conftest.py): it may speak to this machine only.

What is tried beyond it is refused, and noted in the file that LSKD_NETWORK_LOG names: libraries often go on in silence
when they cannot phone home.
"""

import contextlib
import ipaddress
import os
import socket
import sys

NAMES = {"", "localhost", "ip6-localhost", socket.gethostname(), socket.getfqdn()}


def is_here(host: object) -> bool:
    """Whether it names this machine; an address of none (of bind, of a Unix socket) does."""
    text = host.decode() if isinstance(host, bytes) else host
    if text is None or text in NAMES:
        return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(str(text).partition("%")[0])
        return address.is_loopback or address.is_unspecified or str(address) in OWN
    return False


def refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not is_here(host):
        message = f"{event} to {host!r} by {' '.join(sys.orig_argv[:6])}"
        if "LSKD_NETWORK_LOG" in os.environ:
            with open(os.environ["LSKD_NETWORK_LOG"], "a", encoding="utf-8") as log:  # noqa: PTH123
                log.write(message + "\n")
        raise PermissionError(f"no network in tests: {message}")


def own_addresses() -> set[str]:
    with contextlib.suppress(OSError):
        return {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)}
    return set()


OWN = own_addresses()  # torchrun and gloo speak to their own machine by its name
sys.addaudithook(refuse_the_network)
