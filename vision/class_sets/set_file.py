"""A person's own S1 and S2: a YAML file `target: {s1: [class, ...], s2: [class, ...] or null}`."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from shared.errors import UserError
from vision.plain_yaml import check_plain

SHAPE = "want TARGET: {s1: [CLASS, ...], s2: [CLASS, ...] or null}"


class FileSets(NamedTuple):
    """One target's entry; `s2` None: every class that is neither target nor in S1."""

    s1: list[str]
    s2: list[str] | None


class _Loader(yaml.SafeLoader):
    """Plain lists, mappings and text, `null` the only other value: a class called `no`, `010` or `1e3` stays that.

    Like every SafeLoader it builds no objects; a key written twice, of which YAML keeps the last, is an error.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  (yaml's own class attribute)
        first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        known: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in known:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            known.add(key.value)
        return super().construct_mapping(node, deep)


def read_set_file(path: str | Path) -> dict[str, FileSets]:
    """Sets by target, classes as the file writes them. Raises UserError for any other content, naming file and key."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        check_plain(text)
        raw = yaml.load(text, _Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; {SHAPE}") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: {error.problem}; {SHAPE}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}; {SHAPE}") from None
    if not isinstance(raw, dict) or not raw:
        raise UserError(f"{path}: names no target; {SHAPE}")
    return {_target(path, key): _entry(f"{path}: {key}", value) for key, value in raw.items()}


def _target(path: str | Path, key: object) -> str:
    if not isinstance(key, str):
        raise UserError(f"{path}: the target {key!r} is not a name; put it in quotes")
    return key


def _entry(where: str, value: object) -> FileSets:
    if not isinstance(value, dict) or "s1" not in value:
        raise UserError(f"{where} has no s1; {SHAPE}")
    if unknown := [str(key) for key in value if key not in ("s1", "s2")]:
        raise UserError(f"{where} has {', '.join(unknown)}; only s1 and s2 mean something")
    s2 = value.get("s2")
    return FileSets(_classes(f"{where}: s1", value["s1"]), None if s2 is None else _classes(f"{where}: s2", s2))


def _classes(where: str, value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{where} is {value!r}; want a list of classes, e.g. [coat, shirt]")
    if wrong := [one for one in value if not isinstance(one, str)]:
        raise UserError(f"{where} holds {wrong[0]!r}, which is not the name of a class; put a name in quotes")
    return value
