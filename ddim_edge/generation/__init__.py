"""Generation: creates jobs from requests, steps them in the engine, decodes samples to images."""
