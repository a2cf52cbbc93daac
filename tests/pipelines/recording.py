"""A diffusers pipeline's run, step by step, and ours fed the same samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.generation.jobs import job_of
from ddim_edge.networks.row import Row

Array = NDArray[np.float32]
CLOSE = 1e-4


class Step(NamedTuple):
    """One question to diffusers' denoiser, and its answer after guidance."""

    sample: Array
    timestep: float
    inputs: dict[str, Array]
    """What it was told besides, the guided half last."""
    prediction: Array


class Recording:
    """What a run of diffusers asked and answered."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.latents: Array | None = None
        """What was decoded, as the sampler returned it."""
        self.decoded: Array | None = None


@contextmanager
def recording(
    pipeline: Any,
    scale: float,
    channels: int = 4,
    *,
    first: int = 0,
    image_scale: float = 1.0,
    scaled: bool = True,
    guided_half_first: bool = False,
) -> Iterator[Recording]:
    """Record the calls of the pipeline's denoiser, and of its decoder. ``scale``, ``image_scale``: its guidance.

    ``first``: the first channel of the sample. ``scaled``: whether latents are divided by the scaling factor. Of the
    answers a learned variance, which is behind the ``channels``, is left out.
    """
    record = Recording()
    vae = getattr(pipeline, "vae", None) or pipeline.vqvae

    def asked(_module: Any, arguments: Any, named: Any, output: Any) -> None:
        sample = arguments[0] if arguments else named.get("sample", named.get("hidden_states"))
        timestep = arguments[1] if len(arguments) > 1 else named["timestep"]
        answer = (output[0] if isinstance(output, tuple) else output.sample)[:, :channels]
        inputs = _inputs(named)
        if len(sample) == 2:
            if guided_half_first:
                answer, inputs = answer.flip(0), {name: value[::-1] for name, value in inputs.items()}
            nothing, wanted = answer.chunk(2)
            answer = nothing + scale * (wanted - nothing)
        elif len(sample) == 3:  # text, picture, nothing
            wanted, of_picture, nothing = answer.chunk(3)
            answer = nothing + scale * (wanted - of_picture) + image_scale * (of_picture - nothing)
            inputs = {name: value[::-1] for name, value in inputs.items()}
        time, own = float(timestep.flatten()[0]), slice(first, first + channels)
        record.steps.append(Step(sample[-1:, own].numpy(), time, inputs, answer.numpy()))

    decode = vae.decode

    def decoding(latents: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        output = decode(latents, *arguments, **named)
        shift = vae.config.get("shift_factor") or 0.0
        record.latents = ((latents - shift) * vae.config.scaling_factor if scaled else latents).numpy()
        record.decoded = (output[0] if isinstance(output, tuple) else output.sample).numpy()
        return output

    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    hook = denoiser.register_forward_hook(asked, with_kwargs=True)
    vae.decode = decoding
    try:
        with torch.no_grad():
            yield record
    finally:
        hook.remove()
        vae.decode = decode


def _inputs(named: Any) -> dict[str, Array]:
    flat = {**named, **(named.get("added_cond_kwargs") or {})}
    names = (
        "encoder_hidden_states",
        "text_embeds",
        "time_ids",
        "timestep_cond",
        "class_labels",
        "pooled_projections",
        "encoder_attention_mask",
        "resolution",
        "aspect_ratio",
    )
    return {name: flat[name].numpy() for name in names if flat.get(name) is not None}


def check_alike(pipeline: ddim_edge.Pipeline, request: ddim_edge.Request, record: Recording) -> float:
    """Every question, answer and step of ours, fed the samples of the record, and the decoded image.

    Returns the largest difference of a prediction or a step.
    """
    assert record.latents is not None
    assert record.decoded is not None
    job = job_of(pipeline.bundle, request, 0, pipeline.components)
    job.query = next(job.sampler)
    samples = [step.sample for step in record.steps] + [record.latents]
    differences = [close(job.query.sample, samples[0])]
    for step, following in zip(record.steps, samples[1:], strict=True):
        assert job.query is not None
        assert np.isclose(job.query.timestep, step.timestep, rtol=1e-6)
        job.query.sample[:] = step.sample
        row = job.row()
        check_inputs(row, step.inputs)
        prediction = pipeline.denoiser.predict([row])
        differences.append(close(prediction, step.prediction))
        job.advance(prediction)
        differences.append(close(job.result() if job.query is None else job.query.sample, following))
    assert pipeline.components.vae is not None
    close(pipeline.components.vae.decode(record.latents), record.decoded)
    return max(differences)


def check_inputs(row: Row, wanted: dict[str, Array]) -> None:
    """The conditioning, the unconditional half first, as diffusers has it."""
    found = {name: value for name, value in row.conditioning.items() if name in wanted}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        close(found[name], value[-1:])
        if len(value) > 1:
            assert row.unconditional is not None
            close(row.unconditional[name], value[:1])


def close(found: Array, wanted: Array) -> float:
    """Check that they differ by at most ``CLOSE``. Returns the largest difference."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=CLOSE, rtol=0)
    return float(np.abs(found - wanted).max())
