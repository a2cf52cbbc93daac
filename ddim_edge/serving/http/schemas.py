"""JSON schemas of request and response bodies, as in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ...bundle.lora_slots import MAX_SLOTS
from ...diffusion.step_cache import HIGHEST_THRESHOLD
from ...errors import LONGEST_SHOWN
from ...generation.requests.option_table import http_options
from ...generation.requests.other_names import OTHER_NAMES, right_name
from ...lora.scale import LARGEST_SCALE
from ..scheduling.submission import State

MAX_PROMPT = 4000
MAX_SEED = 2**53 - 1 - 10
"""So that the seeds of ten images are exact in JSON readers that use float64."""

UNKNOWN_OPTION = "unknown_parameter"
"""The type of the validation error for unknown options, and OpenAI's ``code`` for it."""

_HTTP_OPTIONS = http_options()
_FIELDS = {option.name: field for field, option in _HTTP_OPTIONS.items()}
_OTHER_NAMES = {
    **{name: _FIELDS[option] for name, option in OTHER_NAMES.items() if option in _FIELDS},
    **_FIELDS,
    **dict.fromkeys(("width", "height"), "size"),
}
"""The field for each name of diffusers and of the Python API."""
IGNORED = ("quality", "style", "background", "input_fidelity", "moderation", "user")
"""Fields that OpenAI's clients send, and that change nothing here."""
OutputFormat = Literal["png", "jpeg", "webp"]
_PROMPT = "A text; for a class-conditional model class names between commas, empty or `random` for random classes."
Label = Annotated[str, Field(max_length=200)] | Annotated[int, Field(ge=0, le=2**31)]


def _option(name: str, **limits: Any) -> Any:
    """The field of a generation option, with its help text; ``limits``: pydantic's, for what this API takes."""
    return Field(None, description=_HTTP_OPTIONS[name].help, **limits)


def _ignored() -> Any:
    """A field that OpenAI's clients send, and that changes nothing here."""
    return Field(None, max_length=1000, description="Ignored: the header X-Ignored-Fields names it.")


class Fields(BaseModel):
    """Options by name, where an unknown one is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Any) -> Any:
        """One error for all unknown options: pydantic's own is one for each, and there may be thousands."""
        unknown = [name for name in values if name not in cls.model_fields] if isinstance(values, dict) else []
        if unknown:
            # Without lone surrogates, for which pydantic's own code fails.
            name = unknown[0][:LONGEST_SHOWN].encode("utf-8", "backslashreplace").decode()
            more = len(unknown) - 1
            here = right_name(name, cls.model_fields, _OTHER_NAMES)
            hint = f"; use {here}" if name in _OTHER_NAMES and here else f"; did you mean {here}?" if here else ""
            message = f"{name}: unknown option" + (f", and {more} more" if more else "") + hint
            raise PydanticCustomError(UNKNOWN_OPTION, "{message}", {"name": name, "message": message})
        return values


