"""The table of generation options agrees with the types, requests, the command line and the HTTP API."""

import dataclasses
from typing import get_type_hints

import click
import pytest

import ddim_edge
from ddim_edge.cli.run import run_command
from ddim_edge.generation.requests.option_table import OPTIONS, Options, http_options
from ddim_edge.generation.requests.other_names import OTHER_NAMES
from ddim_edge.generation.requests.request import Request
from ddim_edge.serving.http.schemas import EditBody

OF_A_REQUEST = {"prompt": "prompts", "control_images": "origin", "images": "origin", "ip_adapter_images": "origin"}
"""Options whose field in a request has another name."""


SET_OTHERWISE = {"vae_tile", "rows_per_call", "between_prompts"}
"""Fields of a request that no option sets."""


def test_every_option_has_a_type_and_every_typed_option_a_row() -> None:
    assert [option.name for option in OPTIONS] == list(get_type_hints(Options))


def test_other_names_are_no_options_but_lead_to_one() -> None:
    own = {option.name for option in OPTIONS}
    assert not OTHER_NAMES.keys() & own
    assert set(OTHER_NAMES.values()) <= own


def test_every_option_is_a_field_of_a_request_and_every_field_an_option() -> None:
    fields = {field.name for field in dataclasses.fields(Request)}
    named = {OF_A_REQUEST.get(option.name, option.name) for option in OPTIONS}
    assert named - {"eta", "preset"} == fields - SET_OTHERWISE


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.cli], ids=lambda option: option.name)
def test_the_command_line_has_it_with_its_help(option: object) -> None:
    assert hasattr(option, "cli")
    found = [parameter for parameter in run_command.params if option.cli.flags[0].split("/")[0] in parameter.opts]
    assert len(found) == 1
    assert isinstance(found[0], click.Option)
    assert (found[0].help or "").startswith(option.cli.help or getattr(option, "help", "missing"))


def test_the_http_api_has_the_fields_that_the_table_says() -> None:
    assert http_options().keys() <= EditBody.model_fields.keys()
    for field, option in http_options().items():
        if field != "prompt":  # which may also name classes there
            assert EditBody.model_fields[field].description == option.help


def test_the_documentation_of_generate_has_every_option() -> None:
    text = ddim_edge.Pipeline.generate.__doc__ or ""
    for option in OPTIONS:
        assert f"\n        {option.name}: {option.help} Default: {option.default}.\n" in text
