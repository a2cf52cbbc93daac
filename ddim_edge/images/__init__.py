"""Images: decodes input pictures, encodes and saves output pictures, and tiles large ones."""
