"""Where external weights may lie: in the bundle, or behind links that stay in it."""

import os
from pathlib import Path

import pytest

import ddim_edge
from ddim_edge.graphs.external_data import check_onnx_file

from .external_weights import check, external, with_initializer


def _linked(bundle: Path, target: Path) -> list[Path]:
    """Check a bundle whose weights are a link to ``target``."""
    data = bundle / "unet" / "model.onnx_data"
    data.parent.mkdir(parents=True)
    data.symlink_to(target)
    return check(bundle, with_initializer(external("model.onnx_data")).SerializeToString())


def test_a_link_to_weights_outside_the_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with pytest.raises(ddim_edge.BundleError, match=r"is a link to .*secret, outside the bundle .* refused"):
        _linked(tmp_path / "bundle", Path("../../secret"))


def test_a_linked_folder_before_dots_is_followed_as_the_system_does(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere" / "weights").write_bytes(bytes(16))
    (bundle / "unet").mkdir(parents=True)
    (bundle / "unet" / "weights").write_bytes(bytes(16))
    (bundle / "unet" / "link").symlink_to(tmp_path / "elsewhere" / "folder")
    with pytest.raises(ddim_edge.BundleError, match=r"outside the bundle .* refused"):
        check(bundle, with_initializer(external("link/../weights")).SerializeToString())


def test_a_link_inside_the_bundle_and_a_linked_bundle_pass(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "weights").write_bytes(bytes(16))
    assert _linked(bundle, Path("../weights")) == [bundle / "unet" / "model.onnx_data"]
    (tmp_path / "link").symlink_to(bundle)
    assert check_onnx_file(tmp_path / "link" / "unet" / "model.onnx", tmp_path / "link")


def test_a_link_to_the_same_repository_of_the_hugging_face_cache_passes(tmp_path: Path) -> None:
    for owner in ("models--me--mine", "models--me--other"):
        (tmp_path / owner / "blobs").mkdir(parents=True)
        (tmp_path / owner / "blobs" / "0123").write_bytes(bytes(16))
    snapshots = tmp_path / "models--me--mine" / "snapshots"
    assert _linked(snapshots / "1", Path("../../../blobs/0123"))
    assert _linked(snapshots / "2" / "below", Path("../../../../blobs/0123"))
    for number, outside in enumerate(("../../../../models--me--other/blobs/0123", "../../0123")):
        (snapshots / "0123").write_bytes(bytes(16))
        with pytest.raises(ddim_edge.BundleError, match="is a link to"):
            _linked(snapshots / f"{3 + number}", Path(outside))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_weights_that_are_no_regular_file_are_refused(tmp_path: Path, kind: str) -> None:
    data = tmp_path / "unet" / "model.onnx_data"
    data.parent.mkdir()
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](data)
    contents = with_initializer(external("model.onnx_data", length=0)).SerializeToString()
    with pytest.raises(ddim_edge.BundleError, match="is not a regular file"):
        check(tmp_path, contents)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_graph_that_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    graph = tmp_path / "model.onnx"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero")}[kind](graph)
    with pytest.raises(ddim_edge.BundleError, match="not a regular file"):
        check_onnx_file(graph, tmp_path)
    with pytest.raises(ddim_edge.BundleError, match="not a regular file"):
        ddim_edge.Session(graph, "cpu")
