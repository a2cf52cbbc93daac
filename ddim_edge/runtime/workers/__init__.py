"""Worker processes: the protocol between a parent and a child process."""
