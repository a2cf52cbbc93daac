"""``/``: one file whose scripts and styles are those that its policy names."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_it_loads_nothing_and_runs_only_its_own_scripts(tiny_bundle: Path, path: str) -> None:
    client = TestClient(create_app({"tiny": tiny_bundle}, Settings(api_key="secret", preload=False)))
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert texts
        assert " ".join([f"{tag}-src", *(f"'sha256-{each}'" for each in digests)]) + ";" in policy
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="(?!data:)|style="|\son\w+="', answer.text)


def test_the_page_is_small(tiny_bundle: Path) -> None:
    client = TestClient(create_app({"tiny": tiny_bundle}, Settings(preload=False)))
    assert len(client.get("/").content) < 80_000
