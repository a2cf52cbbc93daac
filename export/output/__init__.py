"""Output: folders that appear whole, exports that resume, and export.json."""
