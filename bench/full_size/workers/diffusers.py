"""diffusers in torch: eager or compiled, in float32 or bfloat16, with or without the package DeepCache."""

import importlib
from typing import Any

from .noted import Notes


def run(notes: Notes) -> None:
    """Make the image with the folder's own pipeline."""
    torch, diffusers = importlib.import_module("torch"), importlib.import_module("diffusers")
    asked = notes.settings
    kind = diffusers.DDIMPipeline if asked["prompt"] is None else diffusers.StableDiffusionPipeline
    pipeline = kind.from_pretrained(notes.folder, torch_dtype=getattr(torch, asked["dtype"]), local_files_only=True)
    if asked["sampler"] == "lcm":
        pipeline.scheduler = diffusers.LCMScheduler.from_config(pipeline.scheduler.config)
    if asked["compile"]:
        pipeline.unet.compile()
    if asked["deepcache"]:
        helper = importlib.import_module("DeepCache").DeepCacheSDHelper(pipeline)
        helper.set_params(cache_interval=asked["deepcache"], cache_branch_id=0)
        helper.enable()
    generator = torch.Generator().manual_seed(asked["seed"])
    make = _pixels if asked["prompt"] is None else _text_to_image
    image, latents = make(torch, pipeline, generator, notes)
    image.save(notes.out / "image.png")
    notes.write(latents.float().numpy())


def _text_to_image(torch: Any, pipeline: Any, generator: Any, notes: Notes) -> tuple[Any, Any]:
    """Float32's noise in every precision, so that all sides start from the same."""
    asked, latents = notes.settings, list[Any]()

    def keep(_pipeline: Any, _step: int, _timestep: Any, named: dict[str, Any]) -> dict[str, Any]:
        notes.step()
        latents.append(named["latents"])
        return named

    pipeline.unet.register_forward_pre_hook(notes.begin)
    config = pipeline.unet.config
    noise = torch.randn(1, config.in_channels, config.sample_size, config.sample_size, generator=generator)
    made = pipeline(
        asked["prompt"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        latents=noise.to(pipeline.unet.dtype),
        generator=generator,
        callback_on_step_end=keep,
    )
    return made.images[0], latents[-1]


def _pixels(_torch: Any, pipeline: Any, generator: Any, notes: Notes) -> tuple[Any, Any]:
    """A step is over when the scheduler returns."""
    samples, step = list[Any](), pipeline.scheduler.step

    def noted(*arguments: Any, **options: Any) -> Any:
        stepped = step(*arguments, **options)
        notes.step()
        samples.append(stepped.prev_sample)
        return stepped

    pipeline.scheduler.step = noted
    pipeline.unet.register_forward_pre_hook(notes.begin)
    # The pipeline makes pixels of the last sample by NumPy, which has no bfloat16: only the network computes in it.
    pipeline.unet.register_forward_pre_hook(lambda unet, given: (given[0].to(unet.dtype), *given[1:]))
    pipeline.unet.register_forward_hook(_in_float32)
    made = pipeline(num_inference_steps=notes.settings["steps"], generator=generator)
    return made.images[0], samples[-1]


def _in_float32(_unet: Any, _given: Any, output: Any) -> Any:
    output.sample = output.sample.float()
    return output


if __name__ == "__main__":
    run(Notes())
