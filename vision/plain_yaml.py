"""YAML files of strangers: what is more than lists, mappings and text is refused before anything is built of it."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from shared.errors import UserError

DEEPEST = 32  # lists and mappings within each other


def check_plain(text: str) -> None:
    """Raise yaml.YAMLError where `text` is not YAML, or holds a tag, which may build an object, an alias, of which few
    can make a file of a kilobyte a value of gigabytes, or more than `DEEPEST` levels.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("an alias (*); write the value out", event)
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            raise _refused(f"the tag {event.tag!r}, which may build an object", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused(f"more than {DEEPEST} lists and mappings within each other", event)


def read_config(path: Path) -> Any:
    """The plain values of a configuration that a run of this project wrote.

    Raises UserError, without the file's name, where it cannot be read or is no such file.
    """
    try:
        check_plain(path.read_text(encoding="utf-8"))
        return OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).split())) from None


def _refused(what: str, event: Any) -> yaml.YAMLError:
    return yaml.composer.ComposerError(None, None, f"it holds {what}", event.start_mark)
