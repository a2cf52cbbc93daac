"""``run --requests``: an image for each row of a table, the same files however the run was interrupted."""

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.cli import requests_table
from ddim_edge.cli.requests_table import COLUMNS, read_table
from ddim_edge.errors import ConfigError
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle

TABLE = "labels,seed,num_steps,guidance_scale\ndog,5,4,2\ncat,,,\n,7,3,\ncat,,2,1.5\n,,,\n"
CHUNKS = ("--steps", 3, "--batch-size", 2, "--quiet")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path, "table.csv", TABLE)


def test_each_row_has_its_own_recipe(invoke: Invoke, table: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert invoke("run", tiny_bundle, "--requests", table, "--output", tmp_path / "out/", *CHUNKS).code == 0
    recipes = [read_recipe(tmp_path / "out" / f"{row:06d}.png") for row in range(5)]
    assert [recipe["seed"] for recipe in recipes] == [5, 1, 7, 3, 4]  # an empty cell: --seed plus the row's number
    assert [recipe["labels"] for recipe in recipes] == [[1], [0], [2], [0], [1]]  # an empty cell: all classes in turn
    assert [recipe["num_steps"] for recipe in recipes] == [4, 3, 3, 2, 3]
    assert [recipe["guidance_scale"] for recipe in recipes] == [2, 1, 1, 1.5, 1]
    assert {(recipe["num_images"], recipe["batch_size"]) for recipe in recipes} == {(1, 1)}
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["requests_sha256"] == read_table(table).sha256
    assert (run["batch_size"], run["num_images"], run["options"]) == (2, 5, {"num_steps": 3})


def test_a_file_can_be_made_again(invoke: Invoke, table: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    invoke("run", tiny_bundle, "--requests", table, "--output", tmp_path / "out/", *CHUNKS)
    original = tmp_path / "out" / "000000.png"
    assert invoke("run", tiny_bundle, "--from-image", original, "-o", tmp_path / "again.png", "--quiet").code == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "again.png")), np.asarray(Image.open(original)))


