"""What tests read of the server's answers, and pictures that they send."""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image


def pixels(b64: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64))))


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def refused(response: Any, status: int, *parts: str) -> bool:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return all(part in error["message"] for part in parts)


def picture(size: tuple[int, int], mode: str = "RGB", colour: Any = 200) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()
