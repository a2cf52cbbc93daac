"""The server as an application of Ray Serve. Needs the extras ``serve`` and ``ray``.

``serve run ddim_edge.serving.ray:app`` serves the bundled model; ``ddim_edge.serving.ray:build`` takes the arguments
``models`` and ``settings``, on the command line or from a configuration file.
"""

from ...errors import ConfigError
from ...extras import install_command

try:
    from .application import build, deployment_of, proxy_middleware
except ModuleNotFoundError as missing:
    raise ConfigError(f"Ray Serve needs {missing.name}: {install_command('serve', 'ray')}") from None

__all__ = ["app", "build", "deployment_of", "proxy_middleware"]

app = build({})
