"""The server as an application of Ray Serve. Needs ``ddim-edge[serve,ray]``.

``serve run ddim_edge.serving.ray:app`` serves the bundled model; ``ddim_edge.serving.ray:build`` takes the arguments
``models`` and ``settings``, on the command line or from a configuration file.
"""

from ...errors import ConfigError

try:
    from .application import build, deployment_of, proxy_middleware
except ModuleNotFoundError as missing:
    raise ConfigError(f"Ray Serve needs {missing.name}: pip install 'ddim-edge[serve,ray]'") from None

__all__ = ["app", "build", "deployment_of", "proxy_middleware"]

app = build({})
