"""``python -m bench.faults.child N ARGUMENT …``: the command line, which kills itself before its Nth change of a file.

N = 0 lets it finish; the last line on stderr then is the number of changes.
"""

import os
import signal
import sys

_CHANGES = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    """Count the changes of files by Python's audit events, and run the command line."""
    last, count = int(sys.argv.pop(1)), 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        from ddim_edge_main import main as command_line

        command_line()
    finally:
        if last == 0:
            sys.stderr.write(f"\n{count}\n")


if __name__ == "__main__":
    main()
