"""Command lines: options with values that are wrong, or nearly right."""

import random
from collections.abc import Mapping, Sequence

from . import base_bundles
from .base_bundles import BUNDLE
from .case import Case, File, Special
from .pictures import picture
from .png import whole_png
from .values import ODD_NUMBERS, ODD_TEXTS

_NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "1e-300",
    "1e300",
    "1e400",
    "5e-324",
    "7.5",
    "1_0",
    "٣",
    "0x1",
    "",
)
_PATHS = (
    "", ".", "x.png", "none/x.png", "x.jpg", "/dev/null", "x" * 300 + ".png", "a\nb.png", "\udce9.png",
    "x.npy", "images/", ".png", "-.png", "../in/a.png/x.png", "x.PNG", "/dev/null/x.png", "x.npz",
)  # fmt: skip
_INPUTS = (
    "../in/a.png",
    "../in/b.png",
    "../in",
    "/dev/zero",
    "/dev/null",
    "none.png",
    "",
    "../in/control.png",
    "/proc/self/mem",
    "0",
    "7",
)
_SAMPLERS = ("ddim", "ddpm", "euler", "euler_a", "dpmpp", "dpmpp_2m", "pndm", "lcm", "unipc", "heun", "DDIM", "")
_SAMPLER_KEYS = (
    "eta", "beta_start", "beta_end", "beta_schedule", "num_train_steps", "num_train_timesteps", "trained_betas",
    "sigma_min", "sigma_max", "use_karras_sigmas", "sigma_schedule", "prediction_type", "clip_range",
    "clip_denoised_sample", "dynamic_threshold_ratio", "timestep_spacing", "solver_order", "rescale_zero_terminal_snr",
    "rescale_betas_zero_snr", "steps_offset", "original_steps", "rho",
)  # fmt: skip
_SAMPLER_VALUES = (
    *_NUMBERS, "true", "false", "none", "null", "linear", "scaled_linear", "squaredcos_cap_v2", "leading", "trailing",
    "linspace", "noise", "sample", "angular_velocity", "epsilon", "karras", "[0.1, 0.2]", "[1e-17]", "0.1,0.2",
)  # fmt: skip

_RUN_VALUES: Mapping[str, Sequence[str]] = {
    "--num-images": ("1", "2", "0", "-1", "3", "1e3", "x", "99999999999999999999"),
    "--labels": ("cat", "dog,cat", "none", "3", "Ångström", "cat,", ",", *ODD_TEXTS),
    "--prompt": ("a b", "", *ODD_TEXTS),
    "--negative-prompt": ("a", "", *ODD_TEXTS),
    "--height": ("8", "7", "0", "-8", "10", "16384", "16385", "x"),
    "--width": ("8", "7", "0", "-8", "10", "x"),
    "--num-steps": ("1", "2", "3", "7", "0", "-1", "1000", "1001", "x"),
    "--sampler": (*_SAMPLERS, *ODD_TEXTS),
    "--eta": _NUMBERS,
    "--seed": ("0", "-1", str(2**63), str(2**63 - 1), str(2**64), "1.5", "x"),
    "--guidance-scale": _NUMBERS,
    "--guidance-mode": ("cfg", "cfg++", "CFG", ""),
    "--guidance-rescale": _NUMBERS,
    "--guidance-interval": ("0,1", "1,0", "nan,1", "0", "0,1,2", "0,inf", ""),
    "--strength": _NUMBERS,
    "--control-scale": _NUMBERS,
    "--batch-size": ("1", "2", "0", "-1", "1000000", "x"),
    "--noise": ("torch", "numpy", "x"),
    "--sampler-config": (),
    "--scheduler": (*_INPUTS, "../in/bundle/scheduler/scheduler_config.json", "../in/odd.json"),
    "--init-image": _INPUTS,
    "--mask": _INPUTS,
    "--latents": _INPUTS,
    "--control-image": _INPUTS,
    "--from-image": _INPUTS,
    "--prompts": (*_INPUTS, "../in/odd.json"),
    "--output": _PATHS,
    "--format": ("png", "npy", "jpg"),
    "--save-every": ("1", "0", "-1", "1000000", "x"),
    "--provider": ("cpu", "cpu:0", "cpu:7", "cuda", "cuda:x", "tensorrt", "openvino", "nonsense", "auto", ":", ""),
    "--provider-option": ("a=b", "=", "a", "arena_extend_strategy=x"),
}
_FLAGS = (
    "--gif", "--show", "--quiet", "--json", "--warmup", "--low-memory", "--long-prompt", "--prompt-weights",
    "--vae-tiling", "--no-vae-tiling", "--no-safety-checker", "--allow-fallback", "--help", "--nonsense",
)  # fmt: skip
_OTHERS: Mapping[str, Sequence[str]] = {
    "encode": ("--labels", "--num-steps", "--batch-size", "--output", "--provider"),
    "interpolate": ("--labels", "--num-images", "--num-steps", "--output", "--sampler", "--guidance-scale"),
    "inspect": (),
}  # fmt: skip


