"""Routes: the endpoints, a file each."""
