"""A bundle to a picture, by hand: only ``Session``, which runs the network, is not shown.

The pixels are those of ``ddim_edge.load("fashion-mnist", provider="cpu").generate(labels=["sneaker"],
sampler="ddim", num_steps=20, seed=7)``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import ddim_edge
from ddim_edge.diffusion.noise import noise_stream

MODEL = Path(__file__).parents[1] / "models" / "fashion-mnist"
STEPS, SEED, LABEL = 20, 7, "sneaker"


def main(out: str = "minimal.png") -> None:
    # The scheduler file says on which noise schedule the model was trained; the sampler is chosen here.
    config = ddim_edge.sampler_config(MODEL / "scheduler" / "scheduler_config.json", sampler="ddim")
    assert isinstance(config, ddim_edge.DdimConfig)
    schedule = ddim_edge.DdimSchedule(config, STEPS)  # a row of float64 coefficients for each step

    # The class number of the label, and the shape of a sample: (batch, channels, height, width).
    names = json.loads((MODEL / "model_index.json").read_text())["id2label"]
    label = np.array([int(number) for number, name in names.items() if name == LABEL])
    unet = json.loads((MODEL / "unet" / "config.json").read_text())
    shape = (1, unet["in_channels"], unet["sample_size"], unet["sample_size"])

    # x_T: what torch.randn(shape, generator=torch.Generator("cpu").manual_seed(SEED)) draws.
    sampler = ddim_edge.ddim(schedule, noise_stream(SEED)(shape))

    # The sampler yields (x_t, t) and is sent the network's prediction. When it has had the last one, it returns x_0.
    session = ddim_edge.Session(MODEL / "unet" / "model.onnx", "cpu")
    query = next(sampler)
    while True:
        feeds = {"sample": query.sample, "timestep": np.array([query.timestep]), "class_labels": label}
        prediction = session.run(feeds)["out_sample"]
        try:
            query = sampler.send(prediction)
        except StopIteration as end:
            x_0 = end.value
            break

    # From [-1, 1] to bytes, and to a file.
    pixels = np.round(np.clip(x_0 / 2 + 0.5, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels[0, 0]).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
