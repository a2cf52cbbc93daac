"""One CLIP text encoder: its tokenizer and its graph."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..bundle.json_files import read_optional
from ..bundle.layout import CONFIG, Component, is_lora_input
from ..bundle.lora_slots import read_slots
from ..errors import BundleError, ConfigError, PredictionError, listed
from ..lora.bank import LoraBank, Loras, open_bank
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session
from .chunks import Chunk
from .final_norm import final_norm
from .tokenizer import ClipTokenizer
from .weights import apply_weights

_CACHED_CHUNKS = 64  # of SDXL's two encoders 40 MB together


class Encoding(NamedTuple):
    """The outputs of a text encoder for one chunk. The arrays are shared: do not write to them."""

    hidden: NDArray[np.float32]
    """(tokens, width)"""
    pooled: NDArray[np.float32] | None
    """(width,): the output ``text_embeds``; None for an encoder without it."""


class ClipTextModel:
    """A text encoder with its tokenizer. It caches the outputs of recent chunks.

    With ``penultimate`` it returns the hidden states before the last layer, as SDXL uses them; otherwise the last,
    normalized ones, as Stable Diffusion 1 and 2 use them. ``bank`` fills its LoRA slots; None for a graph without.
    Raises BundleError for a graph without that output.
    """

    def __init__(
        self, tokenizer: ClipTokenizer, session: Session, *, penultimate: bool, bank: LoraBank | None = None
    ) -> None:
        self.tokenizer, self.session = tokenizer, session
        self._hidden_name = _states(session)[-2] if penultimate else _named(session, "last_hidden_state")
        self._check_input()
        self._check_outputs()
        # The cache must not refer to self: a reference cycle would keep the session alive until a garbage collection.
        run = functools.partial(_run, session, self._hidden_name, bank)
        self._encoding = functools.lru_cache(maxsize=_CACHED_CHUNKS)(run)

    @property
    def width(self) -> int | str:
        """Width of the hidden states; a name where the graph does not fix it."""
        return self.session.outputs[self._hidden_name].shape[-1]

    @property
    def pooled_width(self) -> int | str:
        """Width of the pooled output. BundleError for a graph without one."""
        return self.session.outputs[_named(self.session, "text_embeds")].shape[-1]

    def encode(self, chunk: Chunk, skip: int = 0, loras: Loras = ()) -> Encoding:
        """Encode a chunk with the adapters ``loras``, and apply its weights to the hidden states.

        The pooled output is not weighted. ``skip``: the hidden states are those of so many layers before, normalized if
        the last ones are. ConfigError where the encoder has not so many layers.
        """
        encoding = self._encoding(chunk.tokens, skip, loras)
        return encoding._replace(hidden=apply_weights(encoding.hidden, chunk.weights))

    def _check_input(self) -> None:
        length = self.tokenizer.length
        info = self.session.inputs.get("input_ids")
        others = [name for name in self.session.inputs if name != "input_ids" and not is_lora_input(name)]
        if info is None or others:
            names = listed(self.session.inputs)
            raise BundleError(
                f"{self.session.name} must have input_ids as its only input, and it has {names}: export it again"
            )
        if not info.fits((1, length)):
            raise BundleError(
                f"{self.session.name}'s input {info} does not take the {length} tokens of its tokenizer: "
                "one of the two is from another model"
            )

    def _check_outputs(self) -> None:
        for name, rank in ((self._hidden_name, 3), ("text_embeds", 2)):
            info = self.session.outputs.get(name)
            if info is not None and len(info.shape) != rank:
                raise BundleError(
                    f"{self.session.name}'s output {info} must have {rank} axes, the last its width: export it again"
                )


def _run(
    session: Session, hidden_name: str, bank: LoraBank | None, tokens: tuple[int, ...], skip: int, loras: Loras
) -> Encoding:
    slots = {} if bank is None else bank.feeds([loras])
    outputs = session.run({"input_ids": np.array([tokens]), **slots})
    pooled = outputs.get("text_embeds")
    hidden = _row(outputs[hidden_name], session)
    if skip:
        hidden = _earlier(session, {name: value[0] for name, value in outputs.items()}, hidden_name, skip)
    return Encoding(hidden, None if pooled is None else _row(pooled, session))


def _earlier(
    session: Session, outputs: Mapping[str, NDArray[np.floating]], hidden_name: str, skip: int
) -> NDArray[np.float32]:
    """The hidden states of ``skip`` layers before those of ``hidden_name``."""
    states = _states(session)
    normed = hidden_name not in states
    used = states if normed else states[:-1]
    if skip >= len(used):
        raise ConfigError(
            f"clip_skip {skip} is too much: {session.name} has {len(used) - 1} layers that can be left out"
        )
    state = outputs[used[-1 - skip]]
    found = final_norm(state, outputs[states[-1]], outputs[hidden_name]) if normed else state.astype(np.float32)
    found.setflags(write=False)
    return found


def _row(output: NDArray[np.floating], session: Session) -> NDArray[np.float32]:
    row: NDArray[np.float32] = output[0].astype(np.float32)
    if not np.isfinite(row).all():
        raise PredictionError(
            f"{session.name} returned NaN or infinity: its weights or its precision are wrong. Export it in fp32"
        )
    row.setflags(write=False)
    return row


def open_text_model(folder: Path, encoder: Component, sessions: Sessions, *, penultimate: bool) -> ClipTextModel:
    """Check and open a text encoder of a bundle, with its tokenizer. Raises BundleError or ProviderError."""
    session = sessions.open(folder / encoder.graph, folder)
    reader = ClipTokenizer(folder / encoder.companion)
    config = read_optional(folder / encoder.name / CONFIG)
    _check_config(config, reader, encoder.name)
    bank = open_bank(folder, session, read_slots(config))
    return ClipTextModel(reader, session, penultimate=penultimate, bank=bank)


def _check_config(config: Mapping[str, Any], tokenizer: ClipTokenizer, name: str) -> None:
    """BundleError for a tokenizer with more tokens than the encoder has. The graph would fail later and unclearly."""
    sizes = {"vocab_size": tokenizer.vocabulary_size, "max_position_embeddings": tokenizer.length}
    for key, needed in sizes.items():
        known = config.get(key)
        if isinstance(known, int) and known < needed:
            raise BundleError(
                f"{name}/config.json says {key} {known}, and the tokenizer needs {needed}: one of the two is from "
                "another model"
            )


def _named(session: Session, name: str) -> str:
    """``name``, which must be an output of the graph. Raises BundleError."""
    if name not in session.outputs:
        raise BundleError(f"{session.name} has no output {name}, only {listed(session.outputs)}: export it again")
    return name


def _states(session: Session) -> list[str]:
    """The outputs hidden_states.0 (the embeddings) to hidden_states.N (of the last layer). BundleError without them."""
    names = [name for name in session.outputs if re.fullmatch(r"hidden_states\.[0-9]+", name)]
    if len(names) < 2:
        raise BundleError(
            f"{session.name} has no outputs hidden_states.0, hidden_states.1 …, which this UNet, or clip_skip, needs: "
            "export it again with its hidden states"
        )
    return sorted(names, key=lambda name: int(name.rpartition(".")[2]))
