"""The processes that are measured, one program each."""
