"""Many requests at once: they share network calls, come as they end, and fail alone."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.requests.request import Request
from ddim_edge.images.encode import read_recipe
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import LABELS, tiny_model


@pytest.fixture
def counted(tiny_bundle: Path) -> tuple[ddim_edge.Pipeline, CountingSession]:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    session = CountingSession(tiny_bundle / "unet" / "model.onnx")
    pipeline.denoiser.session = session
    return pipeline, session


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


def different(pipeline: ddim_edge.Pipeline) -> list[Request]:
    return [
        pipeline.request(labels=["dog"], num_steps=4, seed=3, num_images=2),
        pipeline.request(labels=["cat"], num_steps=2, seed=9, guidance_scale=2.0),
        pipeline.request(num_steps=3, sampler="euler", seed=5),
    ]


@pytest.mark.parametrize("max_rows", [1, 3, None])
def test_images_are_those_of_generate(pipeline: ddim_edge.Pipeline, max_rows: int | None) -> None:
    requests = different(pipeline)
    made = {(at, item.index): item for at, item in pipeline.generate_many(requests, max_rows=max_rows)}
    assert sorted(made) == [(0, 0), (0, 1), (1, 0), (2, 0)]
    for at, request in enumerate(requests):
        alone = [end.images for end in pipeline.run(request, [range(k, k + 1) for k in range(request.num_images)])]
        images = [image for image in alone if image is not None]
        for index, image in enumerate(images):
            np.testing.assert_array_equal(made[at, index].image, image[0])
            assert made[at, index].is_safe is None


def test_requests_share_calls_and_a_new_one_starts_when_one_ends(
    counted: tuple[ddim_edge.Pipeline, CountingSession],
) -> None:
    pipeline, session = counted
    steps = [4, 1, 2]
    requests = [pipeline.request(labels=["dog"], num_steps=count) for count in steps]
    order = [at for at, _ in pipeline.generate_many(requests, max_rows=2)]
    assert order == [1, 2, 0]
    assert session.calls == [2, 2, 2, 1]


def test_an_endless_input_is_read_as_there_is_room(pipeline: ddim_edge.Pipeline) -> None:
    taken = itertools.count()

    def endless() -> Iterator[Request]:
        for seed in taken:
            yield pipeline.request(labels=["dog"], num_steps=2, seed=seed)

    images = pipeline.generate_many(endless(), max_rows=3)
    assert next(taken) == 0  # nothing is read before the first image is asked for
    assert [at for at, _ in itertools.islice(images, 7)] == list(range(7))
    assert next(taken) <= 1 + 7 + 3


def test_closing_ends_the_jobs(
    counted: tuple[ddim_edge.Pipeline, CountingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, session = counted
    removed: list[ddim_edge.Job] = []
    monkeypatch.setattr(ddim_edge.Engine, "remove", lambda _engine, job: removed.append(job))
    steps = [1, 5, 5]
    images = pipeline.generate_many(pipeline.request(labels=["dog"], num_steps=count) for count in steps)
    next(images)
    images.close()
    assert len(removed) == 2
    assert len(session.calls) == 1


def test_one_request_fails_alone(new_bundle: Callable[..., Path]) -> None:
    schedule = ddim_edge.DdimSchedule(ddim_edge.DdimConfig(), 4)
    pipeline = ddim_edge.load(new_bundle(tiny_model(nan_at=(int(schedule.timesteps[1]), LABELS.index("cat")))), "cpu")
    cats, dogs = (pipeline.request(labels=[name], num_steps=4, num_images=3, sampler="ddim") for name in ("cat", "dog"))
    made = list(pipeline.generate_many([dogs, cats, dogs], max_rows=32))
    assert {at: sum(item.error is None for position, item in made if position == at) for at in range(3)} == {
        0: 3,
        1: 0,
        2: 3,
    }
    (bad,) = (item for position, item in made if position == 1)
    with pytest.raises(ddim_edge.PredictionError, match="NaN"):
        _ = bad.image


def test_a_request_of_another_model_fails_alone(pipeline: ddim_edge.Pipeline, plain_bundle: Path) -> None:
    other = ddim_edge.load(plain_bundle, "cpu").request(num_steps=1, num_images=3)
    mine = pipeline.request(labels=["dog"], num_steps=1)
    made = dict(pipeline.generate_many([mine, other, mine]))
    assert isinstance(made[1].error, ddim_edge.ConfigError)
    assert made[0].error is made[2].error is None


@pytest.mark.parametrize("max_rows", [0, -1, 1.5, True])
def test_invalid_rows(pipeline: ddim_edge.Pipeline, max_rows: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="max_rows"):
        pipeline.generate_many([], max_rows=max_rows)


def test_what_is_no_request_is_an_error(pipeline: ddim_edge.Pipeline) -> None:
    wrong: Any = [{"seed": 1}]
    with pytest.raises(ddim_edge.ConfigError, match="must be Request objects"):
        next(pipeline.generate_many(wrong))


def test_rows_per_call_of_a_request_limit_the_calls(counted: tuple[ddim_edge.Pipeline, CountingSession]) -> None:
    pipeline, session = counted
    plain = pipeline.request(labels=["dog"], num_steps=1, num_images=3)
    small = Request.from_json({**plain.to_json(), "rows_per_call": 2})
    assert len(list(pipeline.generate_many([plain, small]))) == 6
    assert session.calls == [2, 2, 2]


def test_the_file_has_a_recipe_of_its_own(pipeline: ddim_edge.Pipeline, tmp_path: Path) -> None:
    request = pipeline.request(labels=["dog"], num_steps=1, seed=4, num_images=2)
    items = {item.index: item for _, item in pipeline.generate_many([request])}
    recipe = read_recipe(Path(items[1].save(tmp_path / "one.png")))
    assert (recipe["seed"], recipe["index"], recipe["batch_size"]) == (4, 1, 1)
    assert Request.from_json(recipe).chunk_of(1) == range(1, 2)
