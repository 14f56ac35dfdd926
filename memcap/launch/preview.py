"""The text of `memcap train --cfg job`: a job's config, with its members' values in
place of open ones."""

from collections.abc import Sequence
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf

from memcap.config.member import Member
from memcap.knobs import UserError

PARTS = ("task", "model", "recipe", "evaluation")
SHOWN = 20  # values shown of a key in which members differ
AUTO = ("recipe", "name", "auto")  # as open as a null


def preview(
    config: DictConfig, members: Sequence[Member], package: str | None, resolve: bool
) -> str:
    """Return the text for a config that Hydra composed, of the part with the key
    `package`, or of all; `resolve`: with ${...} resolved. Without members nothing is
    filled in.

    Raises:
        UserError: there is no such part.
    """
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    del values["hydra"]
    differ = _fill(values, members) if members else {}
    job = OmegaConf.create(values)
    if resolve:
        OmegaConf.resolve(job)
    part = job if package in (None, "_global_") else OmegaConf.select(job, package)
    if part is None:
        raise UserError(f"--package {package}: no such key, or null")
    lines = [
        f"# {key}: {', '.join(each)}\n"
        for key, each in differ.items()
        if key.startswith(package or "")
    ]
    head = "" if part is job else f"# @package {package}\n"
    text = (
        head + OmegaConf.to_yaml(part) if isinstance(part, Container) else f"{part}\n"
    )
    return "".join([text, "# Members differ in:\n" * bool(lines), *lines])


def _fill(values: dict[Any, Any], members: Sequence[Member]) -> dict[str, list[str]]:
    """Set open values to those that all members share. Return, by key, the values in
    which members differ."""
    differ = {}
    for part in PARTS:
        of_members = [_part(member, part) for member in members]
        for name, value in values[part].items():
            if value is not None and (part, name, value) != AUTO:
                continue
            choices = dict.fromkeys(
                of_member[name] for of_member in of_members if name in of_member
            )
            if len(choices) == 1:
                (values[part][name],) = choices
                continue
            words = ["null" if value is None else str(value) for value in choices]
            if len(words) > SHOWN:
                words[SHOWN:] = ["..."]
            differ[f"{part}.{name}"] = words
    return differ


def _part(member: Member, part: str) -> dict[str, Any]:
    values = vars(getattr(member, part))
    if part == "task":
        sizes = {"lag": member.lag, "length": member.length}
        return {"name": member.task.name, **sizes, **values}
    return values
