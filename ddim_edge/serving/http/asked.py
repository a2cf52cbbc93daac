"""What a request body asks for: the model, the request and the file format, and what follows from them."""

from dataclasses import dataclass
from typing import Any

from ...bundle.bundle import Bundle
from ...generation.requests.key import image_key
from ...generation.requests.options import recipe_of
from ...generation.requests.origin import Origin
from ...generation.requests.request import Request
from ...generation.requests.step_cache import ImageCalls, network_calls
from ..errors import BadRequest
from ..scheduling.async_engine import AsyncEngine
from ..scheduling.submission import Maker
from .body_to_request import FileFormat, parse_file_format, request_from_body
from .schemas import ImageBody


@dataclass(frozen=True)
class Asked:
    """A checked body."""

    bundle: Bundle
    request: Request
    file_format: FileFormat

    @property
    def calls(self) -> int:
        """Network calls over all images."""
        return network_calls(self.request) * self.request.num_images

    def recipe(self, index: int, maker: Maker) -> dict[str, Any]:
        """The recipe of image ``index``."""
        recipe = recipe_of(self.bundle, self.request, maker.model_sha256, precision=maker.precision)
        return {**recipe, "index": index}

    def told(self, calls: ImageCalls) -> ImageCalls | None:
        """An image's calls, where the response has them: with a step cache."""
        return None if self.request.step_cache is None else calls

    def keys(self, maker: Maker) -> list[str]:
        """The keys of all images, in order; of their files without recipes."""
        return [self.key(index, maker) for index in range(self.request.num_images)]

    def key(self, index: int, maker: Maker) -> str:
        """The key of image ``index``."""
        name, quality, _ = self.file_format
        file = {"format": name, "quality": None if name == "png" else quality, "recipe": False}
        provider, precision = maker.provider, maker.precision
        return image_key(self.recipe(index, maker), index, file, provider=provider, precision=precision)

    def common_fields(self) -> dict[str, str]:
        """The JSON fields of a response that are the same for all images."""
        channels, height, width = self.bundle.image_shape(self.request.height, self.request.width)
        background = "transparent" if channels == 4 else "opaque"
        return {"output_format": self.file_format.name, "size": f"{width}x{height}", "background": background}


def check_body(engine: AsyncEngine, body: ImageBody, origin: Origin | None = None) -> Asked:
    """Check the body; raises RequestError or ConfigError. A body without a seed gets one."""
    bundle = engine.catalogue.find(body.model)
    if bundle.name not in engine.catalogue.image_models:
        raise BadRequest(
            f"{bundle.name} makes arrays, or takes some: ask POST /v2/models/{bundle.name}/infer", param="model"
        )
    file_format = parse_file_format(body)
    request = engine.within_memory(request_from_body(body, bundle, engine.settings, origin), bundle.name)
    return Asked(bundle, request, file_format)
