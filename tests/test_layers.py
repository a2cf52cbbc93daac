"""Imports point down only, and heavy packages are imported where they belong and nowhere else."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ddim_edge

_ROOT = Path(ddim_edge.__file__).parent
_EXPORT = _ROOT.parent / "export"

_LAYERS = {
    5: {"cli", "serving"},
    4: {
        "engine",
        "pipeline",
        "options",
        "request",
        "saving",
        "jobs",
        "conditions",
        "controls",
        "results",
        "starting",
        "origin",
        "latents",
        "inversion",
        "warming",
        "build_plan",
        "building",
    },
    3: {
        "bundle",
        "model_folder",
        "inputs",
        "denoiser",
        "stacks",
        "stepping",
        "integrity",
        "text",
        "vae",
        "parts",
        "controlnet",
        "safety",
    },
    2: {
        "runtime",
        "providers",
        "provider_options",
        "plugins",
        "placement",
        "opening",
        "binding",
        "half_precision",
        "session",
        "sessions",
        "compiled",
        "compiling",
        "complaints",
        "cache",
        "compile_recipe",
        "graph_hash",
        "onnx_file",
        "onnx_inputs",
        "machine",
        "nvidia",
        "cpu",
        "heap",
    },
    1: {
        "schedule",
        "samplers",
        "noise",
        "guidance",
        "images",
        "limits",
        "pictures",
        "interpolation",
        "tiling",
        "clip_pixels",
    },
    0: {"config", "errors", "version", "answering"},
}
_LAYER_OF = {module: layer for layer, modules in _LAYERS.items() for module in modules}

_PACKAGES = {
    5: {"numpy", "click", "rich", "fastapi", "uvicorn", "starlette", "pydantic", "prometheus_client", "PIL"},
    4: {"numpy"},
    3: {"numpy", "tokenizers"},
    2: {"numpy"},
    1: {"numpy", "PIL"},
    0: set[str](),
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


def module_of(file: Path) -> str:
    """The module of ``ddim_edge`` (file or subpackage) that ``file`` belongs to."""
    return file.relative_to(_ROOT).with_suffix("").parts[0]


RUNTIME = [found for found in imports_of(_ROOT, "ddim_edge") if module_of(found.file) != "__init__"]


def layer(module: str) -> int:
    assert module in _LAYER_OF, f"ddim_edge.{module} stands in no layer: add it to the table here and in the design"
    return _LAYER_OF[module]


def test_every_module_has_a_layer() -> None:
    for file in _ROOT.rglob("*.py"):
        if module_of(file) != "__init__":
            layer(module_of(file))


def test_imports_point_down_only() -> None:
    inner = [found for found in RUNTIME if found.name.startswith("ddim_edge.")]
    assert len(inner) > 20
    for found in inner:
        importer, imported = module_of(found.file), found.name.split(".")[1]
        assert layer(imported) <= layer(importer), f"{found.file}: {importer} imports {imported}, which stands above it"


def test_modules_of_one_layer_do_not_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for found in RUNTIME:
        if found.name.startswith("ddim_edge."):
            below.setdefault(module_of(found.file), set()).add(found.name.split(".")[1])
    while below:
        ends = {module for module, needs in below.items() if not (needs - {module}) & below.keys()}
        assert ends, f"a circle among {sorted(below)}"
        below = {module: needs for module, needs in below.items() if module not in ends}


def test_packages_are_imported_only_in_their_layers() -> None:
    for found in RUNTIME:
        package = found.name.split(".")[0]
        if package in sys.stdlib_module_names or package == "ddim_edge":
            continue
        if package == "onnxruntime":
            assert module_of(found.file) == "runtime", found
        elif package in {"fastapi", "uvicorn", "starlette", "pydantic", "prometheus_client"}:
            assert module_of(found.file) == "serving", found
        elif package == "ddim_edge_export":
            assert found.file == _ROOT / "cli" / "export.py", found
            assert found.inside_function, found
        else:
            assert package in _PACKAGES[layer(module_of(found.file))], found


def test_the_exporter_uses_words_and_numerics_only() -> None:
    allowed = _LAYERS[0] | _LAYERS[1]
    for found in imports_of(_EXPORT, "ddim_edge_export"):
        if found.name.split(".")[0] == "ddim_edge":
            # The package's own __init__ would bring all layers along in name.
            assert "." in found.name, found
            assert found.name.split(".")[1] in allowed, found


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {
        "torch",
        "onnxruntime",
        "tokenizers",
        "diffusers",
        "click",
        "rich",
        "fastapi",
        "uvicorn",
        "ddim_edge_export",
    }
    code = f"import ddim_edge, sys; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == []


def test_the_text_layer_loads_tokenizers_only_when_it_reads_a_tokenizer() -> None:
    code = "import ddim_edge.text, sys; print('tokenizers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["False"]