def draw(generator: random.Random) -> Case:
    """A command line of ``run``, ``encode``, ``interpolate`` or ``inspect`` on a whole bundle."""
    is_text = generator.random() < 0.4
    bundle: dict[str, File] = dict(base_bundles.text_to_image() if is_text else base_bundles.classes())
    files = base_bundles.in_bundle(bundle) | _inputs(generator)
    if generator.random() < 0.7:
        return Case(("run", _model(generator), *_run_options(generator, is_text)), files)
    command = generator.choice([*_OTHERS])
    return Case((command, *_other_options(generator, command)), files)


def _run_options(generator: random.Random, is_text: bool) -> list[str]:
    """Options of ``run``; those that keep it short come first, and later ones win."""
    options = ["-s", "2", "-n", "1", "-o", "x.png"]
    if is_text and generator.random() < 0.9:
        options += ["--prompt", "a", "--control-image", "../in/control.png"]
    for name in generator.sample([*_RUN_VALUES], generator.choice([1, 1, 2, 3])):
        options += [name, _value(generator, name)]
    return options + generator.sample(_FLAGS, generator.choice([0, 0, 1, 2]))


def _value(generator: random.Random, name: str) -> str:
    if name == "--sampler-config":
        return f"{generator.choice(_SAMPLER_KEYS)}={generator.choice(_SAMPLER_VALUES)}"
    return generator.choice(_RUN_VALUES[name]) if generator.random() < 0.9 else _odd(generator)


def _odd(generator: random.Random) -> str:
    """A text or a number, as a shell may pass it: without null characters, in any bytes."""
    value = str(generator.choice([*ODD_TEXTS, *ODD_NUMBERS[:11]])).replace("\x00", "")
    return value.encode("utf-8", "replace").decode()


def _other_options(generator: random.Random, command: str) -> list[str]:
    ends = [generator.choice(_INPUTS), generator.choice(_INPUTS)]
    usual = {
        "encode": ["../in/a.png", "-m", BUNDLE, "-s", "2", "-o", "x.npz"],
        "interpolate": [*ends, "-m", BUNDLE, "-s", "2", "-n", "3", "-o", "x.png"],
        "inspect": [_model(generator)],
    }  # fmt: skip
    options = usual[command]
    for name in generator.sample(_OTHERS[command], min(len(_OTHERS[command]), generator.choice([0, 1, 2]))):
        options += [name, _value(generator, name)]
    return options + generator.sample(["--json", "--quiet", "--verify", "--help", "x"], generator.choice([0, 0, 1]))


def _model(generator: random.Random) -> str:
    if generator.random() < 0.9:
        return BUNDLE
    return generator.choice(
        ["..", "/", "none", "", "../in/a.png", "/dev/null", "../in/bundle/unet", "fashoin", "x" * 5000]
    )


def _inputs(generator: random.Random) -> dict[str, File]:
    odd: File = generator.choice(
        [*Special, b"", b"a b\n\xff\n", b"\n" * 100, b"a\n" * 3, b"[]", b"{}", b'{"_class_name": "DDIMScheduler"}']
    )
    return {"a.png": whole_png("L", (8, 8)), "b.png": picture(generator), "odd.json": odd}
