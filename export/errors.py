"""Shows the error of another library in one line."""

from ddim_edge.errors import LONGEST_SHOWN


def error_summary(error: BaseException) -> str:
    """The class of an error and the first line of its message, at most 200 characters of it."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:LONGEST_SHOWN]}"
