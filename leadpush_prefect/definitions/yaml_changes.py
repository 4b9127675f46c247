"""A YAML text with other values, of which all that stays is written as it was: comments, order and quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken

from leadpush_prefect.definitions.references import Reference
from leadpush_prefect.definitions.values import is_same
from leadpush_prefect.definitions.yaml_text import (
    InvalidYaml,
    as_written,
    from_yaml,
    styled,
    to_yaml,
    written_by,
)

__all__ = ["changed_yaml"]

_Collection = CommentedMap | CommentedSeq


def changed_yaml(text: str, fields: dict[str, Any]) -> str:
    """Change the fields in a YAML text to others, and nothing besides.

    Args:
        text: What `from_yaml` can read as a mapping.
        fields: JSON-like values and references, as for `to_yaml`.

    Returns:
        The changed text. Where it would not say what it must, such as in a text whose values stand for each other
        (`&a`, `*a`), it is written anew.

    >>> print(changed_yaml("# Of the shop.\\nb: yes  # it is\\na: 1\\n", {"a": 2, "b": True}), end="")
    # Of the shop.
    b: yes  # it is
    a: 2
    """
    anew = to_yaml(fields)
    try:
        changed = _changed(text.replace("\r\n", "\n"), fields)
        changed = changed.replace("\n", "\r\n") if "\r\n" in text else changed
        return changed if is_same(from_yaml(changed), from_yaml(anew)) else anew
    except (
        YAMLError,
        InvalidYaml,
        LookupError,
        NotImplementedError,
    ):  # it is YAML of a kind that cannot be kept
        return anew


def _changed(text: str, fields: dict[str, Any]) -> str:
    yaml = as_written()
    document = yaml.load(text)
    if not isinstance(document, CommentedMap):
        return to_yaml(fields)
    _write_as(yaml, text, document)
    _change_map(document, from_yaml(text), fields)
    return written_by(yaml, document)


def _write_as(yaml: YAML, text: str, document: CommentedMap) -> None:
    """Have a document written as its text is: how far it indents, and how it begins."""
    for parent, child in _nested(document):
        inward = child.lc.col - parent.lc.col
        if isinstance(child, CommentedMap) and isinstance(parent, CommentedMap) and inward > 0:
            yaml.map_indent = inward
        elif isinstance(child, CommentedSeq) and isinstance(parent, CommentedMap):
            yaml.sequence_dash_offset = inward
            yaml.sequence_indent = inward + 2
    yaml.explicit_start = bool(re.search(r"^---\s", text, re.MULTILINE))


def _nested(parent: _Collection) -> Iterator[tuple[_Collection, _Collection]]:
    for child in parent.values() if isinstance(parent, CommentedMap) else parent:
        if _is_block(child):
            yield parent, child
            yield from _nested(child)


def _is_block(value: Any) -> bool:
    """Whether it has entries on lines of their own, which can be changed one by one."""
    return isinstance(value, _Collection) and len(value) > 0 and not value.fa.flow_style()


def _change_map(written: CommentedMap, before: dict[Any, Any], after: dict[str, Any]) -> None:
    values = dict(zip(written, before.values(), strict=True))  # by their keys as they are written: 1, not "1"
    for key in [key for key in written if key not in after]:
        _drop(written, key)
    for place, (key, value) in enumerate(after.items()):
        if key not in written:
            _insert(written, _place(written, list(after)[:place]), key, value)
        else:
            _change(written, key, values[key], value)


def _place(written: CommentedMap, earlier: list[str]) -> int:
    """Where a new entry belongs: behind the last one that is there of those that come before it."""
    keys = list(written)
    return next((keys.index(key) + 1 for key in reversed(earlier) if key in keys), 0)


def _change_list(written: CommentedSeq, before: list[Any], after: list[Any]) -> None:
    """Change what stands between the entries at both ends that stay."""
    first = _same_at_the_beginning(before, after)
    last = _same_at_the_beginning(before[first:][::-1], after[first:][::-1])
    middle = after[first : len(after) - last]
    for index in range(len(before) - last - 1, first + len(middle) - 1, -1):
        _drop(written, index)
    for index, item in enumerate(middle, first):
        if index < len(before) - last:
            _change(written, index, before[index], item)
        else:
            _insert(written, index, index, item)


def _same_at_the_beginning(left: list[Any], right: list[Any]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((n for n, (a, b) in pairs if not _is_same(a, b)), min(len(left), len(right)))


def _is_same(before: Any, after: Any) -> bool:
    return is_same(before, _as_read(after))


def _as_read(value: Any) -> Any:
    """A value as it is read back, with what stands for each reference."""
    if isinstance(value, Reference):
        return value.as_data()
    if isinstance(value, dict):
        return {key: _as_read(item) for key, item in value.items()}
    return [_as_read(item) for item in value] if isinstance(value, list) else value


def _change(parent: _Collection, key: Any, before: Any, after: Any) -> None:
    written = parent[key]
    if _is_same(before, after):
        return
    if _is_block(written) and isinstance(before, dict) and isinstance(after, dict) and after:
        _change_map(written, before, after)
    elif _is_block(written) and isinstance(before, list) and isinstance(after, list) and after:
        _change_list(written, before, after)
    else:
        comment = _take_comment(parent, key)
        if _ends_its_line(written):
            parent[key] = None  # quotes stay, with what is in them changed; a block is for some texts only
        parent[key] = styled(after)
        _give_comment(
            parent, key, comment if _last(parent, key) == (parent, key) else comment._replace(column=0)
        )


class _Comment(NamedTuple):
    """A comment that ruamel.yaml keeps with a value.

    What stands below a value most often says what comes next, and would go with the value.
    """

    behind: str = ""
    below: str = ""
    column: int = 0


def _drop(parent: _Collection, key: Any) -> None:
    below = _take_comment(parent, key).below
    keys = _keys(parent)
    place = keys.index(key)
    del parent[key]
    if not below:
        return
    if place:
        previous = _take_comment(parent, keys[place - 1])
        _give_comment(parent, keys[place - 1], previous._replace(below=previous.below + below))
    elif isinstance(parent, CommentedMap) and parent:
        column = len(below) - len(below.lstrip(" "))
        token = CommentToken(below.lstrip(" "), CommentMark(column), None)
        parent.ca.items.setdefault(keys[1], [None] * 4)[1] = [token]


def _insert(parent: _Collection, place: int, key: Any, value: Any) -> None:
    below = ""
    if place:
        previous = _keys(parent)[place - 1]
        comment = _take_comment(parent, previous)
        below = comment.below
        _give_comment(parent, previous, comment._replace(below=""))
    if isinstance(parent, CommentedMap):
        parent.insert(place, next(iter(styled({key: None}))), styled(value))
    else:
        parent.insert(place, styled(value))
    _give_comment(parent, key, _Comment(below=below))


def _keys(parent: _Collection) -> list[Any]:
    return list(parent) if isinstance(parent, CommentedMap) else list(range(len(parent)))


def _last(parent: _Collection, key: Any) -> tuple[_Collection, Any]:
    """The last of a value's entries, and of that one's: what stands below is kept with it."""
    value = parent[key]
    return _last(value, _keys(value)[-1]) if _is_block(value) else (parent, key)


def _ends_its_line(value: Any) -> bool:
    return isinstance(value, LiteralScalarString | FoldedScalarString)


def _slot(parent: _Collection) -> int:
    """Where ruamel.yaml has the comment of a value, among those of its entry."""
    return 2 if isinstance(parent, CommentedMap) else 0


def _take_comment(parent: _Collection, key: Any) -> _Comment:
    """Remove the comment of a value, and give it."""
    parent, key = _last(parent, key)
    tokens = parent.ca.items.get(key)
    token = tokens[_slot(parent)] if tokens else None
    if token is None:
        return _Comment()
    tokens[_slot(parent)] = None
    if _ends_its_line(parent[key]):
        return _Comment("", token.value, 0)
    behind, _, below = token.value.partition("\n")
    return _Comment(behind, below, token.column)


def _give_comment(parent: _Collection, key: Any, comment: _Comment) -> None:
    parent, key = _last(parent, key)
    line_end = "" if _ends_its_line(parent[key]) and not comment.behind else "\n"
    text = f"{comment.behind}{line_end}{comment.below}"
    if comment.behind or comment.below:
        token = CommentToken(text, CommentMark(comment.column), None)
        parent.ca.items.setdefault(key, [None] * 4)[_slot(parent)] = token
