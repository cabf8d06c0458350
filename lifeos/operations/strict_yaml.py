"""YAML of the control plane, read strictly: plain values, no key twice, no anchors; front matter split off."""

import math
from dataclasses import dataclass
from typing import Any

from lifeos.errors import InputError

FENCE = "---"
LARGEST_CHARACTERS = 256 * 1024
DEEPEST = 20


@dataclass(frozen=True)
class Document:
    """A text file with front matter.

    Args:
        values: of the front matter; empty where the document has none.
        body: what follows it, line ends as they are.
        body_line: number of the body's first line, from 1.
    """

    values: dict[str, Any]
    body: str
    body_line: int


class YamlError(InputError):
    """The YAML is refused.

    Args:
        line: from 1.
        got: what was wrong there.
        where: file, for the message.
    """

    def __init__(self, line: int, got: str, where: str) -> None:
        self.line, self.got = line, got
        super().__init__(f"{where}: line {line}: accepted plain YAML, got {got}; next: correct that line")


def read_yaml(text: str, where: str, first_line: int = 1) -> Any:
    """Read one YAML value: strings, integers, floats, booleans, null, lists, and mappings with string keys.

    Times stay strings. A key that stands twice, an anchor, an alias, a tag, a key that is no string and nesting deeper
    than 20 are refused: each lets two readers see two things in one text.

    Args:
        text: at most 256 Ki characters.
        where: file, for messages.
        first_line: number of the text's first line in its file.

    Raises:
        YamlError: the text is no such YAML.
    """
    import yaml

    # The one in C reads the same and is ten times as fast; every wheel of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if len(text) > LARGEST_CHARACTERS:
        raise YamlError(first_line, f"more than {LARGEST_CHARACTERS} characters", where)
    try:
        for event in yaml.parse(text, Loader=loader):
            _refuse_references(event, first_line, where)
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
        raise YamlError(first_line + (mark.line if mark is not None else 0), str(said), where) from error
    except YamlError:
        raise
    except (RecursionError, ValueError) as error:
        raise YamlError(first_line, f"no YAML ({type(error).__name__})", where) from error
    return None if node is None else _value(node, first_line, where, 0)


def split_front_matter(text: str, where: str) -> Document:
    """Split a document into its front matter, between two lines ``---`` at its very beginning, and its body.

    Raises:
        YamlError: the front matter is never closed, is no YAML or no mapping.
    """
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip("\r\n") != FENCE:
        return Document({}, text, 1)
    for number in range(1, len(lines)):
        if lines[number].rstrip("\r\n") == FENCE:
            values = read_yaml("".join(lines[1:number]), where, first_line=2)
            if values is None:
                values = {}
            if not isinstance(values, dict):
                raise YamlError(2, "front matter that is no mapping", where)
            return Document(values, "".join(lines[number + 1 :]), number + 2)
    raise YamlError(1, "front matter that is never closed", where)


def _refuse_references(event: Any, first_line: int, where: str) -> None:
    line = first_line + event.start_mark.line
    if type(event).__name__ == "AliasEvent" or getattr(event, "anchor", None):
        raise YamlError(line, "an anchor or alias", where)
    if getattr(event, "tag", None):
        raise YamlError(line, "a tag", where)


def _value(node: Any, first_line: int, where: str, depth: int) -> Any:
    from yaml.constructor import SafeConstructor

    line = first_line + node.start_mark.line
    if depth > DEEPEST:
        raise YamlError(line, f"nesting deeper than {DEEPEST}", where)
    if node.id == "sequence":
        return [_value(child, first_line, where, depth + 1) for child in node.value]
    if node.id == "mapping":
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _value(key_node, first_line, where, depth + 1)
            key_line = first_line + key_node.start_mark.line
            if not isinstance(key, str):
                raise YamlError(key_line, f"a key that is no text: {key!r}", where)
            if key in found:
                raise YamlError(key_line, f"the key {key!r} twice", where)
            found[key] = _value(value_node, first_line, where, depth + 1)
        return found
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    constructor = SafeConstructor()
    try:
        if node.tag == "tag:yaml.org,2002:float":
            number = constructor.construct_yaml_float(node)
            if not math.isfinite(number):
                raise YamlError(line, f"a number that is not finite: {node.value}", where)
            return number
        if node.tag == "tag:yaml.org,2002:int":
            return constructor.construct_yaml_int(node)
        if node.tag == "tag:yaml.org,2002:bool":
            return constructor.construct_yaml_bool(node)
    except YamlError:
        raise
    except (ValueError, OverflowError, KeyError) as error:
        raise YamlError(line, f"a number that cannot be read: {node.value[:40]!r}", where) from error
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag != "tag:yaml.org,2002:str":
        raise YamlError(line, f"a value of another kind: {node.value[:40]!r}", where)
    return node.value
