"""Reads the runtimes' error messages: removes the C++ source positions, and finds the option at fault.

Their Python exceptions have no useful types, and their messages begin with C++ files, line numbers and signatures.
"""

import re
from collections.abc import Mapping

from ...errors import DeviceMemoryError, ProviderError

# "[ONNXRuntimeError] : 1 : FAIL :", alone or after "/onnxruntime_src/…/file.cc:63 static Kind Function(const Other&)".
_BEGINNING = re.compile(r"^(/\S+:\d+ .*?\) )?(.*\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : )?(\[ERROR\] )?")
_POSITION = re.compile(r"\b\w+\.(?:h|cc):\d+ [\w:]+(?:\(\))? ")  # "parse_string.h:116 ParseString "
_OPTION = re.compile(r"provider option \"(\w+)\"|the key '(\w+)'|option '(\w+)'|(\w+) parameter:")
# No runtime has an error type for this; the messages of arenas, C++, CUDA, cuDNN and OpenCL differ.
_OUT_OF_MEMORY = re.compile(r"allocat|bad_alloc|out of memory|ALLOC_FAILED|OUT_OF_(RESOURCES|HOST_MEM)", re.IGNORECASE)
_LONGEST = 600
"""Characters of a message."""


def first_error_line(error: Exception) -> str:
    """The first informative line of an error's message, or the error's type where the message is empty.

    Lines that end in a colon are skipped: OpenVINO begins with several of them, which name source positions.
    """
    lines = [_POSITION.sub("", _BEGINNING.sub("", line.strip())) for line in str(error).splitlines() if line.strip()]
    return _cut(next((line for line in lines if not line.endswith(":")), lines[0] if lines else type(error).__name__))


def _cut(line: str) -> str:
    """A line without its middle, where it is long: a stranger's graph may have names of any length in it."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 4 :]}"


def failed_call(error: Exception, name: str, provider_name: str) -> ProviderError:
    """The error for a network call that failed: a DeviceMemoryError where the device has too little memory."""
    kind = DeviceMemoryError if _OUT_OF_MEMORY.search(str(error)) else ProviderError
    return kind(f"{name} failed on {provider_name}: {first_error_line(error)}")


def refused_option(error: Exception, provider_name: str, given: Mapping[str, str]) -> ProviderError | None:
    """The error for an option of ``given`` whose value the provider refuses; None where ``error`` is another one."""
    text = first_error_line(error)
    found = _OPTION.search(text)
    key = next(filter(None, found.groups())) if found else ""
    reason = text.removeprefix(f'Failed to parse provider option "{key}": ')
    return ProviderError(f"{provider_name} does not take {key}={given[key]}: {reason}") if key in given else None
