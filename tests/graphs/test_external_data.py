"""The check of a graph's file before it is opened: whole, and with its weights inside the bundle."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import _get_all_tensors, uses_external_data

import ddim_edge
from ddim_edge.graphs import external_data, file_state
from ddim_edge.graphs.external_data import check_onnx_file
from tests.helpers.tiny_bundles import tiny_model, write_bundle

from .external_weights import check, external, with_initializer, with_nodes

Place = Callable[[onnx.TensorProto], onnx.ModelProto]


def test_a_whole_model_passes_and_no_beginning_of_it_does(tmp_path: Path) -> None:
    whole = tiny_model().SerializeToString()
    assert check(tmp_path, whole) == []
    for length in range(len(whole)):
        with pytest.raises(ddim_edge.BundleError, match=r"is empty|is cut short"):
            check(tmp_path, whole[:length])


@settings(max_examples=300, deadline=None)
@given(contents=st.binary(max_size=200))
@example(contents=b"")
@example(contents=b"<!DOCTYPE html><html>not found</html>")
@example(contents=b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9\n")
@example(contents=b"\x3a\x00")
def test_random_bytes_are_no_graph(tmp_path_factory: pytest.TempPathFactory, contents: bytes) -> None:
    with pytest.raises(ddim_edge.BundleError):
        check(tmp_path_factory.getbasetemp() / "random", contents)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_a_bundle_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    contents = bytearray(with_initializer(external("model.onnx_data")).SerializeToString())
    contents[position % len(contents)] = value
    with contextlib.suppress(ddim_edge.BundleError):
        check(tmp_path_factory.getbasetemp() / "flipped", bytes(contents))


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    message = b""
    for _ in range(3000):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            message = tag + _varint(len(message)) + message
    contents = b"\x3a" + _varint(len(message)) + message + b"\x42\x00"
    with pytest.raises(ddim_edge.BundleError, match="not an ONNX graph"):
        check(tmp_path, contents)


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def test_a_folder_or_nothing_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ddim_edge.BundleError, match="is not there"):
        check_onnx_file(tmp_path / "model.onnx", tmp_path)
    with pytest.raises(ddim_edge.BundleError, match="cannot read"):
        check_onnx_file(tmp_path, tmp_path)


def _with_attribute(tensor: onnx.TensorProto) -> onnx.ModelProto:
    return with_nodes(helper.make_node("Constant", [], ["y"], value=tensor))


def _with_subgraph(tensor: onnx.TensorProto) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    branch = helper.make_graph([helper.make_node("Identity", ["weights"], ["y"])], "branch", [], [output], [tensor])
    return with_nodes(helper.make_node("If", ["condition"], ["y"], then_branch=branch, else_branch=branch))


def _with_function(tensor: onnx.TensorProto) -> onnx.ModelProto:
    model = with_nodes(helper.make_node("Mine", [], ["y"], domain="ours"))
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    model.functions.append(helper.make_function("ours", "Mine", [], ["y"], [constant], model.opset_import))
    return model


def _with_sparse(tensor: onnx.TensorProto) -> onnx.ModelProto:
    model = with_nodes(helper.make_node("Identity", ["weights"], ["y"]))
    indices = numpy_helper.from_array(np.arange(4), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [4]))
    return model


EVERYWHERE = pytest.mark.parametrize(
    "place", [with_initializer, _with_attribute, _with_subgraph, _with_function, _with_sparse]
)


@EVERYWHERE
def test_weights_in_the_bundle_pass_wherever_the_graph_keeps_them(tmp_path: Path, place: Place) -> None:
    (tmp_path / "unet").mkdir()
    data = tmp_path / "unet" / "model.onnx_data"
    data.write_bytes(bytes(16))
    assert check(tmp_path, place(external("model.onnx_data")).SerializeToString()) == [data]


@EVERYWHERE
def test_missing_weights_are_named(tmp_path: Path, place: Place) -> None:
    with pytest.raises(
        ddim_edge.BundleError, match=r"model\.onnx_data is missing: model\.onnx keeps its weights there"
    ):
        check(tmp_path, place(external("model.onnx_data")).SerializeToString())


@EVERYWHERE
@pytest.mark.parametrize("location", ["../../secret", "../../../../etc/passwd", "/etc/passwd", "", "a/../../../secret"])
def test_weights_outside_the_bundle_are_refused(tmp_path: Path, place: Place, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with pytest.raises(ddim_edge.BundleError, match=r"outside the bundle .* refused"):
        check(tmp_path / "bundle", place(external(location)).SerializeToString())


def test_weights_elsewhere_in_the_bundle_pass(tmp_path: Path) -> None:
    (tmp_path / "shared").write_bytes(bytes(16))
    contents = with_initializer(external("../shared")).SerializeToString()
    assert check(tmp_path, contents) == [tmp_path / "shared"]


def test_weights_cut_short_are_named_with_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights").write_bytes(bytes(1999))
    contents = with_initializer(external("weights", offset=1984)).SerializeToString()
    with pytest.raises(ddim_edge.BundleError, match=r"is cut short: it has 1,999 bytes where model\.onnx needs 2,000"):
        check(tmp_path, contents)


@pytest.mark.parametrize("length", ["-1", "many", "", "1e3", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(tmp_path: Path, length: str) -> None:
    tensor = external("model.onnx_data")
    (entry,) = [entry for entry in tensor.external_data if entry.key == "length"]
    entry.value = length
    with pytest.raises(ddim_edge.BundleError, match="no number of bytes"):
        check(tmp_path, with_initializer(tensor).SerializeToString())


@pytest.mark.parametrize("name", ["a\0b", "a/" * 5000])
def test_what_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ddim_edge.BundleError, match="is no file name") as found:
        check(tmp_path, with_initializer(external(name)).SerializeToString())
    assert len(str(found.value)) < 400 + len(str(tmp_path))


def test_the_files_are_those_that_the_onnx_package_reads(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", external=True)
    path = folder / "unet" / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    named = {
        path.parent / entry.value
        for tensor in _get_all_tensors(model)
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert named
    assert set(check_onnx_file(path, folder)) == named


def test_a_bundle_with_external_weights_runs_and_its_hash_covers_them(tmp_path: Path) -> None:
    inside, outside = write_bundle(tmp_path / "inside"), write_bundle(tmp_path / "outside", external=True)
    images = [ddim_edge.load(folder, "cpu").generate(num_steps=2).images for folder in (inside, outside)]
    np.testing.assert_array_equal(images[0], images[1])
    before = ddim_edge.load(outside, "cpu").bundle.sha256
    data = outside / "unet" / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:-1] + b"\x01")
    assert ddim_edge.load(outside, "cpu").bundle.sha256 != before


def test_a_graph_is_read_once_for_each_of_its_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = write_bundle(tmp_path / "bundle", external=True) / "unet" / "model.onnx"
    read: list[Path] = []
    entries = external_data._external_entries

    def spy(path: Path) -> list[dict[str, str]]:
        read.append(path)
        return entries(path)

    monkeypatch.setattr(external_data, "_external_entries", spy)
    for settled, times in ((10**15, 3), (-(10**15), 1)):
        monkeypatch.setattr(file_state, "SETTLED_NS", settled)
        read.clear()
        for _ in range(3):
            assert check_onnx_file(graph, tmp_path / "bundle") == [graph.with_name("model.onnx_data")]
        assert read == [graph] * times
    graph.with_name("model.onnx_data").unlink()
    with pytest.raises(ddim_edge.BundleError, match=r"model\.onnx keeps its weights there"):
        check_onnx_file(graph, tmp_path / "bundle")
    state = graph.stat()
    graph.write_bytes(bytes(state.st_size))
    os.utime(graph, ns=(0, state.st_mtime_ns))
    with pytest.raises(ddim_edge.BundleError, match="is not an ONNX graph"):
        check_onnx_file(graph, tmp_path / "bundle")
