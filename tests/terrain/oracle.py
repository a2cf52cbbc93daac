"""Runs under the interpreter that has the package terrain_diffusion: what it generates, and from what.

python oracle.py FILE.npz
"""

import sys

import numpy as np
from terrain_diffusion import TerrainGenerator

SEED, DIFFICULTIES = 7, (1, 60, 100)


def main(out: str) -> None:
    """Write the graph's path, the noise, the conditioning, and the heights of the package itself."""
    generator = TerrainGenerator(device="cpu")
    heights, shown = generator.generate(
        len(DIFFICULTIES), difficulty=DIFFICULTIES, seed=SEED, zero_floor=False, return_difficulties=True
    )
    labels, _ = generator._difficulty_labels(DIFFICULTIES, len(DIFFICULTIES), np.random.default_rng(SEED))
    side = generator.native_size
    noise = np.random.default_rng(SEED).standard_normal((len(labels), 1, side, side), dtype=np.float32)
    denoised = generator._sample_native(labels, generator=np.random.default_rng(SEED))
    np.savez(
        out,
        graph=generator.model_path,
        noise=noise,
        difficulty=labels,
        denoised=denoised,
        heights=heights,
        shown=shown,
    )


if __name__ == "__main__":
    main(sys.argv[1])
