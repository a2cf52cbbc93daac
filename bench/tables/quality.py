"""Tables of the quality of images: samplers and guidance, reconstruction, text to image."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from .. import results
from ..quality import plan
from ..results import Record
from .markdown import as_lines, as_table

REFERENCES = {
    "test_halves": "one half of the test images, to the other half",
    "train_test": "the 60,000 training images, to the test images",
    "noisy": "the test images plus noise of σ = 0.05 (not clipped, not rounded), to the test images: the bar",
    "noisy_rounded": "the same, clipped to [-1, 1] and rounded to grey levels",
}
_JUDGED = "images | labels right | Fréchet distance"
_JUDGED_FORM = "{num_images} | {label_accuracy:.2%} | {distance:.4f}"


def quality(record: Record) -> str:
    """All tables of bench.quality."""
    parts = [_references(record)]
    if record.get("cells"):
        parts += [_scan(record), _paper_table(record), _sampler_table(record), _guided_table(record)]
    return "\n\n".join(parts)


def _references(record: Record) -> str:
    distances = {text: record["references"][name] for name, text in REFERENCES.items()}
    for count, distance in record["floors"].items():
        text = f"{count} training images, evenly over the classes, to the test images: the floor for {count} images"
        distances[text] = distance
    lines = [f"{text} | {distance:.4f}" for text, distance in distances.items()]
    table = as_lines("real images | Fréchet distance", lines)
    return f"The classifier's accuracy on the test images is {record['classifier']['test_accuracy']:.2%}.\n\n{table}"


def _scan(record: Record) -> str:
    """One row per guidance scale and number of images."""
    cells = [cell for cell in _ddim_cells(record) if (cell["num_steps"], cell["eta"]) == (plan.SCAN_STEPS, 0)]
    cells.sort(key=lambda cell: (float(cell["guidance_scale"]), int(cell["num_images"])))
    table = as_table(f"guidance | {_JUDGED}", "{guidance_scale:g} | " + _JUDGED_FORM, cells)
    return f"{plan.SCAN_STEPS} steps, eta 0, by guidance scale:\n\n{table}"


def _paper_table(record: Record) -> str:
    """Table 1 of the DDIM paper: eta by number of steps."""
    cells = [cell for cell in _ddim_cells(record) if cell["guidance_scale"] == plan.TABLE_SCALE]
    title = "Without guidance; in each cell the Fréchet distance, the labels right, and the number of images:"
    steps = {count: f"S = {count}" for count in sorted({int(cell["num_steps"]) for cell in cells})}
    etas = {eta: f"{eta:g}" for eta in sorted({float(cell["eta"]) for cell in cells})}
    return f"{title}\n\n{_grid('eta', etas, steps, _by(cells, 'eta', 'num_steps'))}"


def solvers(record: Record) -> str:
    """The table of bench.quality.solvers: the samplers at few calls, and how much of a difference is chance."""
    again = [cell for cell in _sampler_cells(record) if cell["variant"] == plan.REFERENCE and cell["calls"] == 8]
    title = (
        "Without guidance, by network calls; in each cell the Fréchet distance, the labels right, and the number of "
        f"images. The distance of real images, by their number: {_floors(record)}."
    )
    parts = [title, _sampler_grid(record, plan.FEW_CALLS)]
    if len(again) > 1:
        distances = [float(cell["distance"]) for cell in again]
        listed, spread = ", ".join(f"{distance:.3f}" for distance in distances), statistics.stdev(distances)
        parts.append(
            f"What is chance: {plan.REFERENCE} at 8 calls has {listed} from {len(again)} sets of seeds, a standard "
            f"deviation of {spread:.3f}."
        )
    return "\n\n".join(parts)


def _floors(record: Record) -> str:
    return ", ".join(f"{distance:.4f} at {count}" for count, distance in record["floors"].items())


def _sampler_table(record: Record) -> str:
    title = (
        "Every sampler, without guidance, by network calls; in each cell the Fréchet distance, the labels right, and "
        "the number of images:"
    )
    return f"{title}\n\n{_sampler_grid(record, plan.SAMPLER_CALLS)}"


def _sampler_grid(record: Record, calls: Iterable[int]) -> str:
    """Sampler by number of network calls; samplers without a cell are left out."""
    cells = _by([cell for cell in _sampler_cells(record) if not cell.get("seeds")], "variant", "calls")
    names = {name: name for name in plan.VARIANTS if name in {variant for variant, _ in cells}}
    return _grid("sampler", names, {count: str(count) for count in calls}, cells)


def _sampler_cells(record: Record) -> list[Record]:
    return [cell for cell in record["cells"].values() if "variant" in cell]


def _grid(heading: str, names: Mapping[Any, str], columns: Mapping[int, str], cells: Mapping[Any, Record]) -> str:
    """A line for each of ``names``, a column for each of ``columns``; ``cells`` by both keys."""
    form = "{distance:.3f} ({label_accuracy:.1%}, {num_images})"
    texts = {place: form.format_map(cell) for place, cell in cells.items()}
    lines = (" | ".join([name, *(texts.get((key, at), "") for at in columns)]) for key, name in names.items())
    return as_lines(" | ".join([heading, *columns.values()]), lines)


def _by(cells: Iterable[Record], row: str, column: str) -> dict[Any, Record]:
    """The cells by two of their keys; where two have the same place, the one with more images."""
    return {(cell[row], cell[column]): cell for cell in sorted(cells, key=lambda cell: int(cell["num_images"]))}


def _guided_table(record: Record) -> str:
    cells = [cell for cell in record["cells"].values() if "interval" in cell]
    rows = [{**cell, "where": _where(cell["interval"])} for cell in cells]
    title = f"Guidance {plan.LABEL_SCALE:g} between two noise levels σ, with the model's own sampler:"
    form = "{where} | {num_steps} | {rows_per_image} | " + _JUDGED_FORM
    return f"{title}\n\n{as_table(f'guided at σ | steps | rows an image | {_JUDGED}', form, rows)}"


def turbo(record: Record) -> str:
    """The distilled model's cells beside its teacher's, by the number of calls."""
    beside = results.read("turbo_teacher")
    cells = [*_named(record), *_named(beside)]
    cells.sort(key=lambda cell: int(cell["calls"]))
    form = "{calls} | {model} | {sampler} | {guided} | {rows_per_image} | " + _JUDGED_FORM
    table = as_table(f"calls | model | sampler | guidance | rows an image | {_JUDGED}", form, cells)
    return f"The distance of real images, by their number: {_floors(beside)}.\n\n{table}"


def _named(record: Record) -> list[Record]:
    """The cells of a record with the model's name, the sampler and the guidance."""
    names = {"model": record["model"]["name"]}
    return [{**names, **_with_guidance(cell)} for cell in record["cells"].values()]


