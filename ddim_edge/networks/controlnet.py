"""ControlNets (Zhang et al. 2023, https://arxiv.org/abs/2302.05543): steer the UNet with an image.

Each takes the UNet's inputs and its own image. Its outputs, times its strength, are added to the UNet's skip
connections and middle block; they have the names of the UNet's inputs. The outputs of several ControlNets are summed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..arrays import Array
from ..bundle.control_config import ControlConfig
from ..bundle.layout import CONTROL_INPUTS, MODEL
from ..errors import BundleError, listed
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Feed, Session
from .conditioning_cache import ConditioningCache

_IMAGE = "controlnet_cond"


class ControlNets:
    """The ControlNets of a bundle, none or several. BundleError or ProviderError if one cannot be opened."""

    def __init__(self, folder: Path, configs: Sequence[ControlConfig], sessions: Sessions) -> None:
        paths = [folder / config.name / MODEL for config in configs]
        opened = [sessions.open(path, folder, each_step=True, keep_open=True) for path in paths]
        self._nets = list(zip(configs, opened, strict=True))
        self._conditioning_cache = ConditioningCache()

    def __len__(self) -> int:
        return len(self._nets)

    def check_fit(self, unet: Session) -> None:
        """Raise BundleError unless their outputs are inputs of the UNet, and they take its inputs and an image."""
        wanted = {name for name in unet.inputs if name.startswith(CONTROL_INPUTS)}
        if wanted and not self._nets:
            raise BundleError(
                "the unet takes the outputs of a ControlNet, and the bundle has no controlnet/model.onnx: export or "
                "copy controlnet again"
            )
        for config, session in self._nets:
            if not wanted:
                raise BundleError(f"the unet has no inputs for the outputs of {config.name}: export both together")
            if len(getattr(session.inputs.get("sample"), "shape", ())) != 4:
                raise BundleError(f"{config.name} takes no sample of (batch, channels, height, width): export it again")
            if session.outputs.keys() != wanted or session.inputs.keys() - unet.inputs.keys() != {_IMAGE}:
                raise BundleError(
                    f"{config.name} takes {listed(session.inputs)} and returns {listed(session.outputs)}: "
                    "that does not fit the unet. Export both from the same model"
                )

    def mark_fp16_checked(self) -> None:
        """Turn off the fp16 checks: an image has been completed."""
        for _, session in self._nets:
            session.needs_fp16_check = False

    def check_files(self) -> None:
        """BundleError where a file of a ControlNet was overwritten."""
        for _, session in self._nets:
            session.check_files()

    def residuals(self, feeds: Mapping[str, Array], conditions: Sequence[Mapping[str, Array]]) -> Mapping[str, Feed]:
        """The summed outputs for the UNet's ``feeds``, by the names of the UNet's inputs; empty without ControlNets.

        ``conditions``: for each row of the feeds, each ControlNet's image and strength. The outputs of a single one at
        strength 1 stay on the device, unless fp16 still has to be checked.
        """
        total: dict[str, Array] = {}
        for config, session in self._nets:
            images, scales = (
                self._conditioning_cache.batch(key, [condition[key] for condition in conditions])
                for key in (config.image_key, config.scale_key)
            )
            own = _controlnet_feeds(session, feeds, images)
            if len(self._nets) == 1 and not session.needs_fp16_check and (scales == 1).all():
                return session.run_on_device(own, list(session.outputs))
            for name, value in session.run(own).items():
                part = scales.reshape(-1, 1, 1, 1) * value
                total[name] = total[name] + part if name in total else part
        return total


def _controlnet_feeds(session: Session, feeds: Mapping[str, Array], images: Array) -> dict[str, Array]:
    """The inputs of a ControlNet: those of the UNet, without an inpainting UNet's extra channels, and its images."""
    channels = session.inputs["sample"].shape[1]
    sample = feeds["sample"][:, :channels] if isinstance(channels, int) else feeds["sample"]
    given = {**feeds, "sample": sample, _IMAGE: images}
    return {name: given[name] for name in session.inputs}
