"""The baseline, a LitServe server: ``python -m bench.serving.baseline PORT REQUESTS_A_BATCH``.

Settings, each the best that we know for this model on a CPU: one worker, since the network uses all cores; one
HTTP process, LitServe's own advice for one worker; no queue timeout and no bound of the queue, so that nothing is
refused; no request tracking, no access log; uvloop and httptools where they are installed, as for ours. With one
request a batch LitServe runs its loop for single requests, without any wait; with more, it waits at most BATCH_WAIT_S
for a batch to fill, from the moment that the worker is free. Images leave the worker as text that is encoded once.
Requests, engine, samplers, pixels and PNGs are made by the very code of ``ddim-edge serve``.
"""

import base64
import sys
from typing import Any

import litserve

from ddim_edge.arrays import Pixels
from ddim_edge.generation.pipeline import load
from ddim_edge.generation.requests.options import recipe_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.images.encode import png_bytes

from .batches import MODEL, request_of_body, run_to_end

BATCH_WAIT_S = 0.05
Made = tuple[Request, list[Pixels]]


class Baseline(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Runs each batch of requests to its end."""

    def setup(self, device: str) -> None:
        """Open the model, on LitServe's ``device``."""
        pipeline = load(MODEL, device)
        self.denoiser, self.bundle = pipeline.denoiser, pipeline.bundle
        _ = self.bundle.sha256  # it is cached, as in ours

    def decode_request(self, request: dict[str, Any], **_: Any) -> Request:
        """The request of a body."""
        return request_of_body(self.bundle, request)

    def predict(self, x: Request | list[Request], **_: Any) -> Made | list[Made]:
        """One request's images, or each request's of a batch."""
        requests = x if isinstance(x, list) else [x]
        made = list(zip(requests, run_to_end(self.denoiser, self.bundle, requests), strict=True))
        return made if isinstance(x, list) else made[0]

    def encode_response(self, output: Made, **_: Any) -> dict[str, Any]:
        """The response of ``ddim-edge serve``, without a few constants."""
        request, images = output
        recipe = recipe_of(self.bundle, request)
        return {"data": [self._item(image, {**recipe, "index": index}) for index, image in enumerate(images)]}

    def _item(self, image: Pixels, recipe: dict[str, Any]) -> dict[str, Any]:
        return {"b64_json": base64.b64encode(png_bytes(image, recipe)).decode("ascii"), "ddim_edge": recipe}


def main(port: int, requests_a_batch: int) -> None:
    wait = BATCH_WAIT_S if requests_a_batch > 1 else 0.0
    api = Baseline(max_batch_size=requests_a_batch, batch_timeout=wait)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=False)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
