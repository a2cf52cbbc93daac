"""stable-diffusion.cpp by its Python package. Its latents cannot be read, and it has no DDIM of leading timesteps."""

import importlib

from .noted import Notes


def run(notes: Notes) -> None:
    """Make the image by Euler's method, whose step costs the same."""
    package, asked = importlib.import_module("stable_diffusion_cpp"), notes.settings
    model = package.StableDiffusion(model_path=str(notes.folder / asked["file"]), vae_decode_only=True)

    def keep(step: int, steps: int, _seconds: float) -> None:
        """Also called while tensors are loaded."""
        if steps == asked["steps"]:
            notes.step() if step else notes.begin()

    images = model.generate_image(
        prompt=asked["prompt"],
        cfg_scale=asked["guidance"],
        sample_method="euler",
        sample_steps=asked["steps"],
        seed=asked["seed"],
        width=512,
        height=512,
        progress_callback=keep,
    )
    images[0].save(notes.out / "image.png")
    notes.write()


if __name__ == "__main__":
    run(Notes())
