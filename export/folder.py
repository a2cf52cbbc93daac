"""A diffusers folder into a bundle."""

import dataclasses
import os
from pathlib import Path

from .atomic import check_free, whole_folder
from .progress import Stage, ignore_stage
from .report import Report, write_json, write_report
from .source import load_network, open_source
from .unet import export_into


def export_folder(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, on_stage: Stage = ignore_stage
) -> Report:
    """Export a UNet2DModel folder, or a DDPMPipeline or DDIMPipeline folder, to the new folder ``out``.

    ``out`` gets model_index.json (with id2label and null_class where the source has them), unet/, export.json and
    scheduler/scheduler_config.json: the source's, or diffusers' defaults of DDIM where the source is a bare network.

    ``on_stage`` is called with "load", "export", "fit", "verify", "write" as each begins. Raises ConfigError (the
    source is something else, or ``out`` is taken), ExportError and OutputError, as ``export_unet`` does; then ``out``
    is not there.
    """
    out = Path(out).resolve()
    opened = open_source(Path(source))
    check_free(out)
    on_stage("load")
    module = load_network(opened)
    with whole_folder(out) as folder:
        report = export_into(folder, module, opened.config, on_stage)
        on_stage("write")
        write_json(folder / "model_index.json", opened.index)
        write_json(folder / "scheduler" / "scheduler_config.json", opened.scheduler)
        write_report(folder, report)
    return dataclasses.replace(report, path=out)
