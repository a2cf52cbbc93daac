"""What ``serve`` says first."""

import pytest

from ddim_edge.cli.greeting import greeting


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("0.0.0.0", "http://0.0.0.0:80")],
)
def test_a_log_has_one_line_that_ends_in_the_address(host: str, address: str) -> None:
    assert greeting(host, 80, terminal=False) == f"ddim-edge listens on {address}"


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_a_terminal_gets_the_address_to_open(host: str, address: str) -> None:
    said = greeting(host, 80, terminal=True)
    assert f"Open {address} in a browser" in said
    assert f"{address}/docs" in said
    assert ("to others" in said) == (host in ("0.0.0.0", "::"))
