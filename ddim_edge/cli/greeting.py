"""What ``ddim-edge serve`` says first: where it listens, and on a terminal what to open."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""The address to open on this machine, for one that means all addresses."""


def greeting(host: str, port: int, terminal: bool) -> str:
    """One line with the address; for a terminal three lines that say what is there."""
    if not terminal:
        return f"ddim-edge listens on {_address(host, port)}"
    address = _address(_ANY.get(host, host), port)
    others = ", to others under every address of this machine" if host in _ANY else ""
    return (
        f"ddim-edge listens on {host}, port {port}{others}.\n"
        f"Open {address} in a browser to make images. The API is described on {address}/docs.\n"
        "Ctrl-C stops it."
    )


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
