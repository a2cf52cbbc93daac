"""One function a table: from a record of bench/results/ to Markdown."""

from collections.abc import Iterable, Sequence

from .quality import plan
from .results import Record

REFERENCES = {
    "test_halves": "one half of the test images, to the other half",
    "train_test": "the 60,000 training images, to the test images",
    "noisy": "the test images plus noise of σ = 0.05 (not clipped, not rounded), to the test images: the bar",
    "noisy_rounded": "the same, clipped to [-1, 1] and rounded to grey levels",
}

THREADS = {
    "whole": "the whole machine",
    "mask": "one processor, by an affinity mask",
    "quota": "one core's time, by a control group's quota",
    "busy": "the machine, beside another program that uses all processors",
}


def overhead(record: Record) -> str:
    rows = [
        (row["batch_size"], row["runs"], f"{row['share']:.2%}", as_range(row["range"], ".2%"), f"{row['bar']:.0%}")
        for row in record["rows"]
    ]
    return as_table(("batch", "runs", "share outside, median", "lowest to highest", "wanted at most"), rows)


def throughput(record: Record) -> str:
    header = ("batch", "steps", "", "images/s", "ours is faster by", "pair by pair", "wanted at least", "peak memory")
    return as_table(header, [line for row in record["rows"] for line in _throughput_lines(row)])


def _throughput_lines(row: Record) -> Iterable[Sequence[object]]:
    wanted = {"ours": "", "eager": f"{row['bar']:g}", "compiled": "1"}
    names = {"ours": "ddim-edge", "eager": "diffusers, eager", "compiled": "diffusers, torch.compile"}
    for kind, side in row["sides"].items():
        ratio, pairs = ("", "") if kind == "ours" else (f"{side['ratio']:.2f}", as_range(side["pairs"], ".2f"))
        speed, peak = f"{side['images_per_second']:.2f}", f"{side['peak_mib']} MiB"
        yield (row["batch_size"], row["num_steps"], names[kind], speed, ratio, pairs, wanted[kind], peak)


def startup(record: Record) -> str:
    ours, theirs = record["sides"]["ours"], record["sides"]["diffusers"]
    ratio, pairs = f"{theirs['ratio']:.1f}", as_range(theirs["pairs"], ".1f")
    rows = [
        ("ddim-edge", f"{ours['seconds']:.2f} s", "", "", "", f"{ours['peak_mib']} MiB"),
        ("diffusers", f"{theirs['seconds']:.2f} s", ratio, pairs, f"{record['bar']:g}", f"{theirs['peak_mib']} MiB"),
    ]
    return as_table(("", "median", "times longer", "pair by pair", "wanted at least", "peak memory"), rows)


def size(record: Record) -> str:
    ours, theirs = record["sides"]["ours"], record["sides"]["diffusers"]
    rows = [
        ("ddim-edge[cpu]", f"{ours['mb']:.0f} MB", len(ours["packages"]), "", ""),
        (
            "torch (CPU) and diffusers",
            f"{theirs['mb']:.0f} MB",
            len(theirs["packages"]),
            f"{record['ratio']:.1f}",
            f"{record['bar']:g}",
        ),
    ]
    return as_table(("", "site-packages", "packages", "times larger", "wanted at least"), rows)


def interval(record: Record) -> str:
    low, high = record["interval"]
    rows = [
        ("everywhere", record["rows_per_image"]["everywhere"], f"{record['seconds']['everywhere']:.3f} s", "", ""),
        (
            f"{low:g} to {high:g}",
            record["rows_per_image"]["interval"],
            f"{record['seconds']['interval']:.3f} s",
            f"{record['saved']:.1%}",
            as_range(record["range"], ".1%"),
        ),
    ]
    return as_table(("guided at σ", "rows an image", "median", "time saved", "pair by pair"), rows)


def spinning(record: Record) -> str:
    names = {"alone": "alone", "spinning": "beside two, all by ONNX Runtime's defaults", "still": "beside two"}
    rows = [
        (names[kind], f"{1000 * side['seconds']:.1f} ms", f"{side['ratio']:.2f}", as_range(side["pairs"], ".2f"))
        for kind, side in record["sides"].items()
    ]
    return as_table(("the UNet", "a call", "times longer", "pair by pair"), rows)


def threads(record: Record) -> str:
    rows = [
        (
            THREADS[place],
            f"{int(found['sides']['ours']['threads']) or 'its own'}",
            *(f"{1000 * found['sides'][side]['seconds']:.1f} ms" for side in ("onnxruntime", "ours")),
            f"{found['ratio']:.2f}",
            as_range(found["pairs"], ".2f"),
            *(f"{1000 * found['sides'][side]['processor_seconds']:.1f} ms" for side in ("onnxruntime", "ours")),
        )
        for place, found in record["places"].items()
    ]
    header = (
        "a process that has",
        "threads told",
        "ONNX Runtime by itself",
        "ddim-edge",
        "times faster",
        "pair by pair",
    )
    return as_table((*header, "processor time: ONNX Runtime", "ddim-edge"), rows)


def opening(record: Record) -> str:
    rows = [
        (
            name,
            *(f"{1000 * found['seconds'][side]:.0f} ms" for side in ("plain", "built")),
            f"{found['ratio']:.2f}",
            as_range(found["pairs"], ".2f"),
        )
        for name, found in record["graphs"].items()
    ]
    return as_table(("graph", "as exported", "optimized by build", "times faster", "round by round"), rows)