def _with_guidance(cell: Record) -> Record:
    if "interval" not in cell:
        return {**cell, "sampler": cell["variant"], "guided": "none"}
    guided = f"{plan.LABEL_SCALE:g} at σ {_where(cell['interval'])}"
    return {**cell, "sampler": plan.REFERENCE, "guided": guided, "calls": cell["num_steps"]}


def _where(interval: tuple[float, float] | None) -> str:
    return "everywhere" if interval is None else f"{interval[0]:g} to {interval[1]:g}"


def _ddim_cells(record: Record) -> list[Record]:
    return [cell for cell in record["cells"].values() if "eta" in cell]


def reconstruction(record: Record) -> str:
    rows = [{**record["rows"][steps], "steps": steps} for steps in sorted(record["rows"], key=int)]
    header = "S | images | squared error a dimension | absolute error a dimension"
    return as_table(header, "{steps} | {num_images} | {error[squared]:.5f} | {error[absolute]:.4f}", rows)


def emoji(record: Record) -> str:
    header = "images | steps | guidance | top-1 | top-5 | wanted at least | median rank"
    form = "{num_images} | {num_steps} | {guidance_scale:g} | {top_1:.1%} | {top_5:.1%} | 60% | {median_rank:g}"
    return as_table(header, form, [record])
