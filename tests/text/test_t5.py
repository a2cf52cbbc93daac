"""T5: its tokenizer beside transformers', what is cut off and what is padding, and the text that it joins."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ddim_edge.bundle.layout import T5_TOKENS, TEXT_ENCODER_3
from ddim_edge.errors import BundleError
from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.text import TruncationWarning
from ddim_edge.text.joint_text import JointText
from ddim_edge.text.t5_text_model import T5TextModel, T5Tokenizer, open_t5_text_model
from tests.helpers.tiny_networks import t5_tokenizer

TEXTS = ["", "a car on mars", "  two   cars\n", "été 123 </s> car", "A"]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return t5_tokenizer()


@pytest.fixture
def bundle(theirs: Any, tmp_path: Path) -> Path:
    """T5 whose hidden state of a token is its id, and 1000 more where the mask says padding."""
    theirs.save_pretrained(tmp_path / "tokenizer_3")
    (tmp_path / "text_encoder_3").mkdir()
    axes = [1, T5_TOKENS]
    nodes = [
        helper.make_node("Sub", ["one", "attention_mask"], ["padding"]),
        helper.make_node("Mul", ["padding", "thousand"], ["added"]),
        helper.make_node("Add", ["input_ids", "added"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "last"], ["last_hidden_state"]),
    ]
    constants = {"one": [1], "thousand": [1000], "last": [2]}
    graph = helper.make_graph(
        nodes,
        "t5",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*axes, 1])],
        [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, tmp_path / TEXT_ENCODER_3.graph)
    return tmp_path


def opened(bundle: Path, *, masked: bool = False) -> T5TextModel:
    return open_t5_text_model(bundle, TEXT_ENCODER_3, Sessions("cpu"), masked=masked)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_transformers(text: str, bundle: Path, theirs: Any) -> None:
    wanted = theirs(text, padding="max_length", max_length=T5_TOKENS, truncation=True)
    found = opened(bundle).encode(text)
    assert found.hidden[:, 0].astype(int).tolist() == wanted.input_ids
    assert found.mask.tolist() == wanted.attention_mask


def test_padding_is_masked_where_the_family_masks_it(bundle: Path) -> None:
    found = opened(bundle, masked=True).encode("car")
    assert ((found.hidden[:, 0] >= 1000) == (found.mask == 0)).all()


def test_what_is_cut_off_is_said(bundle: Path, theirs: Any) -> None:
    text = "car " * T5_TOKENS
    with pytest.warns(TruncationWarning, match="more than 255 tokens of T5, and its end was cut off"):
        found = opened(bundle).encode(text)
    assert found.hidden[:, 0].astype(int).tolist() == theirs(text, max_length=T5_TOKENS, truncation=True).input_ids


def test_clip_is_widened_and_t5_is_behind_it(bundle: Path) -> None:
    clip = np.ones((2, 5), np.float32)
    without = JointText(7, None).joined(clip, "car")
    assert without.shape == (2 + T5_TOKENS, 7)
    np.testing.assert_array_equal(without[:2, :5], clip)
    assert without.sum() == clip.sum()
    t5 = opened(bundle)
    joined = JointText(1, t5).joined(np.ones((2, 1), np.float32), "a car")
    np.testing.assert_array_equal(joined[2:], t5.encode("a car").hidden)


def test_bad_folders(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json is missing: T5's tokenizer is read from it"):
        T5Tokenizer(tmp_path / "nothing")
    file = bundle / "tokenizer_3" / "tokenizer.json"
    file.write_text(file.read_text().replace("</s>", "<end>"))
    with pytest.raises(BundleError, match="has no </s>: it is not a T5 tokenizer"):
        opened(bundle)
    file.write_text("{}")
    with pytest.raises(BundleError, match="no tokenizer that can be read"):
        opened(bundle)
