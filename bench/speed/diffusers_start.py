"""Makes one image with torch and diffusers: ``python diffusers_start.py FOLDER STEPS OUT``."""

import functools
import sys
from typing import Any

import diffusers
import torch

library: Any = diffusers
folder, steps, out = sys.argv[1:]
unet = library.UNet2DModel.from_pretrained(folder, subfolder="unet")
unet.forward = functools.partial(unet.forward, class_labels=torch.tensor([0]))
scheduler = library.DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
pipeline = library.DDIMPipeline(unet=unet, scheduler=scheduler)
pipeline(generator=torch.Generator().manual_seed(0), num_inference_steps=int(steps)).images[0].save(out)
