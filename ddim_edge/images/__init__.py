"""Images: pictures in and out: decoding, encoding, tiling, and saving to files."""
