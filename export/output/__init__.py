"""Output: folders that appear whole, exports that resume, and the record of what was made."""
