"""Rooms import downward only, heavy packages are imported where they belong, and the wheel holds every folder."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple

import ddim_edge

_ROOT = Path(ddim_edge.__file__).parent
_EXPORT = _ROOT.parent / "export"

_SERVER = {"fastapi", "uvicorn", "h11", "starlette", "pydantic", "pydantic_core", "prometheus_client"}
_PACKAGES: Mapping[str, Set[str]] = {
    "__main__": {"ddim_edge_main"},
    "cli": {"numpy", "click", "rich"},
    "serving": {"numpy", "PIL", "redis", *_SERVER},
    "text": {"numpy", "tokenizers"},
    "triton": {"numpy", "pydantic", "triton_python_backend_utils"},
    "images": {"numpy", "PIL"},
    "graphs": set(),
    "config": set(),
    "files": set(),
    "whole_folder": set(),
    "errors": set(),
    "extras": set(),
    "telemetry": set(),
    "version": set(),
}
"""The packages that a room may import; the others may import numpy alone."""
_EXPORTER_MAY_IMPORT = {
    "bundle",
    "lora",
    "graphs",
    "diffusion",
    "images",
    "config",
    "files",
    "whole_folder",
    "arrays",
    "errors",
    "version",
    "telemetry",
}


class Import(NamedTuple):
    """One import statement's module, absolute."""

    file: Path
    name: str
    inside_function: bool


def imports_of(root: Path, package: str) -> Iterator[Import]:
    for file in sorted(root.rglob("*.py")):
        parts = (package, *file.relative_to(root).with_suffix("").parts)
        yield from _imports(file, ast.parse(file.read_text(encoding="utf-8")), parts, inside=False)


def _imports(file: Path, node: ast.AST, parts: tuple[str, ...], *, inside: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(file, alias.name, inside) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
        module = ".".join(filter(None, (base, node.module)))
        # `from . import x` names a module, or a name of the package itself; its own name is enough for the layer.
        names = [f"{module}.{alias.name}" for alias in node.names] if not node.module else [module]
        yield from (Import(file, name, inside) for name in names)
    inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for child in ast.iter_child_nodes(node):
        yield from _imports(file, child, parts, inside=inside)


def room_of(file: Path) -> str:
    """The room of ``ddim_edge`` (folder or module) that ``file`` belongs to."""
    return file.relative_to(_ROOT).with_suffix("").parts[0]


RUNTIME = [found for found in imports_of(_ROOT, "ddim_edge") if room_of(found.file) != "__init__"]


def test_rooms_import_downward_only() -> None:
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(lint, cwd=_ROOT.parent, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout


def test_packages_are_imported_only_in_their_rooms() -> None:
    assert len(RUNTIME) > 20
    for found in RUNTIME:
        package = found.name.split(".")[0]
        if package in sys.stdlib_module_names or package == "ddim_edge":
            continue
        if package == "onnxruntime":
            assert found.file == _ROOT / "runtime" / "providers" / "onnxruntime_module.py", found
        elif package == "openvino":
            assert found.file == _ROOT / "runtime" / "providers" / "openvino_module.py", found
            assert found.inside_function, found
        elif package == "fsspec":
            assert found.file == _ROOT / "images" / "remote.py", found
            assert found.inside_function, found
        elif package == "ray" and room_of(found.file) == "ray":
            assert found.inside_function, found
        elif package == "pynvml":
            assert found.file == _ROOT / "runtime" / "hardware" / "nvidia.py", found
            assert found.inside_function, found
        elif package == "ray" and room_of(found.file) == "serving":
            assert found.file.parent == _ROOT / "serving" / "ray", found
        elif package == "pyarrow" and room_of(found.file) == "cli":
            assert found.file == _ROOT / "cli" / "requests_table.py", found
            assert found.inside_function, found
        elif package == "ddim_edge_export":
            assert found.file in {_ROOT / "cli" / f"{name}.py" for name in ("adopt", "export_run", "upgrade")}, found
            assert found.inside_function, found
        else:
            assert package in _PACKAGES.get(room_of(found.file), {"numpy"}), found


def test_the_exporter_imports_rooms_that_need_no_onnxruntime() -> None:
    for found in imports_of(_EXPORT, "ddim_edge_export"):
        if found.name.split(".")[0] == "ddim_edge":
            # The package's own __init__ would bring all layers along in name.
            assert "." in found.name, found
            if found.file == _EXPORT / "draft.py" and found.inside_function:
                continue  # it opens the draft of a bundle as the runtime does
            if found.file == _EXPORT / "sources" / "new_words.py" and found.inside_function:
                continue  # it counts the tokens of a tokenizer as the runtime does
            assert found.name.split(".")[1] in _EXPORTER_MAY_IMPORT or "diffusers_baseline" in str(found.file), found


def test_every_folder_is_a_package_of_the_wheel() -> None:
    """Setuptools cannot find packages under the renamed folder ``export/``: the list in pyproject.toml is by hand."""
    tools = tomllib.loads((_ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    roots = {"ddim_edge": _ROOT, "ddim_edge_export": _EXPORT}
    folders = {
        ".".join((name, *init.parent.relative_to(root).parts))
        for name, root in roots.items()
        for init in root.rglob("__init__.py")
    }
    assert set(tools["packages"]) == folders | {"ddim_edge_models"}
    for root in roots.values():
        assert {file.parent for file in root.rglob("*.py")} == {file.parent for file in root.rglob("__init__.py")}


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {
        "torch",
        "onnxruntime",
        "openvino",
        "tokenizers",
        "diffusers",
        "click",
        "rich",
        "fastapi",
        "uvicorn",
        "ddim_edge_export",
        "ray",
        "http.client",
        "ssl",
    }
    code = f"import ddim_edge, sys; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == []


def test_the_text_layer_loads_tokenizers_only_when_it_reads_a_tokenizer() -> None:
    code = "import ddim_edge.text, sys; print('tokenizers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["False"]
