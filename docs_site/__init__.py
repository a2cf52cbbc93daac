"""The documentation site: built by mkdocs from the repository's Markdown (``make docs``)."""
