"""Configuration files: YAML with plain values, in which a key is given once."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode

from sequentia.errors import UserError
from sequentia.text import printable


class _Loader(yaml.SafeLoader):
    """PyYAML's own keeps the last of two equal keys without a word."""

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)  # before `<<` merges others, which the own keys override
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise UserError(f"gives {printable(key.value[:40])} twice, again in line {line}: remove one of them")
            seen.add(key.value)
        return node


def parse_config(content: str | bytes, name: str) -> dict[str, Any]:
    """The options in a configuration; nothing that it names is imported or called.

    Of the content a message shows no more than a key: it may be the wrong file, and secret.

    Args:
        content: The YAML.
        name: The file, for a message.

    Raises:
        UserError: It is not plain YAML, not a mapping, or gives a key twice.
    """
    try:
        options = _Loader(content).get_single_data()
    except UserError as error:
        raise UserError(f"{name} {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "context_mark", None) or getattr(error, "problem_mark", None)
        position = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{name} is not plain YAML in UTF-8{position}; correct it, or give another file") from error
    if not isinstance(options, dict):
        kind = "empty" if options is None else "a list" if isinstance(options, list) else "a single value"
        raise UserError(f"{name} is {kind}, not a YAML mapping of options, such as `trainer: {{max_steps: 100}}`")
    return options
