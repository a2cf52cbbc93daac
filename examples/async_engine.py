"""``AsyncEngine``: requests of an asyncio program share network calls. Needs the extra ``serve``."""

import asyncio
import sys

from PIL import Image

from ddim_edge.images.encode import grid
from ddim_edge.serving import AsyncEngine, Settings
from ddim_edge.serving.scheduling.submission import ImageDone, Partial


async def watch(engine: AsyncEngine) -> None:
    """Iterate over the events of a request instead of awaiting its images."""
    request = engine.request(labels=["sneaker"], num_steps=20, seed=1)
    async for event in engine.submit(request, partial_images=2):
        match event:
            case Partial(index, calls, _):
                print(f"image {index}: an estimate after {calls} network calls")
            case ImageDone(index, image):
                print(f"image {index}: finished, {image.shape}")


async def make(out: str) -> None:
    async with AsyncEngine(["fashion-mnist"], Settings(provider="cpu", max_rows=8)) as engine:
        request = engine.request(labels=["bag", "dress"], num_steps=10, seed=7)
        images, _ = await asyncio.gather(engine.submit(request), watch(engine))
    Image.fromarray(grid(images)[..., 0]).save(out)


def main(out: str = "async_engine.png") -> None:
    asyncio.run(make(out))


if __name__ == "__main__":
    main(*sys.argv[1:2])
