"""How much memory a deep cache takes: the features that rows keep between calls, and the shallow graph's weights."""

from ...bundle.bundle import Bundle
from ...bundle.layout import DEEP_FEATURES, SHALLOW_MODEL, UNET
from ...graphs.external_data import external_bytes
from ...graphs.inputs import declared_inputs

_DEFAULT_CHANNELS = 320


def features_row(bundle: Bundle, height: int, width: int) -> int:
    """The bytes that a row keeps, for a sample of ``height`` and ``width``; 0 for a bundle without a shallow graph.

    The features of the outermost blocks have the sample's sides. They are there twice where the rows of a shallow call
    come from several whole ones.
    """
    if not bundle.has_shallow_graph:
        return 0
    features = declared_inputs(bundle.folder / UNET.name / SHALLOW_MODEL)[DEEP_FEATURES]
    channels = features.shape[1]
    known = channels if isinstance(channels, int) else _DEFAULT_CHANNELS
    return 2 * known * height * width * (2 if features.is_half else 4)


def shallow_weights(bundle: Bundle) -> int:
    """The private bytes of the open shallow graph, whose weights are copied; 0 for a bundle without one."""
    if not bundle.has_shallow_graph:
        return 0
    graph = bundle.folder / UNET.name / SHALLOW_MODEL
    return 2_000_000 + 21 * (graph.stat().st_size + external_bytes(graph)) // 20
