"""Reads the processor's name, from /proc/cpuinfo where there is one."""

import platform
import re
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_VECTORS = re.compile(r"\b(?:avx2?|avx512(?:f|bw|_vnni|_bf16|_fp16)|avx_vnni|amx_\w+|fma|asimd\w*|sve\w*|i8mm|bf16)\b")
"""The CPU's features that kernels, and with them the layout of weights, are chosen by."""


def cpu_model() -> str:
    """The processor's name, such as "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz"."""
    return _field(_cpu_info(), "model name").strip() or _name_by_python()


def cpu_with_vectors() -> str:
    """The processor's name and its vector extensions: what was compiled on one CPU fits another of the same text."""
    text = _cpu_info()
    if not text:
        return _name_by_python()
    name = _field(text, "model name", "Model", "Hardware") or platform.machine()
    return " ".join(filter(None, (name, _field(text, "CPU part"), *_vectors(text))))


def instruction_set() -> str:
    """The processor's architecture and vector extensions, such as "x86_64 avx avx2 fma"."""
    text = _cpu_info()
    return " ".join(filter(None, (platform.machine(), _field(text, "CPU part"), *_vectors(text))))


def _vectors(text: str) -> list[str]:
    return sorted(set(_VECTORS.findall(_field(text, "flags", "Features"))))


def _cpu_info() -> str:
    try:
        return _CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, *keys: str) -> str:
    """The value of the first line that has one of these keys; empty without one."""
    found = re.search(rf"^(?:{'|'.join(keys)})[ \t]*:[ \t]*(.+)", text, re.MULTILINE)
    return found[1] if found else ""


def _name_by_python() -> str:
    return platform.processor() or platform.machine()
