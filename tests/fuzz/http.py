"""Plays requests against the application in this process, without a socket, and judges the answers."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from fastapi import FastAPI

from ddim_edge.serving import Settings, create_app
from tests.helpers.array_bundles import array_model, write_array_bundle
from tests.helpers.policy_bundles import write_policy
from tests.helpers.tiny_bundles import write_bundle

from .bodies import Asked
from .guard import Hung, guarded
from .played import LONGEST_LINE, Played

SETTINGS = Settings(max_steps=8, max_body_bytes=2**20, timeout_s=10.0, job_timeout_s=10.0, provider="cpu")
"""What happens to be valid is made, and should not take long."""


@contextmanager
def server() -> Iterator[Callable[[Asked], Played]]:
    """An application with a tiny model of each kind; yields the function that plays a request."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        bundle = write_bundle(Path(folder) / "bundle", labels=("bag", "sneaker", "coat"))
        arrays = write_array_bundle(Path(folder) / "arrays", (6, 2), array_model((6, 2), condition=3))
        app = create_app(
            {"fashion-mnist": bundle, "arrays": arrays, "push": write_policy(Path(folder) / "push")}, SETTINGS
        )
        engine = app.state.engine
        runner.run(engine.__aenter__())
        try:
            yield lambda asked: _play(runner, app, asked)
        finally:
            runner.run(engine.__aexit__(None, None, None))


def _play(runner: asyncio.Runner, app: FastAPI, asked: Asked) -> Played:
    try:
        with guarded(Path(tempfile.gettempdir())) as faults:  # where large uploads lie
            response = runner.run(_answer(app, asked))
    except Hung as hung:
        return Played("hung", str(hung))
    except Exception as error:  # whatever it was, there is no answer
        return Played("no answer", repr(error))
    return Played(str(response.status_code), "; ".join(faults) or _fault(response))


async def _answer(app: FastAPI, asked: Asked) -> httpx2.Response:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        headers = {"Content-Type": asked.content_type, **dict(asked.headers)}
        return await client.request(asked.method, asked.path, content=asked.body, headers=headers)


def _fault(response: httpx2.Response) -> str | None:
    """What is wrong with an answer, if anything."""
    status = response.status_code
    if status < 400:
        return None if _is_whole(response) else f"status {status}, and {response.content[:200]!r}"
    if status >= 500 and status != 504:  # which the request may ask for
        return f"status {status}: {response.content[:300]!r}"
    message = message_in(response.content)
    if message is None:
        return f"status {status} without an error object: {response.content[:200]!r}"
    return f"a message of {len(message)} characters: {message[:200]}" if len(message) > LONGEST_LINE else None


def message_in(body: bytes) -> str | None:
    """The message of an error in OpenAI's shape, or in KServe's; None where the body is no such error."""
    try:
        error = json.loads(body)["error"]
        message = error if isinstance(error, str) else error["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return message if isinstance(message, str) else None


def _is_whole(response: httpx2.Response) -> bool:
    """Whether a body is what its type says: JSON, or events of which the last one says that all is done."""
    if "event-stream" in response.headers["content-type"]:
        return response.content.endswith(b"\n\n")
    try:
        length = response.headers.get("inference-header-content-length")
        return isinstance(json.loads(response.content[: None if length is None else int(length)]), dict)
    except ValueError:
        return False
