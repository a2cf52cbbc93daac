"""A film of episodes from one start, as a GIF: the policy's balls beside those of the regression."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from ddim_edge.arrays import Array
from models.training.point_maze.maze import HZ, MAP, Start, middle_of

from . import BUNDLE
from .cells import open_ours
from .episodes import Episode, play

BALLS = 12
START = Start((3, 1), (3, 5), seed=5)
_CELL, _GAP, _TITLE = 38, 20, 22
_FPS = HZ // 2
_LAST_MS = 1500
_PAPER, _WALL, _GOAL, _INK = (255, 255, 255), (188, 192, 199), (247, 205, 120), (40, 44, 52)
_COLOURS = ((214, 69, 65), (31, 119, 180))
"""Of the balls that end at their goal from above, and from below; those of the regression are grey."""


def write(path: Path, regression: Path) -> int:
    """Play the episodes and write the GIF. Returns its size in bytes."""
    sides = [
        ("diffusion policy, 8 steps", play(open_ours(BUNDLE, "ddim", 8), [START] * BALLS, seed=0)),
        ("regression of the mean", play(open_ours(regression, "ddim", 1), [START] * BALLS, seed=0)),
    ]
    length = max(len(one.path) for _, episodes in sides for one in episodes)
    frames = [_frame(sides, at) for at in range(0, length + 1, HZ // _FPS)]
    pixels = [frame.quantize(32, dither=Image.Dither.NONE) for frame in frames]
    durations = [1000 // _FPS] * (len(pixels) - 1) + [_LAST_MS]
    pixels[0].save(path, save_all=True, append_images=pixels[1:], duration=durations, loop=0, optimize=True)
    return path.stat().st_size


def _frame(sides: Sequence[tuple[str, Sequence[Episode]]], at: int) -> Image.Image:
    width, height = _CELL * len(MAP[0]), _CELL * len(MAP)
    image = Image.new("RGB", (2 * width + _GAP, height + _TITLE), _PAPER)
    for number, (title, episodes) in enumerate(sides):
        panel = Image.new("RGB", (width, height), _PAPER)
        _draw(ImageDraw.Draw(panel), episodes, at)
        image.paste(panel, (number * (width + _GAP), _TITLE))
        ImageDraw.Draw(image).text((number * (width + _GAP), 5), title, fill=_INK)
    return image


def _draw(draw: ImageDraw.ImageDraw, episodes: Sequence[Episode], at: int) -> None:
    for row, line in enumerate(MAP):
        for column, kind in enumerate(line):
            if kind == "#":
                corner = (column * _CELL, row * _CELL)
                draw.rectangle((*corner, corner[0] + _CELL - 1, corner[1] + _CELL - 1), fill=_WALL)
    _circle(draw, middle_of(START.goal), 0.45, _GOAL)
    for episode in episodes:
        walked = [_pixel(place) for place in episode.path[: at + 1]]
        colour = _COLOURS[int(episode.path[:, 1].mean() < 0)]
        for one, next_one in pairwise(walked):
            draw.line((*one, *next_one), fill=tuple((3 * 255 + shade) // 4 for shade in colour), width=2)
    for episode in episodes:
        place = episode.path[min(at, len(episode.path) - 1)]
        _circle(draw, place, 0.1, _COLOURS[int(episode.path[:, 1].mean() < 0)])


def _circle(draw: ImageDraw.ImageDraw, place: Array, radius: float, fill: tuple[int, int, int]) -> None:
    x, y = _pixel(place)
    draw.ellipse((x - radius * _CELL, y - radius * _CELL, x + radius * _CELL, y + radius * _CELL), fill=fill)


def _pixel(place: Array) -> tuple[float, float]:
    """From metres to pixels: y goes up in the maze, and down in a picture."""
    return (place[0] + len(MAP[0]) / 2) * _CELL, (len(MAP) / 2 - place[1]) * _CELL
