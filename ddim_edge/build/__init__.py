"""Build: compiles a bundle's graphs ahead of time, each in its own process."""
