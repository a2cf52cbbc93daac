"""What ``ddim-edge run --ray`` refuses; tests/cli/test_many_machines_document.py runs it."""

from pathlib import Path

import pytest

from tests.helpers.command_line import Invoke


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "127.0.0.1:1"], "no Ray cluster at '127.0.0.1:1'"),
        (["--ray", "ray://127.0.0.1:10001"], "no address of a Ray cluster"),
        (["--ray", "local", "--output", "out.png"], "give a folder"),
        (["--ray", "local", "--warmup"], "--warmup"),
        (["--ray", "local", "--save-every", "1"], "--save-every"),
        (["--ray", "local", "--shard", "0/2"], "--shard"),
        (["--ray", "local", "--archive", "webdataset"], "--archive"),
        (["--ray", "local", "--requests", "table.csv"], "--requests"),
    ],
)
def test_what_cannot_run_is_said_before_a_model_is_opened(
    options: list[str], message: str, invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("run", "no-model", "--output", "out/", *options).failed_with(message)
    assert list(tmp_path.iterdir()) == []
