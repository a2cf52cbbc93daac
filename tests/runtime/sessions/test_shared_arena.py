"""Which sessions share the arena, and that their results are the same."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddim_edge.bundle.layout import UNET
from ddim_edge.runtime.sessions import first_build
from ddim_edge.runtime.sessions import pool as pools
from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.runtime.sessions.session import Session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="unused address space is free on Linux")


def shares(session: Session) -> bool:
    raw: Any = session.raw
    options = raw.get_session_options()
    try:
        return bool(
            options.get_session_config_entry("session.use_env_allocators") == "1" and not options.enable_mem_pattern
        )
    except RuntimeError:  # the entry is not set
        return False


def opened(bundle: Path, **options: Any) -> Session:
    return Sessions("cpu", **options).open(bundle / UNET.graph, bundle, each_step=True)


def test_calls_are_the_same(tiny_bundle: Path) -> None:
    lean, usual = opened(tiny_bundle, lean=True), opened(tiny_bundle)
    assert (shares(lean), shares(usual)) == (True, False)
    shape = [side if isinstance(side, int) else 2 for side in lean.inputs["sample"].shape]
    sample = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    feeds = {"sample": sample, "timestep": np.array([7, 8]), "class_labels": np.array([0, 1])}
    for _ in range(3):
        found, wanted = lean.run(feeds), usual.run(feeds)
        np.testing.assert_array_equal(found["out_sample"], wanted["out_sample"])


def test_networks_of_a_large_bundle_share_it(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_build, "LARGE", 0)
    monkeypatch.setattr(first_build.FirstBuild, "ensure", lambda *_: None)
    assert shares(opened(tiny_bundle))
    monkeypatch.setattr(pools, "runs_on_cpu", lambda _device: False)
    assert not shares(opened(tiny_bundle))
