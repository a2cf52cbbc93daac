"""What ONNX Runtime's errors say, without where in its source they arose.

It has no error kinds for what went wrong, and begins a message with files, line numbers and signatures of C++.
"""

import re
from collections.abc import Mapping

from ...errors import ProviderError

# "[ONNXRuntimeError] : 1 : FAIL :", alone or after "/onnxruntime_src/…/file.cc:63 static Kind Function(const Other&)".
_BEGINNING = re.compile(r"^(/\S+:\d+ .*?\) )?(.*\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : )?(\[ERROR\] )?")
_PLACE = re.compile(r"\b\w+\.(?:h|cc):\d+ [\w:]+(?:\(\))? ")  # "parse_string.h:116 ParseString "
_OPTION = re.compile(r"provider option \"(\w+)\"|the key '(\w+)'|option '(\w+)'|(\w+) parameter:")


def first_error_line(error: Exception) -> str:
    """The first line of its message that says something, or its kind where it has none.

    A line that ends in a colon announces the next one: OpenVINO begins with several that say where it was.
    """
    lines = [_PLACE.sub("", _BEGINNING.sub("", line.strip())) for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), lines[0] if lines else type(error).__name__)


def refused_option(error: Exception, provider_name: str, given: Mapping[str, str]) -> ProviderError | None:
    """The error for an option of ``given`` whose value the provider does not take; None where that is not it."""
    text = first_error_line(error)
    found = _OPTION.search(text)
    key = next(filter(None, found.groups())) if found else ""
    reason = text.removeprefix(f'Failed to parse provider option "{key}": ')
    return ProviderError(f"{provider_name} does not take {key}={given[key]}: {reason}") if key in given else None
