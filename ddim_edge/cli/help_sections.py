"""The titled groups in which help texts list commands and options."""

from collections.abc import Iterator, Mapping, Sequence

import click

COMMAND_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Make pictures": {
        "run": "Generate images with MODEL, or arrays.",
        "encode": "Find the noise from which MODEL makes each PICTURE again.",
        "interpolate": "Generate images between FIRST and LAST.",
    },
    "Bring a model": {
        "export": "Export SOURCE to the folder OUT, which runs without PyTorch.",
        "adopt": "Make a bundle of GRAPH, which another program exported.",
        "build": "Compile MODEL's graphs ahead of time for full speed.",
        "lora": "Add FILE, a LoRA, to BUNDLE, without PyTorch.",
        "upgrade": "Upgrade BUNDLE to the newest format, without PyTorch.",
        "tune": "Find the fastest cache that keeps BUNDLE's images close.",
    },
    "Serve": {
        "serve": "Serve MODELs over HTTP.",
        "worker": "Make the jobs that servers with the same store accept.",
    },
    "Look and mend": {
        "models": "List the models on this machine.",
        "inspect": "Show MODEL's graphs, and what its scheduler file means.",
        "doctor": "Show what is installed and which providers run.",
        "bench": "Measure how fast MODELs are on this machine.",
    },
}
"""The commands with the first sentence of their help texts, in the sections of ``ddim-edge --help``."""

_DEVICE = (
    "provider",
    "precision",
    "provider_option",
    "allow_fallback",
    "no_build",
    "batch_size",
    "warmup",
    "max_memory",
    "low_memory",
    "vae_tiling",
)
_OUTPUT = (
    "output",
    "force",
    "format",
    "png_level",
    "archive",
    "images_per_tar",
    "enlarge",
    "gif",
    "save_every",
    "show",
    "quiet",
    "json",
)

OPTION_SECTIONS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "run": {
        "What to make": (
            "num_images",
            "labels",
            "seed",
            "height",
            "width",
            "shape",
            "conditioning",
            "requests",
            "from_image",
        ),
        "Text models": (
            "prompt",
            "prompts",
            "negative_prompt",
            "long_prompt",
            "prompt_weights",
            "clip_skip",
            "no_safety_checker",
        ),
        "From a picture": (
            "image",
            "noise_level",
            "init_image",
            "strength",
            "mask",
            "latents",
            "control_image",
            "control_scale",
            "ip_adapter_image",
            "ip_adapter_scale",
        ),
        "How": (
            "num_steps",
            "sampler",
            "guidance_scale",
            "guidance_mode",
            "guidance_rescale",
            "guidance_interval",
            "image_guidance_scale",
            "preset",
            "cache",
            "cache_threshold",
            "eta",
            "lora",
            "sampler_config",
            "scheduler",
            "noise",
        ),
        "Device and memory": _DEVICE,
        "Several machines": ("shard", "ray", "mixed_machines"),
        "Output": _OUTPUT,
    },
    "export": {
        "Source": (
            "config",
            "scheduler",
            "assume_ddim",
            "default",
            "components",
            "vae",
            "lora",
            "textual_inversion",
            "ip_adapter",
            "ip_adapter_image_encoder",
            "allow_pickle",
            "ignore_extra_weights",
        ),
        "Precision": ("dtype", "keep_fp32", "fp32_too", "quantize"),
        "Graphs": (
            "target",
            "static",
            "opset",
            "fuse_step",
            "step_cache",
            "lora_slots",
            "lora_rank",
            "with",
            "no_build",
        ),
        "Triton Inference Server": ("triton", "triton_graphs"),
        "Output": ("quiet", "json"),
    },
    "bench": {
        "What to measure": ("batch", "steps", "height", "width", "guidance_scale", "repeats"),
        "Beside diffusers": ("compare", "source", "compile_mode"),
        "Device and memory": _DEVICE,
        "Output": _OUTPUT,
    },
    "serve": {
        "Address": (
            "host",
            "port",
            "workers",
            "root_path",
            "forwarded_allow_ips",
            "allowed_host",
            "cors_origin",
        ),
        "Who may call": ("api_key_file", "api_keys", "no_auth"),
        "Device and memory": (*_DEVICE, "max_rows", "max_memory_mb", "max_models"),
        "Limits of requests": (
            "max_images",
            "max_steps",
            "max_queue",
            "max_per_client",
            "max_body_mb",
            "max_json_kb",
            "max_uploads_mb",
            "max_connections",
            "header_timeout",
            "body_timeout",
            "timeout",
            "job_timeout",
        ),
        "Jobs and results": ("store", "store_images", "keep_mb", "cache_results", "no_jobs"),
        "Start, stop and log": ("lazy", "drain", "shutdown_delay", "log_prompts"),
    },
}
"""The options of commands that have many, by the name of their flag, in the sections of the command's help text."""


class SectionedCommand(click.Command):
    """A command whose help text lists its options in the sections of ``OPTION_SECTIONS``; others come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a titled list of options for each section."""
        shown = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for title, options in self.sections(shown):
            records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records, col_max=26)

    def sections(self, options: Sequence[click.Option]) -> Iterator[tuple[str, list[click.Option]]]:
        """Each section's title with those of ``options`` that belong to it."""
        named = {flag_name(option): option for option in options}
        for title, names in OPTION_SECTIONS[str(self.name)].items():
            yield title, [named.pop(name) for name in names if name in named]
        yield "Other options", list(named.values())


def flag_name(option: click.Option) -> str:
    """An option's first long flag as a name: ``num_steps`` for ``--num-steps``, ``vae_tiling`` for a pair."""
    return flag_names(option)[0]


def flag_names(option: click.Option) -> list[str]:
    """All of an option's long flags as names: ``num_steps`` and ``steps`` for ``--num-steps`` and ``--steps``."""
    return [flag.removeprefix("--").replace("-", "_") for flag in option.opts if flag.startswith("--")]
