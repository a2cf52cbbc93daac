"""Conditioning by name: what is given is checked against the graph's names, types and shapes."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from ddim_edge.bundle.bundle import Bundle
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ConfigError
from ddim_edge.generation.requests.conditioning_file import read_conditioning
from ddim_edge.generation.requests.named_arrays import NamedArrays, check_named, fitted
from tests.helpers.array_bundles import array_model, write_array_bundle

GRAPH = """<ir_version: 10, opset_import: ["" : 18]>
unet (float[b, 6, 2] sample, float[b] timestep, float16[b, 3] state, int32[b, tokens] words, bool[b] on)
  => (float[b, 6, 2] out_sample)
{ out_sample = Identity(sample) }"""
STATE = np.array([[1, 2, 3]], np.float32)
GOOD: dict[str, Any] = {"state": STATE, "words": [[4, 5]], "on": [True]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that takes numbers, whole numbers of any count, and a flag."""
    folder = tmp_path_factory.mktemp("named") / "arrays"
    return open_bundle(write_array_bundle(folder, (6, 2), onnx.parser.parse_model(GRAPH)))


def named(bundle: Bundle, given: object) -> NamedArrays:
    found = fitted(bundle, given)
    assert found is not None
    return found


def test_values_get_the_types_of_the_graph_and_a_batch_axis(bundle: Bundle) -> None:
    arrays = named(bundle, {"on": np.array(True), "words": [4, 5], "state": [1, 2, 3]}).arrays
    assert list(arrays) == ["state", "words", "on"]
    assert [array.dtype for array in arrays.values()] == [np.float32, np.int32, np.bool_]
    assert [array.shape for array in arrays.values()] == [(1, 3), (1, 2), (1,)]
    assert not any(array.flags.writeable for array in arrays.values())


def test_what_was_given_is_not_changed_nor_kept(bundle: Bundle) -> None:
    state = STATE.copy()
    arrays = named(bundle, {**GOOD, "state": state}).arrays
    state[:] = 0
    np.testing.assert_array_equal(arrays["state"], STATE)


def test_the_same_values_are_equal_in_whatever_type_they_were_given(bundle: Bundle) -> None:
    one, other = named(bundle, GOOD), named(bundle, {**GOOD, "state": STATE.astype(np.float64)})
    assert one == other
    assert hash(one) == hash(other)
    assert one != named(bundle, {**GOOD, "on": [False]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stat": STATE}, "Did you mean 'state'"),
        ({"state": None}, "has the type object"),
        ({"state": ["a", "b", "c"]}, "has the type"),
        ({"state": [1, 2]}, r"has the shape \(2,\), and the graph takes state float16 \(b, 3\)"),
        ({"state": np.zeros((1, 1, 3))}, r"has the shape \(1, 1, 3\)"),
        ({"state": np.zeros((0, 3))}, r"has the shape \(0, 3\)"),
        ({"state": [1, np.nan, 3]}, "has NaN or infinity"),
        ({"state": [1, 1e300, 3]}, "numbers beyond float32"),
        ({"words": [1.5]}, "has the type float64, and the graph takes words int32"),
        ({"words": [2**40]}, "numbers beyond int32"),
        ({"on": [1]}, "has the type int64, and the graph takes on bool"),
    ],
)
def test_other_names_types_and_shapes_are_refused(bundle: Bundle, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted(bundle, {**GOOD, **change})


def test_every_input_is_needed(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match=r"needs an array for words int32 \(b, tokens\); on bool \(b\)"):
        fitted(bundle, {"state": STATE})
    with pytest.raises(ConfigError, match="needs an array for state"):
        check_named(bundle, None, 1)
    with pytest.raises(ConfigError, match="must be a mapping"):
        fitted(bundle, [STATE])


def test_a_model_without_such_inputs_takes_none(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="takes no conditioning by name"):
        fitted(open_bundle(tiny_bundle), GOOD)
    check_named(open_bundle(tiny_bundle), None, 1)


def test_there_are_as_many_rows_as_images_or_one(bundle: Bundle) -> None:
    three = named(bundle, {**GOOD, "state": np.arange(9).reshape(3, 3)})
    assert three.num_rows == 3
    check_named(bundle, three, 3)
    np.testing.assert_array_equal(three.row(2)["state"], [[6, 7, 8]])
    np.testing.assert_array_equal(three.row(2)["words"], [[4, 5]])
    with pytest.raises(ConfigError, match="has 3 rows, and there are 2 images"):
        check_named(bundle, three, 2)


def test_a_graph_with_an_input_that_cannot_be_fed_is_named(tmp_path: Path) -> None:
    text = GRAPH.replace("bool[b] on", "float on")
    bundle = open_bundle(write_array_bundle(tmp_path / "arrays", (6, 2), onnx.parser.parse_model(text)))
    with pytest.raises(ConfigError, match=r"input on float32 \(\) has no batch axis"):
        fitted(bundle, GOOD)


def test_a_file_is_read_by_name(bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **GOOD)
    found = read_conditioning(tmp_path / "c.npz", bundle)
    assert named(bundle, found) == named(bundle, GOOD)


def test_a_file_of_other_names_is_refused_before_it_is_read(bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **GOOD, more=np.zeros(3))
    with pytest.raises(ConfigError, match=r"c.npz: .*'more' is unknown"):
        read_conditioning(tmp_path / "c.npz", bundle)


@pytest.mark.parametrize("contents", [b"", b"not a zip file", b"PK\3\4"])
def test_a_broken_file_is_one_error(bundle: Bundle, tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(contents)
    with pytest.raises(ConfigError, match=r"c.npz is no .npz file of arrays by name"):
        read_conditioning(tmp_path / "c.npz", bundle)


def test_pickled_objects_are_not_loaded(bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", **{**GOOD, "state": np.array([{}], object)})
    with pytest.raises(ConfigError, match=r"c.npz is no .npz file"):
        read_conditioning(tmp_path / "c.npz", bundle)


def test_the_rank_of_the_sample_decides_nothing(tmp_path: Path) -> None:
    bundle = open_bundle(write_array_bundle(tmp_path / "arrays", (5,), array_model((5,), condition=2)))
    assert named(bundle, {"global_cond": [1, 2]}).arrays["global_cond"].shape == (1, 2)
