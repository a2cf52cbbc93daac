"""Pages of docs/: their links lead to files, their tables name what the code has."""

import json
import re
from pathlib import Path

from ddim_edge.bundle import layout
from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.format import FIRST_READER, FORMAT, format_keys
from ddim_edge.bundle.json_files import _SCHEMAS, DEFAULTS
from ddim_edge.bundle.output import Output
from docs_site import files

ROOT = Path(__file__).parents[2]


def test_every_link_leads_to_a_file() -> None:
    """The anchors, too, are checked by ``make docs``."""
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in files.pages() if page.endswith(".md")}
    made = {"docs/reference/command-line.md", "docs/reference/python.md", "docs/reference/http.md"}
    found = {(page, link) for page, text in texts.items() for link in files.links(text)}
    assert len(found) > 60
    missing = {(page, link) for page, link in found if not (ROOT / files.target(page, link)).exists()}
    assert {pair for pair in missing if files.target(*pair) not in made} == set()


def test_the_bundle_format_names_every_file_and_key() -> None:
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    small = ("tokenizer", "feature_extractor", "text_encoder", "controlnet")
    keys = {key for path, schema in _SCHEMAS.items() if not path.startswith(small) for key in schema}
    paths = (layout.INDEX, layout.SCHEDULER, layout.GENERATION_CONFIG, layout.EXPORT_RECORD, layout.STEP_MODEL)
    folders = {name for part in layout.COMPONENTS for name in (part.name, part.companion) if name}
    wanted = keys | {*paths, layout.FP32_MODEL} | folders
    assert {word for word in wanted if not re.search(rf"[`/]{re.escape(word)}[`/]", text)} == set()


def test_the_bundle_format_has_the_number_that_exports_write() -> None:
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Bundle format, version {FORMAT}\n")
    table = text.partition("## Versions")[2].partition("\n\n###")[0]
    rows = re.findall(r"^\| (\w+) \| (.*?) \|", table, re.MULTILINE)
    assert [number for number, _ in rows] == ["format", "none", *map(str, range(1, FORMAT + 1))]
    assert rows[-1][1] == f"ddim-edge {FIRST_READER}"
    assert {key for key in format_keys() if f"| `{key}` |" not in text} == set()


def test_the_bundle_formats_examples_are_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    example, output = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "output.json").write_text(output, encoding="utf-8")
    normalization = Output.read(tmp_path, (16, 2), has_autoencoder=False).normalization
    assert normalization is not None
    assert (normalization.offset, normalization.scale) == ((0.25, 0.2), (0.25, 0.2))
    assert Defaults.checked(json.loads(example)).guidance_scale == 3
    table = text.partition("### generation_config.json")[2].partition("```")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(DEFAULTS)


def test_the_comparisons_figures_are_those_of_the_measurements() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    measured = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) s \| ([\d.]+) s \| ([\d.]+) GB \| (\d+) MB \|$", text, re.MULTILINE)
    assert len(rows) == 6
    for name, *figures in rows:
        lines = re.findall(rf"^\| {re.escape(name)} \| (.+) \|$", measured, re.MULTILINE)
        cells = max((line.split(" | ") for line in lines), key=len)
        assert figures == [cells[0], cells[5], cells[6], cells[9]], name
