"""A draft of the bundle: its JSON files and tokenizers, and graphs that declare inputs and outputs but compute nothing.

The runtime opens it before a network is traced, so that the export refuses what the runtime would refuse, and by the
same checks.
"""

import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.layout import (
    CONFIG,
    DENOISER_NAMES,
    GENERATION_CONFIG,
    INDEX,
    MODEL,
    OUTPUT,
    SCHEDULER,
    TEXT_ENCODER_3,
)
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import BundleError, ConfigError

from .component_signature import config_of, signature_of
from .networks.signature import Signature
from .options import Options
from .output.record import write_json
from .sources.copied import copy_folders
from .sources.diffusers_folder import Component, Source
from .sources.new_words import add_tokens
from .sources.pictures import output_of
from .sources.scheduler import Scheduler

_OPSET = 18


def check_runs(source: Source, scheduler: Scheduler, options: Options, defaults: Defaults) -> None:
    """Open a draft of the bundle by the runtime. ConfigError where that fails.

    A bundle without its denoiser or its text encoders is a part of another one: of it, less can be checked.
    """
    names = {component.name for component in source.components}
    if names.isdisjoint(DENOISER_NAMES):
        return
    with tempfile.TemporaryDirectory() as temporary:
        draft = Path(temporary)
        _write(draft, source, scheduler, options)
        write_json(draft / GENERATION_CONFIG, defaults.to_json())
        try:
            needed = [name for name in source.graphs if name.startswith("text_encoder") and name != TEXT_ENCODER_3.name]
            whole = names.issuperset(needed)
            (check_opens if whole else open_bundle)(draft)
        except (BundleError, ConfigError) as error:
            raise ConfigError(f"the bundle would not run: {_named_as_in(source, draft, str(error))}") from None


def check_opens(bundle: Path) -> None:
    """Open a bundle on the CPU as the runtime does. Raises what the runtime raises."""
    # Imported here, because it imports the whole runtime.
    from ddim_edge.generation.pipeline import load

    load(bundle, "cpu", build=False)


def _named_as_in(source: Source, draft: Path, message: str) -> str:
    """The message with the paths of the source instead of those of the draft."""
    return message.replace(str(draft), str(source.folder))


def _write(draft: Path, source: Source, scheduler: Scheduler, options: Options) -> None:
    components = list(source.components)
    if source.autoencoder is not None and all(component.name != "vae_decoder" for component in components):
        # The autoencoder's config says which channels the UNet must have, exported or not.
        decoder = Component(name="vae_decoder", folder=source.folder, config=source.autoencoder, kind="")
        components.append(decoder)
    for component in components:
        _, signature = signature_of(component, source, options)
        write_json(draft / component.name / CONFIG, config_of(component, source, options))
        onnx.save_model(_graph(signature), draft / component.name / MODEL)
    copy_folders(source, draft)
    add_tokens(source, draft)
    write_json(draft / INDEX, source.index)
    write_json(draft / SCHEDULER, scheduler.keys)
    if output_of(source.index):
        write_json(draft / OUTPUT, output_of(source.index))


def _graph(signature: Signature) -> onnx.ModelProto:
    """A graph with the inputs and outputs of a signature. Its outputs mean nothing."""
    batch = 1 if signature.batch is None else signature.batch
    drawn = signature.draw(batch, dict.fromkeys(signature.sizes[0], 1), seed=0)
    inputs = [
        helper.make_tensor_value_info(entry.name, helper.np_dtype_to_tensor_dtype(drawn[entry.name].dtype), entry.axes)
        for entry in signature.inputs
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in signature.outputs.items()]
    nodes = [
        # Random, because ONNX Runtime computes what is constant when it opens the graph.
        helper.make_node("RandomNormal", [], [name], shape=[axis if isinstance(axis, int) else 1 for axis in axes])
        for name, axes in signature.outputs.items()
    ]
    graph = helper.make_graph(nodes, "draft", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
