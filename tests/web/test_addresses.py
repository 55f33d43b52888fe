"""Where the page listens: addresses of IPv4 and IPv6, and which of them others can reach."""

import socket

import pytest

from biofacenet.errors import BioFaceNetError
from biofacenet.web.uploads import in_url, listen, loopback


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("127.1", True), ("127.9.9.9", True)),
        *(("::1", True), ("[::1]", True), ("0:0:0:0:0:0:0:1", True), ("::ffff:127.0.0.1", True)),
        *(("::", False), ("0.0.0.0", False), ("", False), ("192.168.0.2", False)),
        *(("fe80::1%eth0", False), ("127.example.org", False), ("::ffff:8.8.8.8", False)),
    ],
)
def test_which_addresses_only_this_computer_reaches(host: str, only_here: bool) -> None:
    assert loopback(host) is only_here


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1")]
)
def test_addresses_as_a_browser_takes_them(host: str, shown: str) -> None:
    assert in_url(host) == shown


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", ""),
        *(pytest.param(host, marks=needs_ipv6) for host in ("::1", "[::1]", "::")),
    ],
)
def test_listening(host: str) -> None:
    with listen(host, 0) as door:
        reached = "::1" if ":" in host else "127.0.0.1"
        with socket.create_connection((reached, door.getsockname()[1]), timeout=5):
            pass
    if host == "::" and socket.has_dualstack_ipv6():
        with (
            listen(host, 0) as door,
            socket.create_connection(("127.0.0.1", door.getsockname()[1]), timeout=5),
        ):
            pass


@pytest.mark.parametrize("host", ["no.such.host.invalid", "::zz", "300.1.1.1"])
def test_what_is_no_address_of_this_computer_is_one_line(host: str) -> None:
    with pytest.raises(BioFaceNetError, match="cannot listen on") as error:
        listen(host, 0)
    assert "\n" not in str(error.value)


@needs_ipv6
@pytest.mark.parametrize("name", ["[::1]", "localhost"])
def test_the_server_answers_under_its_address_and_under_no_other(name: str) -> None:
    """A name that a foreign page resolves to this computer is refused, as with IPv4."""
    pytest.importorskip("gradio")
    from starlette.applications import Starlette
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.testclient import TestClient

    from biofacenet.web.uploads import own_names

    server = TrustedHostMiddleware(Starlette(), allowed_hosts=own_names("::1"))
    client = TestClient(server, base_url="http://testserver")
    assert client.get("/", headers={"host": f"{name}:7860"}).status_code == 404  # let through
    assert client.get("/", headers={"host": "evil.example:7860"}).status_code == 400
