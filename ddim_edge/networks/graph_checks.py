"""Checks of a graph before it is run as a denoiser: its samples, its timestep, and its batch."""

from ..errors import BundleError, listed
from ..runtime.sessions.session import Session

_MAX_FIXED_BATCH = 1024


def check_inputs(session: Session) -> None:
    """Raise BundleError for a graph whose samples have no batch and another axis, or whose timestep more than one."""
    wanted_of = {"sample": "a batch axis and at least one more", "timestep": "one number, or one for each row"}
    for name in wanted_of:
        if name not in session.inputs:
            raise BundleError(f"{session.name} has no input {name!r}: it has {listed(session.inputs)}")
    for name, wanted in wanted_of.items():
        info = session.inputs[name]
        if (len(info.shape) > 1) is not (name == "sample"):
            raise BundleError(f"{session.name}'s input {info} must have {wanted}: it is no denoiser")


def fixed_batch(session: Session) -> int | None:
    """The batch of a graph that takes no other one; BundleError for one that no call could be padded to."""
    batch = session.inputs["sample"].shape[0]
    if not isinstance(batch, int):
        return None
    if not 1 <= batch <= _MAX_FIXED_BATCH:
        raise BundleError(f"{session.name} takes {batch} rows in every call, and 1 to {_MAX_FIXED_BATCH} are supported")
    return batch
