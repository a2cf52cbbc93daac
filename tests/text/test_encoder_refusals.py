"""Bundles whose text side does not fit together, prompts that are none: what the text encoder says of them."""

from collections.abc import Mapping
from typing import Any

import onnx
import pytest

from ddim_edge.errors import BundleError, ConfigError, PredictionError
from ddim_edge.runtime.sessions.tensors import TensorInfo
from ddim_edge.text import Prompt, SizeHints
from tests.helpers.tiny_bundles import write_json

from .conftest import NewBundle
from .tiny_encoders import SD, SD_UNET, SDXL, SDXL_UNET, WIDTH, open_encoder, tiny_encoder, unet_inputs

CAT = 2368
HINTS = SizeHints(target=(48, 64))


def test_encoders_of_two_lengths_are_an_error(new_bundle: NewBundle) -> None:
    folder = new_bundle(tiny_encoder(SDXL), tiny_encoder(SDXL))
    write_json(folder / "tokenizer" / "tokenizer_config.json", {"model_max_length": 8})
    with pytest.raises(BundleError, match=r"chunks of \{8, 77\} tokens: one of them is from another model"):
        open_encoder(folder, SDXL_UNET)


def test_nan_is_an_error(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(poison=CAT)))
    encoder.encode(Prompt(text="dog"), HINTS)
    with pytest.raises(PredictionError, match="text_encoder returned NaN or infinity"):
        encoder.encode(Prompt(text="dog", negative="cat"), HINTS)


@pytest.mark.parametrize(
    ("first", "second", "wanted", "message"),
    [
        (None, None, SD_UNET, r"has no text_encoder/model\.onnx, and its unet takes text"),
        (
            tiny_encoder(),
            None,
            unet_inputs(encoder_hidden_states=5),
            "hidden_states of width 5, .* give 3: one of its",
        ),
        (tiny_encoder(), tiny_encoder(), SD_UNET, "takes encoder_hidden_states of width 3, .* give 6"),
        (tiny_encoder(SDXL), None, SDXL_UNET, "takes encoder_hidden_states of width 6, .* give 3"),
        (tiny_encoder(SDXL), tiny_encoder(SDXL[1:]), SDXL_UNET, "text_encoder_2 has no output text_embeds, only last_"),
        (tiny_encoder(SD), tiny_encoder(SDXL), SDXL_UNET, r"text_encoder has no outputs hidden_states\.0, hidden"),
        (tiny_encoder(SDXL[2:]), None, SD_UNET, "text_encoder has no output last_hidden_state, only hidden"),
        (
            tiny_encoder(SDXL),
            tiny_encoder(SDXL),
            unet_inputs(encoder_hidden_states=6, text_embeds=3, time_ids=5),
            "takes time_ids of width 5, and the bundle's text encoders give 6",
        ),
        (tiny_encoder(tokens=64), None, SD_UNET, r"input input_ids int64 \(batch, 64\) does not take the 77 tokens"),
        (
            tiny_encoder(more_inputs=", int64[batch, sequence] attention_mask"),
            None,
            SD_UNET,
            "must have input_ids as its only input, and it has input_ids, attention_mask",
        ),
    ],
)
def test_parts_that_do_not_fit_are_an_error(
    new_bundle: NewBundle,
    first: onnx.ModelProto | None,
    second: onnx.ModelProto | None,
    wanted: Mapping[str, TensorInfo],
    message: str,
) -> None:
    with pytest.raises(BundleError, match=message):
        open_encoder(new_bundle(first, second), wanted)


def test_a_component_that_the_index_names_must_be_there(new_bundle: NewBundle) -> None:
    index = {"text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModel"]}
    folder = new_bundle(None, tiny_encoder(SDXL), **index)
    with pytest.raises(BundleError, match=r"text_encoder/model\.onnx is missing, and model_index\.json names it"):
        open_encoder(folder, unet_inputs(encoder_hidden_states="w", text_embeds="w"))


def test_a_component_that_the_index_calls_null_is_not_missed(new_bundle: NewBundle) -> None:
    folder = new_bundle(None, tiny_encoder(SDXL), text_encoder=[None, None])
    wanted = unet_inputs(encoder_hidden_states=WIDTH, text_embeds=WIDTH)
    assert list(open_encoder(folder, wanted).encode(Prompt(text="cat"), HINTS).conditioning) == [
        "encoder_hidden_states",
        "text_embeds",
    ]


@pytest.mark.parametrize(("key", "value"), [("vocab_size", 1000), ("max_position_embeddings", 64)])
def test_an_encoder_that_knows_too_little_is_an_error(new_bundle: NewBundle, key: str, value: int) -> None:
    folder = new_bundle(tiny_encoder())
    write_json(
        folder / "text_encoder" / "config.json", {"vocab_size": 49408, "max_position_embeddings": 77, key: value}
    )
    with pytest.raises(BundleError, match=rf"text_encoder/config\.json says {key} {value}, and the tokenizer needs"):
        open_encoder(folder)


def test_a_graph_that_is_none_is_named(new_bundle: NewBundle) -> None:
    folder = new_bundle(tiny_encoder())
    (folder / "text_encoder" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"text_encoder/model\.onnx is not an ONNX graph"):
        open_encoder(folder)


@pytest.mark.parametrize("value", [None, 3, b"cat", ["cat"]])
def test_a_prompt_must_be_a_text(value: Any) -> None:
    with pytest.raises(ConfigError, match="a prompt must be a text, not"):
        Prompt(text=value)
    if value is not None:
        with pytest.raises(ConfigError, match="a negative prompt must be a text, not"):
            Prompt(text="cat", negative=value)


def test_a_prompt_must_be_unicode() -> None:
    with pytest.raises(ConfigError, match="a prompt must be valid Unicode, and its character 4 is not"):
        Prompt(text=b"caf\xe9".decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("size", [512, (512,), (0, 8), (8.0, 8), [8, 8], (True, 8)])
def test_size_hints_must_be_sizes(size: Any) -> None:
    with pytest.raises(ConfigError, match="the size hint target must be"):
        SizeHints(target=size)