def stable_diffusion(record: Record) -> str:
    names = {"ours": "ddim-edge", "low-memory": "ddim-edge, --low-memory", "diffusers": "diffusers"}
    rows = [
        (
            names[kind],
            f"{side['load_seconds']:.0f} s",
            f"{side['run_seconds']:.0f} s",
            " and ".join(f"{taken:.1f} s" for taken in side["step_seconds"]),
            f"{side['peak_mib']} MiB ({side['peak_mib'] / record['weights_mib']:.2f})",
            f"{side['peak_anonymous_mib']} MiB",
        )
        for kind, side in record["sides"].items()
    ]
    header = ("", "load", "run", "steps", "peak memory (times the weights)", "of it no file's")
    parity = record["parity"]
    same = "equal" if record["low_memory_is_equal"] else "not equal"
    largest = max(parity["first_step"], parity["last_step"])
    text = (
        f"The weights take {record['weights_mib']} MiB. From diffusers samples differ by {largest:.1e} at most, the "
        f"image by {parity['image']:.0f} grey levels of 255; with and without --low-memory both are {same}."
    )
    return f"{as_table(header, rows)}\n\n{text}"


def quality(record: Record) -> str:
    parts = [_references(record)]
    if record.get("cells"):
        parts += [_scan(record), _paper_table(record), _sampler_table(record), _guided_table(record)]
    return "\n\n".join(parts)


def _references(record: Record) -> str:
    distances = record["references"]
    rows = [(text, f"{distances[name]:.4f}") for name, text in REFERENCES.items()]
    rows += [
        (
            f"{count} training images, evenly over the classes, to the test images: the floor for {count} images",
            f"{distance:.4f}",
        )
        for count, distance in record["floors"].items()
    ]
    accuracy = f"The classifier's accuracy on the test images is {record['classifier']['test_accuracy']:.2%}."
    return f"{accuracy}\n\n{as_table(('real images', 'Fréchet distance'), rows)}"


def _scan(record: Record) -> str:
    cells = [cell for cell in _ddim_cells(record) if (cell["num_steps"], cell["eta"]) == (plan.SCAN_STEPS, 0)]
    rows = [
        (f"{cell['guidance_scale']:g}", cell["num_images"], f"{cell['label_accuracy']:.2%}", f"{cell['distance']:.4f}")
        for cell in sorted(cells, key=lambda cell: (float(cell["guidance_scale"]), int(cell["num_images"])))
    ]
    title = f"{plan.SCAN_STEPS} steps, eta 0, by guidance scale:"
    return f"{title}\n\n{as_table(('guidance', 'images', 'labels right', 'Fréchet distance'), rows)}"


def reconstruction(record: Record) -> str:
    rows = [
        (steps, row["num_images"], f"{row['error']['squared']:.5f}", f"{row['error']['absolute']:.4f}")
        for steps, row in sorted(record["rows"].items(), key=lambda item: int(item[0]))
    ]
    return as_table(("S", "images", "squared error a dimension", "absolute error a dimension"), rows)


def emoji(record: Record) -> str:
    row = (record["num_images"], record["num_steps"], f"{record['guidance_scale']:g}")
    shares = (f"{record['top_1']:.1%}", f"{record['top_5']:.1%}", "60%", f"{record['median_rank']:g}")
    return as_table(
        ("images", "steps", "guidance", "top-1", "top-5", "wanted at least", "median rank"), [(*row, *shares)]
    )


def _ddim_cells(record: Record) -> list[Record]:
    return [cell for cell in record["cells"].values() if "eta" in cell]


def _sampler_table(record: Record) -> str:
    """Variants × network calls, from the cells of the most images."""
    cells = sorted((cell for cell in record["cells"].values() if "variant" in cell), key=lambda c: int(c["num_images"]))
    by_place = {(cell["variant"], cell["calls"]): _cell(cell) for cell in cells}
    rows = [(name, *(by_place.get((name, calls), "") for calls in plan.SAMPLER_CALLS)) for name in plan.VARIANTS]
    title = (
        "Every sampler, without guidance, by network calls; in each cell the Fréchet distance, the labels right, and "
        "the number of images:"
    )
    return f"{title}\n\n{as_table(('sampler', *map(str, plan.SAMPLER_CALLS)), rows)}"


def _guided_table(record: Record) -> str:
    rows = [
        (
            "everywhere" if cell["interval"] is None else f"{cell['interval'][0]:g} to {cell['interval'][1]:g}",
            cell["num_steps"],
            cell["rows_per_image"],
            cell["num_images"],
            f"{cell['label_accuracy']:.2%}",
            f"{cell['distance']:.4f}",
        )
        for cell in record["cells"].values()
        if "interval" in cell
    ]
    title = f"Guidance {plan.LABEL_SCALE:g} between two noise levels σ, with the model's own sampler:"
    header = ("guided at σ", "steps", "rows an image", "images", "labels right", "Fréchet distance")
    return f"{title}\n\n{as_table(header, rows)}"


def _paper_table(record: Record) -> str:
    unguided = [cell for cell in _ddim_cells(record) if cell["guidance_scale"] == plan.TABLE_SCALE]
    cells = sorted(unguided, key=lambda cell: int(cell["num_images"]))  # of two for one place, the larger is shown
    steps = sorted({int(cell["num_steps"]) for cell in cells})
    etas = sorted({float(cell["eta"]) for cell in cells})
    by_place = {(cell["eta"], cell["num_steps"]): _cell(cell) for cell in cells}
    rows = [(f"{eta:g}", *(by_place.get((eta, count), "") for count in steps)) for eta in etas]
    title = "Without guidance; in each cell the Fréchet distance, the labels right, and the number of images:"
    return f"{title}\n\n{as_table(('eta', *(f'S = {count}' for count in steps)), rows)}"


def _cell(cell: Record) -> str:
    return f"{cell['distance']:.3f} ({cell['label_accuracy']:.1%}, {cell['num_images']})"


def as_range(ends: Sequence[float], form: str) -> str:
    low, high = ends
    return f"{low:{form}} to {high:{form}}"


def as_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