def test_rows_without_cells_are_the_images_of_a_plain_run(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    table = write(tmp_path, "steps.csv", "num_steps\n" + "2\n" * 4)
    common = ("--labels", "dog,none", "--seed", 8, "--quiet")
    invoke("run", tiny_bundle, "--requests", table, "-o", tmp_path / "rows/", *common)
    invoke("run", tiny_bundle, "--num-images", 4, "--steps", 2, "-o", tmp_path / "plain/", *common)
    for row in range(4):
        made, plain = (np.asarray(Image.open(tmp_path / name / f"{row:06d}.png")) for name in ("rows", "plain"))
        np.testing.assert_array_equal(made, plain)


def test_interrupted_and_in_shards_it_writes_the_same_files(
    invoke: Invoke, table: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    whole, other = tmp_path / "whole", tmp_path / "other"
    command = ("run", tiny_bundle, "--requests", table, *CHUNKS, "--output")
    assert invoke(*command, f"{whole}/").code == 0
    assert invoke(*command, f"{other}/", "--shard", "1/2").code == 0
    assert sorted(files(other)) == ["000002.png", "000003.png", "run.json"]
    (other / "000003.png").write_bytes(b"half")
    assert invoke(*command, f"{other}/").code == 0
    assert files(other) == files(whole)


def test_a_folder_of_another_table_is_refused(invoke: Invoke, table: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    command = ("run", tiny_bundle, "--requests", table, *CHUNKS, "--output", tmp_path / "out/")
    invoke(*command)
    table.write_text(TABLE + "dog,1,1,1\n")
    outcome = invoke(*command)
    assert outcome.code == 2
    assert "holds the images of another run" in outcome.err


def test_json_lines_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    rows: list[dict[str, Any]] = [
        {"prompt": "a fox", "seed": 5, "guidance_scale": 7.0, "long_prompt": True, "guidance_interval": [0.5, 3.0]},
        {"prompt": "", "seed": None, "guidance_scale": 2.5, "long_prompt": False, "guidance_interval": None},
    ]
    lines = write(tmp_path, "t.jsonl", "\n\n".join(map(json.dumps, rows)))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    expected = [
        {"prompt": "a fox", "seed": 5, "guidance_scale": 7.0, "long_prompt": True, "guidance_interval": (0.5, 3.0)},
        {"prompt": "", "guidance_scale": 2.5, "long_prompt": False},
    ]
    assert read_table(lines).rows == read_table(tmp_path / "t.parquet").rows == expected
    text = 'prompt,seed,guidance_scale,long_prompt,guidance_interval\n"a fox",5,7,TRUE,"0.5,3"\n,,2.5,0,\n'
    without_prompt = {name: value for name, value in expected[1].items() if name != "prompt"}
    assert read_table(write(tmp_path, "t.csv", text)).rows == [expected[0], without_prompt]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "promt\nx\n", "'promt' is unknown. Did you mean 'prompt'?"),
        ("t.csv", "num_images\n3\n", "'num_images' is unknown"),
        ("t.csv", "seed,seed\n1,2\n", "two columns seed"),
        ("t.csv", "seed\n1\nx\n", "row 2: seed must be a whole number, not 'x'"),
        ("t.csv", "seed,labels\n1\n", "row 1: 1 cells, and the header has 2 columns"),
        ("t.csv", "labels\ndog\ndgo\n", "row 2: label 'dgo' is unknown. Did you mean 'dog'?"),
        ("t.csv", "num_steps\n3\n0\n", "row 2: num_steps must be"),
        ("t.csv", "vae_tiling\nperhaps\n", "row 1: vae_tiling must be true or false"),
        ("t.csv", "guidance_interval\n1\n", "row 1: guidance_interval must be two noise levels"),
        ("t.csv", 'seed\n"1\n', "is not CSV"),
        ("t.csv", "", "has no rows"),
        ("t.csv", "seed\n", "has no rows"),
        ("t.jsonl", '{"seed": 1}\n{"seed": true}\n', "row 2: seed must be a whole number, not True"),
        ("t.jsonl", '{"seed": 1.5}', "row 1: seed must be a whole number, not 1.5"),
        ("t.jsonl", '{"labels": ["dog", "cat"]}', "row 1: labels must be one class"),
        ("t.jsonl", '{"sampler": 3}', "row 1: sampler must be text"),
        ("t.jsonl", '{"sede": 1}', "row 1: the column 'sede' is unknown"),
        ("t.jsonl", "[1]", "row 1 must hold a JSON object"),
        ("t.jsonl", "{", "row 1 is not JSON"),
        ("t.parquet", "PAR1", "is not a Parquet file"),
        ("t.txt", "seed\n1\n", "must be a file that ends in .csv, .jsonl, .parquet"),
    ],
)
def test_bad_tables(invoke: Invoke, tiny_bundle: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    outcome = invoke("run", tiny_bundle, "--requests", write(tmp_path, name, text), "--output", tmp_path / "out/")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_there_or_too_large(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_table(tmp_path / "no.csv")
    monkeypatch.setattr(requests_table, "_MOST_ROWS", 4)
    with pytest.raises(ConfigError, match="more than 4 rows"):
        read_table(table)
    monkeypatch.setattr(requests_table, "_LARGEST", 10)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_table(table)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install 'pyarrow>=16'"):
        read_table(write(tmp_path, "t.parquet", "PAR1"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--num-images", 3), "leave --num-images out"),
        (("--gif",), "leave --gif out"),
        (("--show",), "leave --show out"),
        (("--output", "one.png"), "give a folder as --output"),
        (("--labels", ""), "labels must be"),
        (("--batch-size", 0), "batch_size must be"),
    ],
)
def test_options_that_do_not_go_with_a_table(
    invoke: Invoke, table: Path, tiny_bundle: Path, option: tuple[object, ...], message: str
) -> None:
    outcome = invoke("run", tiny_bundle, "--requests", table, *option)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err


def test_a_column_is_an_option_of_one_image() -> None:
    assert {"prompt", "labels", "seed", "num_steps", "guidance_scale", "height", "width", "sampler", "eta"} <= {
        *COLUMNS
    }
    assert not {"num_images", "batch_size", "origin"} & {*COLUMNS}


def test_tar_files_of_rows(invoke: Invoke, table: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    command = ("run", tiny_bundle, "--requests", table, *CHUNKS, "--archive", "webdataset", "--images-per-tar", 3)
    assert invoke(*command, "--output", tmp_path / "whole/").code == 0
    whole = files(tmp_path / "whole")
    assert sorted(whole) == ["000000.tar", "000001.tar", "000002.tar", "run.json"]
    with tarfile.open(tmp_path / "whole" / "000000.tar") as tar:
        assert tar.getnames() == ["000000.png", "000000.json", "000001.png", "000001.json"]
        recipe = tar.extractfile("000001.json")
        assert recipe is not None
        assert json.load(recipe)["seed"] == 1
    assert invoke(*command, "--output", tmp_path / "parts/", "--shard", "1/2").code == 0
    assert sorted(files(tmp_path / "parts")) == ["000001.tar", "run.json"]
    assert invoke(*command, "--output", tmp_path / "parts/").code == 0
    assert files(tmp_path / "parts") == whole


def test_a_tar_with_a_row_that_fails_is_not_written(invoke: Invoke, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", tiny_model(nan_at=(0, 1)))
    table = write(tmp_path, "t.csv", "labels,num_steps\ncat,1\ncat,1\ndog,1\ncat,1\ncat,1\n")
    tars = ("--archive", "webdataset", "--images-per-tar", 2)
    outcome = invoke("run", bundle, "--requests", table, *CHUNKS, *tars, "--output", tmp_path / "out/")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "row 3" in outcome.err
    assert sorted(files(tmp_path / "out")) == ["000000.tar", "000002.tar", "run.json"]
