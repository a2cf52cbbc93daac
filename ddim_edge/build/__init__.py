"""Build: compiles a bundle's graphs ahead of time, each in a process of its own."""
