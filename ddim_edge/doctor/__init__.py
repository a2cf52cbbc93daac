"""Doctor: finds out what is installed, which providers run, why the others do not, and how to fix it."""
