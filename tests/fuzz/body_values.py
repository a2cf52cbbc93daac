"""Bodies of requests for images: valid ones, and ones with options that are wrong or nearly right."""

import json
import random
from typing import Any

from .values import ODD_TEXTS, odd_value

Json = Any
NEAR = 0.7
"""The share of changed options that look as if they could be right."""

OPTIONS = (
    "prompt", "model", "n", "size", "response_format", "output_format", "output_compression", "quality", "background",
    "moderation", "user", "negative_prompt", "labels", "seed", "num_inference_steps", "guidance_scale", "sampler",
    "eta", "timeout_s", "stream", "partial_images", "strength", "style", "mask", "image",
)  # fmt: skip


def valid_body(generator: random.Random) -> dict[str, Json]:
    """A request that the server honours, and soon."""
    body: dict[str, Json] = {"num_inference_steps": generator.randint(2, 4), "seed": generator.randrange(2**31)}
    more: dict[str, Json] = {
        "prompt": generator.choice(["bag", "sneaker", "", "random"]),
        "labels": [generator.randrange(10)],
        "n": generator.randint(1, 2),
        "output_format": generator.choice(["png", "jpeg", "webp"]),
        "sampler": "ddim",
        "eta": generator.random(),
        "guidance_scale": generator.choice([1, 2, 3.5]),
        "stream": generator.random() < 0.5,
        "partial_images": generator.randint(0, 3),
        "timeout_s": generator.choice([1, 60]),
        "model": "fashion-mnist",
    }
    return body | {name: more[name] for name in more if generator.random() < 0.25}


def near_option(generator: random.Random, name: str) -> Json:
    """A value that an option might have, or nearly: what the first checks let pass."""
    near: dict[str, list[Json]] = {
        "prompt": ["bag", "bag, coat", "bag,,coat", "coat,random", "9", "bag " * 20, "Bag", "bag\n"],
        "n": [1, 2, 10, 11, 1.0, True, "2"],
        "labels": [[0], ["bag"], ["9"], [10], [11], [2**31], ["bag", 3], [True], [[0]], list(range(10)), []],
        "seed": [0, 2**31, 2**32, 2**53 + 1, 2**63 - 11, 2**63 - 12, 2**63, -1, 1.5, "7"],
        "num_inference_steps": [1, 2, 7, 8, 9, 1000, 1001, 100_000, 0, 1.0],
        "guidance_scale": [0, 1, 1.0, 1e6, 1e-300, 7.5, -1, 1e7],
        "sampler": ["ddim", "dpmpp", "dpmpp_2m", "pndm", "lcm", "euler", "heun", "unipc", "DDIM", ""],
        "eta": [0, 0.5, 1, 1.0, 1e-9, 1.1],
        "timeout_s": [1e-9, 0.01, 5, 1e9, 1e10, 0],
        "output_format": ["png", "jpeg", "webp", "gif"],
        "output_compression": [0, 1, 50, 100, 101],
        "size": ["auto", "28x28", "28X28", "28", "x", "028x28"],
        "response_format": ["b64_json", "url"],
        "stream": [True, False, "true", 1],
        "partial_images": [0, 1, 3, 4],
        "model": ["fashion-mnist", "fashion", "..", "/"],
        "strength": [0, 1e-9, 0.5, 1, 1.1],
        "negative_prompt": ["", "bag"],
    }
    return generator.choice(near.get(name, ["auto", "low", "standard", "opaque", "", "x", None]))


def changed_body(generator: random.Random, body: dict[str, Json]) -> Json:
    """A body with some options changed, added or taken away; sometimes another thing altogether."""
    if generator.random() < 0.05:
        return odd_value(generator)
    changed = dict(body)
    for _ in range(generator.randint(1, 3)):
        name = generator.choice([*OPTIONS, *OPTIONS, generator.choice(ODD_TEXTS)])
        if name in changed and generator.random() < 0.2:
            del changed[name]
        elif generator.random() < NEAR:
            changed[name] = near_option(generator, name)
        else:
            changed[name] = odd_value(generator)
    return changed


def as_bytes(generator: random.Random, value: Json) -> bytes:
    """JSON as UTF-8; lone surrogates as escapes, or as the bytes that UTF-8 forbids."""
    if generator.random() < 0.5:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