class LoraBody(BaseModel):
    """A LoRA of the model, and its scale."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(max_length=64)
    scale: float = Field(1.0, ge=-LARGEST_SCALE, le=LARGEST_SCALE)


class ImageBody(Fields):
    """The JSON body of a request for images: OpenAI's options, then this server's own."""

    prompt: str = Field("", max_length=MAX_PROMPT, description=_PROMPT)
    model: str | None = Field(None, max_length=200)
    n: int | None = _option("n", ge=1, le=10)
    size: str | None = Field(None, max_length=20, description="WIDTHxHEIGHT, or `auto` for the model's own.")
    response_format: Literal["b64_json", "url"] | None = Field(None, description="`url`: kept for some time.")
    output_format: OutputFormat | None = None
    output_compression: int | None = Field(None, ge=0, le=100, description="The quality of JPEG and WebP.")
    quality: str | None = _ignored()
    style: str | None = _ignored()
    background: str | None = _ignored()
    input_fidelity: str | None = _ignored()
    moderation: str | None = _ignored()
    user: str | None = _ignored()
    negative_prompt: str | None = _option("negative_prompt", max_length=MAX_PROMPT)
    long_prompt: bool | None = _option("long_prompt")
    prompt_weights: bool | None = _option("prompt_weights")
    clip_skip: int | None = _option("clip_skip", ge=0, le=100)
    labels: list[Label] | None = _option("labels", min_length=1, max_length=10)
    seed: int | None = _option("seed", ge=0, le=MAX_SEED)
    num_inference_steps: int | None = _option("num_inference_steps", ge=1, le=100_000)
    guidance_scale: float | None = _option("guidance_scale", ge=0, le=1e6)
    guidance_mode: str | None = _option("guidance_mode", max_length=100)
    image_guidance_scale: float | None = _option("image_guidance_scale", ge=1, le=1e6)
    noise_level: int | None = _option("noise_level", ge=0, le=100_000)
    sampler: str | None = _option("sampler", max_length=100)
    eta: float | None = _option("eta", ge=0, le=1)
    preset: str | None = _option("preset", max_length=100)
    cache: str | None = _option("cache", max_length=100)
    cache_threshold: float | None = _option("cache_threshold", ge=0, le=HIGHEST_THRESHOLD)
    loras: list[LoraBody] | None = _option("loras", max_length=MAX_SLOTS)
    timeout_s: float | None = Field(None, ge=1, le=1e9, description="Seconds; at most the server's limit.")


class GenerationBody(ImageBody):
    """The body of ``POST /v1/images/generations``."""

    stream: bool | None = None
    partial_images: int | None = Field(None, ge=0, le=3)


class EditBody(GenerationBody):
    """The text fields of ``POST /v1/images/edits``."""

    strength: float | None = _option("strength", gt=0, le=1)
    control_scale: list[float] | None = _option("control_scale", min_length=1, max_length=4)
    ip_adapter_scale: list[float] | None = _option("ip_adapter_scale", min_length=1, max_length=4)


class VariationBody(ImageBody):
    """The text fields of ``POST /v1/images/variations``."""

    strength: float | None = _option("strength", gt=0, le=1)


class ErrorDetail(BaseModel):
    """An error in OpenAI's format."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


class Calls(BaseModel):
    """An image's calls: those of the whole network, and those that the step cache answered."""

    whole: int
    cached: int


class ImageItem(BaseModel):
    """One image, as ``b64_json`` or ``url``; ``ddim_edge`` is the recipe to make it again."""

    b64_json: str | None = None
    url: str | None = None
    is_safe: bool | None = None
    """Only for models with a safety checker; an unsafe image is black."""
    calls: Calls | None = None
    """Only with `cache`."""
    ddim_edge: dict[str, Any]


class ImagesBody(BaseModel):
    """Finished images."""

    created: int
    data: list[ImageItem]
    output_format: OutputFormat
    size: str
    background: Literal["opaque", "transparent"]
    quality: None = None


class ModelExtension(BaseModel):
    """What a model supports, and its defaults."""

    text: bool
    labels: list[str]
    samplers: list[str]
    caches: list[str]
    sampler: str | None
    num_inference_steps: int
    guidance: bool
    guidance_scale: float
    negative_prompt: bool
    default_negative_prompt: str | None
    size: tuple[int, int]
    size_multiple: int


class ModelBody(BaseModel):
    """One model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    ddim_edge: ModelExtension


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[ModelBody]


class Progress(BaseModel):
    """Network calls over all images of a job."""

    calls: int
    total: int


class JobBody(BaseModel):
    """A job of ``/v1/jobs``."""

    id: str
    object: Literal["image.job"]
    model: str
    created: int
    status: State
    progress: Progress
    previews: list[str] | None = None
    result: ImagesBody | None = None
    error: ErrorDetail | None = None


class ErrorText(BaseModel):
    """The body of an error response under `/v2`, in KServe's form."""

    error: str


def errors(*statuses: int, model: type[BaseModel] = ErrorBody) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for the OpenAPI document."""
    return {status: {"model": model} for status in statuses}
