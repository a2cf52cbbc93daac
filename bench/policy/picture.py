"""Draws episodes of the maze as a GIF: every ball with its way so far."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from models.training.point_maze.maze import MAP

from .episodes import Episode

_CELL, _BALL, _SCALE = 44, 5, 2
_WALL, _FLOOR, _GOAL, _START = "#4a5568", "#ffffff", "#c6f6d5", "#edf2f7"
_WAYS = ("#2b6cb0", "#c05621")
"""The colours of the balls that go above and below the wall."""
_MS, _LAST_MS = 60, 1500


def write_gif(path: Path, played: Sequence[Episode]) -> None:
    """Write the episodes, all at once; an action a frame."""
    longest = max(len(episode.places) for episode in played)
    frames = [_frame(played, at + 1) for at in range(longest)]
    durations = [_MS] * (longest - 1) + [_LAST_MS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def _frame(played: Sequence[Episode], steps: int) -> Image.Image:
    image = Image.new("RGB", (_SCALE * _CELL * len(MAP[0]), _SCALE * _CELL * len(MAP)), _WALL)
    draw = ImageDraw.Draw(image)
    for row, cells in enumerate(MAP):
        for column, cell in enumerate(cells):
            colour = {1: _WALL, "g": _GOAL, "r": _START}.get(cell, _FLOOR)
            left, top = _SCALE * _CELL * column, _SCALE * _CELL * row
            draw.rectangle((left, top, left + _SCALE * _CELL, top + _SCALE * _CELL), fill=colour)
    for episode in played:
        way = [_pixel(place) for place in episode.places[:steps]]
        colour = _WAYS[max(y for _, y in episode.places) < max(-y for _, y in episode.places)]
        draw.line(way, fill=colour, width=_SCALE)
        x, y = way[-1]
        draw.ellipse((x - _SCALE * _BALL, y - _SCALE * _BALL, x + _SCALE * _BALL, y + _SCALE * _BALL), fill=colour)
    small = image.resize((image.width // _SCALE, image.height // _SCALE), Image.Resampling.LANCZOS)
    return small.convert("P", palette=Image.Palette.ADAPTIVE, colors=32)


def _pixel(place: tuple[float, float]) -> tuple[float, float]:
    """Where a place in meters, of which the middle of the maze is (0, 0), is drawn."""
    x, y = place
    return _SCALE * _CELL * (x + len(MAP[0]) / 2), _SCALE * _CELL * (len(MAP) / 2 - y)
