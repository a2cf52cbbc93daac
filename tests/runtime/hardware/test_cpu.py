"""How many threads a graph gets: cores, affinity, quotas and the environment, in trees that stand for a machine's."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ddim_edge.runtime.hardware import cpu

_EIGHT = set(range(8))
_CONTAINER = "31 23 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Four cores of two processors each; processor n's sibling is n + 4. It has no control groups."""
    root = tmp_path / "root"
    siblings = {
        f"sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{n % 4},{n % 4 + 4}\n" for n in _EIGHT
    }
    _write(root, {"sys/devices/system/cpu/present": "0-7\n", **siblings})
    return root


def _describe(root: Path, mask: set[int] = _EIGHT, **environ: str) -> cpu.Cpu:
    return cpu.describe(root, environ, mask)


def test_the_whole_machine_is_left_to_onnxruntime(machine: Path) -> None:
    found = _describe(machine)
    assert (found.cores, found.allowed, found.quota) == (4, 4, None)
    assert (found.threads, found.is_metered) == (0, False)
    assert str(found) == "as many threads as ONNX Runtime takes a graph (4 physical cores)"


@pytest.mark.parametrize(
    ("mask", "threads"),
    [({0}, 1), ({0, 4}, 1), ({0, 1}, 2), ({0, 1, 4, 5}, 2), ({1, 6, 7}, 3), ({0, 1, 2, 3}, 4), (_EIGHT - {7}, 4)],
)
def test_siblings_of_one_core_are_counted_once_and_what_is_forbidden_not_at_all(
    machine: Path, mask: set[int], threads: int
) -> None:
    assert _describe(machine, mask).threads == threads


def test_processors_that_are_off_get_no_thread(machine: Path) -> None:
    _write(machine, {"sys/devices/system/cpu/present": "0-11\n"})
    found = _describe(machine)  # a system's mask never holds processors that are off
    assert (found.allowed, found.threads) == (4, 4)


def test_without_a_topology_every_processor_is_a_core(tmp_path: Path) -> None:
    assert _describe(tmp_path, {0, 1, 2}).allowed == 3
    assert _describe(tmp_path, {0, 1, 2}).threads == 0
    _write(tmp_path, {"sys/devices/system/cpu/present": "0,2-4\n"})
    assert _describe(tmp_path, {0, 2}).threads == 2


def test_where_the_system_has_no_masks_onnxruntime_chooses(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cpu.describe(machine, {}).threads == 0
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cpu.describe(machine, {"OMP_NUM_THREADS": "3"}).threads == 3
    assert "does not report" in str(cpu.describe(machine, {}))


@pytest.mark.parametrize(
    ("limit", "quota", "threads"),
    [
        ("max 100000", None, 0),
        ("100000 100000", 1, 1),
        ("20000 100000", 0.2, 1),
        ("140000 100000", 1.4, 1),
        ("150000 100000", 1.5, 2),
        ("100000 50000", 2, 2),
        ("600000 100000", 6, 0),
        ("nonsense", None, 0),
        ("", None, 0),
    ],
)
def test_a_containers_quota(machine: Path, limit: str, quota: float | None, threads: int) -> None:
    _write(machine, {"proc/self/mountinfo": _CONTAINER, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": limit})
    found = _describe(machine)
    assert (found.quota, found.threads) == (quota, threads)
    assert found.is_metered == (quota is not None and quota < 4)


def test_the_least_quota_on_the_way_up_counts(machine: Path) -> None:
    _write(
        machine,
        {
            "proc/self/mountinfo": _CONTAINER,
            "proc/self/cgroup": "0::/work.slice/edge.service\n",
            "sys/fs/cgroup/work.slice/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/work.slice/edge.service/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/work.slice/other.service/cpu.max": "100000 100000\n",
        },
    )
    assert _describe(machine).quota == 2


def test_a_group_that_the_mount_does_not_show_is_the_mount_itself(machine: Path) -> None:
    mount = _CONTAINER.replace(" / /sys", " /docker/1f /sys")
    for path in ("/docker/1f", "/docker/1f/inner", "/elsewhere"):
        _write(
            machine,
            {
                "proc/self/mountinfo": mount,
                "proc/self/cgroup": f"0::{path}\n",
                "sys/fs/cgroup/cpu.max": "300000 100000\n",
            },
        )
        assert _describe(machine).quota == 3, path


def test_quotas_of_control_groups_of_the_first_version(machine: Path) -> None:
    mounts = "\n".join(
        [
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct",
            "33 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
            "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
        ]
    )
    _write(
        machine,
        {
            "proc/self/mountinfo": mounts,
            "proc/self/cgroup": "5:cpuset:/jail\n4:cpu,cpuacct:/docker/1f\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpuset/jail/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpuset/jail/cpu.cfs_period_us": "100000\n",
        },
    )
    assert _describe(machine).quota == 2.5
    assert _describe(machine).threads == 3


@pytest.mark.parametrize(
    ("environ", "threads"),
    [
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": " 8 "}, 8),
        ({"OMP_NUM_THREADS": "16"}, 8),
        ({"ORT_INTRA_OP_NUM_THREADS": "100000"}, 8),
        ({"OMP_NUM_THREADS": "9" * 5000}, 8),
        ({"OMP_NUM_THREADS": "2,8"}, 2),
        ({"OMP_NUM_THREADS": "4"}, 0),
        ({"OMP_NUM_THREADS": ""}, 0),
        ({"OMP_NUM_THREADS": "0"}, 0),
        ({"OMP_NUM_THREADS": "2", "ORT_INTRA_OP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2", "ORT_INTRA_OP_NUM_THREADS": "0"}, 2),
        ({"OMP_NUM_THREADS": "2", "ORT_INTRA_OP_NUM_THREADS": "two"}, 2),
    ],
)
def test_the_environment_is_heard(machine: Path, environ: dict[str, str], threads: int) -> None:
    assert cpu.describe(machine, environ, _EIGHT).threads == threads


def test_no_more_threads_than_processors(machine: Path) -> None:
    found = _describe(machine, OMP_NUM_THREADS="100000")
    assert str(found) == (
        "8 threads a graph (4 physical cores, 100000 asked for by the environment, at most 8, one for each processor)"
    )


def test_onnxruntime_does_not_read_its_own_variable_where_it_asks_for_too_much(tmp_path: Path) -> None:
    found = _describe(tmp_path, {0, 1}, ORT_INTRA_OP_NUM_THREADS="100000")
    assert (found.cores, found.threads) == (2, 2)


def test_where_the_system_has_no_masks_threads_are_limited_too(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu.describe(machine, {"OMP_NUM_THREADS": "100000"}).threads == 6


def test_the_environment_wins_over_the_quota(machine: Path) -> None:
    _write(
        machine,
        {"proc/self/mountinfo": _CONTAINER, "proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "100000 100000"},
    )
    found = _describe(machine, {0, 1}, OMP_NUM_THREADS="2")
    assert found.threads == 2
    assert str(found) == (
        "2 threads a graph (4 physical cores, 2 of them allowed, a quota of 1, 2 asked for by the environment)"
    )


@pytest.mark.parametrize("value", ["many", "-2", "1.5", "²"])
def test_a_bad_value_is_ignored_and_told(machine: Path, value: str) -> None:
    found = _describe(machine, ORT_INTRA_OP_NUM_THREADS=value)
    assert found.ignored == (f"ORT_INTRA_OP_NUM_THREADS={value}",)
    assert found.threads == 4  # in so many words: ONNX Runtime would read the variable, and fail
    assert f"ORT_INTRA_OP_NUM_THREADS={value} is no number of threads and is ignored" in str(found)
