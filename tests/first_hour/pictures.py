"""The pictures that README.md announces: there, of their size, with as many images as it says, none of them blank."""

import json
from typing import NamedTuple

from tests.first_hour.shell import Shell


class Picture(NamedTuple):
    """A file, and what the text says of it: rows and columns of images, their width, and parts of its recipe."""

    name: str
    rows: int
    columns: int
    images: int
    width: int
    recipe: dict[str, object]


PICTURES = [
    Picture("fashion-mnist.png", 4, 4, 16, 112, {"num_images": 16, "num_steps": 8, "guidance_scale": 1.5}),
    Picture("shoes.png", 3, 3, 8, 112, {"num_images": 8, "guidance_scale": 2.0, "label_names": ["sneaker", "bag"]}),
    Picture("sneaker.png", 1, 1, 1, 28, {"num_images": 1, "seed": 1, "label_names": ["sneaker"]}),
]
_LOOK = """
import json, sys
from PIL import Image
name, rows, columns, images, width, recipe = json.loads(sys.argv[1])
picture = Image.open(name)
assert picture.size == (columns * width, rows * width), picture.size
tiles = [
    picture.crop((x * width, y * width, (x + 1) * width, (y + 1) * width)) for y in range(rows) for x in range(columns)
]
seen = [tile.tobytes() for tile in tiles if tile.getextrema()[1] - tile.getextrema()[0] > 50]
assert len(set(seen)) == images, f"{len(set(seen))} images that are not blank"
found = json.loads(picture.text["ddim-edge"])
assert {**found, **recipe} == found, found
"""


def problems(shell: Shell) -> list[str]:
    """What is wrong with the pictures, by the Python that README.md has installed."""
    wrong = []
    for picture in PICTURES:
        (shell.folder / "look.py").write_text(_LOOK)
        code, output = shell.run(f"python look.py '{json.dumps(picture)}'")
        if code:
            wrong.append(f"{picture.name}: {output.strip().splitlines()[-1]}")
        print(f"  {'bad' if code else ' ok'} {picture.name}", flush=True)
    return wrong
