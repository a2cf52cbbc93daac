"""Encodes prompts: runs a bundle's text encoders and returns the text inputs of its UNet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..arrays import Array, Conditioning
from ..bundle.json_files import read_optional
from ..bundle.layout import INDEX, POOLED_TEXT, TEXT_ENCODER, TEXT_ENCODER_2, TEXT_ENCODER_3, TEXT_INPUTS, Component
from ..errors import BundleError
from ..lora.bank import Loras
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.tensors import TensorInfo
from .chunks import Chunk, split_into_chunks
from .clip_text_model import ClipTextModel, open_text_model
from .joint_text import joint_text
from .prompt import Prompt
from .size_hints import BAD_SCORE, GOOD_SCORE, SizeHints
from .t5_text_model import T5TextModel, open_t5_text_model
from .weights import without_weights


class Conditions(NamedTuple):
    """A UNet's text inputs for one image, each with a batch axis of 1. The arrays are shared: do not write to them."""

    conditioning: Conditioning
    unconditional: Conditioning | None
    """For the unconditional prediction; None without guidance."""


class TextEncoder:
    """Encodes prompts for one UNet, and caches recent results.

    A UNet with the input ``text_embeds`` (SDXL) gets it from the last encoder, and the hidden states before the last
    layer of all encoders, concatenated along the width. A transformer with ``pooled_projections`` (Stable Diffusion 3)
    gets the pooled outputs of all CLIP encoders in them, and hidden states as ``JointText`` joins them. Any other UNet
    (Stable Diffusion 1 and 2) gets the last hidden states of the only encoder.
    """

    def __init__(
        self,
        text_models: Sequence[ClipTextModel],
        unet_inputs: Mapping[str, TensorInfo],
        index: Mapping[str, Any],
        t5: T5TextModel | None = None,
    ) -> None:
        """``unet_inputs``: all of the UNet's; ``index``: model_index.json. BundleError where widths do not match."""
        self._text_models = text_models
        self._joint = joint_text(text_models, t5, unet_inputs)
        self._names = [name for name in TEXT_INPUTS if name in unet_inputs]
        self._scored = bool(index.get("requires_aesthetics_score"))
        self._zeros = "text_embeds" in unet_inputs and bool(index.get("force_zeros_for_empty_prompt", True))
        self._check_widths(unet_inputs)

    @classmethod
    def open(cls, folder: Path, unet_inputs: Mapping[str, TensorInfo], sessions: Sessions) -> Self:
        """Open the text encoders and tokenizers of a bundle; BundleError or ProviderError where that fails."""
        index = read_optional(folder / INDEX)
        encoders = [component for component in (TEXT_ENCODER, TEXT_ENCODER_2) if _is_there(folder, index, component)]
        if not encoders:
            raise BundleError(f"{folder} has no {TEXT_ENCODER.graph}, and its unet takes text: export it again")
        penultimate = bool({"text_embeds", POOLED_TEXT} & unet_inputs.keys())
        text_models = [open_text_model(folder, encoder, sessions, penultimate=penultimate) for encoder in encoders]
        t5 = None
        if POOLED_TEXT in unet_inputs and _is_there(folder, index, TEXT_ENCODER_3):
            t5 = open_t5_text_model(folder, TEXT_ENCODER_3, sessions, masked=False)
        return cls(text_models, unet_inputs, index, t5)

    def encode(self, prompt: Prompt, hints: SizeHints, *, guided: bool = True) -> Conditions:
        """The text inputs of one image, float32; without ``guided`` only those of the prompt itself.

        ``encoder_hidden_states`` is (1, 77 times the number of chunks, width), the same for prompt and negative prompt.
        A TruncationWarning says what was cut off. Raises ConfigError for an invalid weight, PredictionError for NaN.
        """
        texts = [prompt.text, prompt.negative or ""] if guided else [prompt.text]
        plain = list(map(without_weights, texts)) if prompt.weighted else texts
        chunks = split_into_chunks(prompt, texts, [model.tokenizer for model in self._text_models])
        encoded = self._encode(chunks[0], plain[0], prompt.clip_skip, prompt.loras)
        conditioning = self._inputs(encoded, hints, GOOD_SCORE)
        if not guided:
            return Conditions(conditioning, None)
        zeros = prompt.negative is None and self._zeros
        negative = [np.zeros_like(output) for output in encoded]
        if not zeros:
            negative = self._encode(chunks[1], plain[1], loras=prompt.loras)
        return Conditions(conditioning, self._inputs(negative, hints, BAD_SCORE))

    def _encode(self, chunks: Sequence[Sequence[Chunk]], plain: str, skip: int = 0, loras: Loras = ()) -> list[Array]:
        """A text's hidden states, (1, tokens, width), and the last encoder's pooled output of the first chunk, if any.

        Joint text has the pooled outputs of all encoders side by side. ``chunks`` are indexed [encoder][chunk];
        ``plain`` is the text without weights. ``skip``: the number of last layers that are left out.
        """
        pairs = zip(self._text_models, chunks, strict=True)
        encodings = [[model.encode(chunk, skip, loras) for chunk in found] for model, found in pairs]
        hidden = [np.concatenate([encoding.hidden for encoding in found]) for found in encodings]
        joined, pooled = np.concatenate(hidden, axis=1), encodings[-1][0].pooled
        if self._joint is not None:
            joined = self._joint.joined(joined, plain)
            pooled = np.concatenate([found[0].pooled for found in encodings if found[0].pooled is not None])
        return [output[np.newaxis] for output in (joined, pooled) if output is not None]

    def _inputs(self, encoded: Sequence[Array], hints: SizeHints, score: float) -> dict[str, Array]:
        given = dict(zip(TEXT_INPUTS, encoded, strict=False))
        given[POOLED_TEXT] = encoded[-1]
        given["time_ids"] = hints.time_ids(score if self._scored else None)
        return {name: given[name] for name in self._names}

    def _check_widths(self, unet_inputs: Mapping[str, TensorInfo]) -> None:
        lengths = {model.tokenizer.length for model in self._text_models}
        if len(lengths) > 1:
            raise BundleError(f"the tokenizers make chunks of {lengths} tokens: one of them is from another model")
        if self._joint is not None:
            return  # ``joint_text`` has checked them
        widths = [model.width for model in self._text_models]
        known = [width for width in widths if isinstance(width, int)]
        given: dict[str, int | str] = {
            "encoder_hidden_states": sum(known) if len(known) == len(widths) else "?",
            "text_embeds": self._text_models[-1].pooled_width if "text_embeds" in unet_inputs else "?",
            "time_ids": 5 if self._scored else 6,
        }
        for name in self._names:
            want = (unet_inputs[name].shape or ("?",))[-1]
            give = given[name]
            if isinstance(want, int) and isinstance(give, int) and want != give:
                raise BundleError(
                    f"the unet takes {name} of width {want}, and the bundle's text encoders give {give}: "
                    "one of its components is from another model"
                )


def _is_there(folder: Path, index: Mapping[str, Any], component: Component) -> bool:
    """Whether the bundle has a component; BundleError where its index names one that is not there."""
    there, name = component.is_in(folder), component.name
    named = index.get(name)  # library and class, or twice null where the model has none
    if isinstance(named, Sequence) and any(named) and not there:
        raise BundleError(f"{folder / component.graph} is missing, and {INDEX} names it: export or copy {name} again")
    return there
