"""From a tree to a function that renders. Texts and plain paths, most templates, need no Jinja for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.budget import MAX_TEXT, begin
from leadpush_prefect.templates.escaping import OWN
from leadpush_prefect.templates.places import ESCAPES
from leadpush_prefect.templates.rewriting import Path
from leadpush_prefect.templates.sandbox import GLOBALS, DataEnvironment
from leadpush_prefect.templates.values import Nothing, TemplateFailed, ValueMissing, walk

__all__ = ["Namespace", "renderer"]

Namespace = Mapping[str, Any]
Render = Callable[[Namespace], str]
PlainPart = str | tuple[Callable[[Any, str], str], str, str, Path]


def renderer(tree: nodes.Template, environment: DataEnvironment, field: str) -> Render:
    """What renders a tree. It raises `TemplateFailed`, and nothing else."""
    return _mapping_errors(
        _plain_renderer(tree, environment.missing) or _jinja_renderer(tree, environment), field
    )


def _too_long() -> TemplateFailed:
    return TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"It renders to more than {MAX_TEXT} characters.")


def _jinja_renderer(tree: nodes.Template, environment: DataEnvironment) -> Render:
    template = jinja2.Template.from_code(environment, environment.compile(tree), environment.globals)

    def render(namespace: Namespace) -> str:
        begin()
        pieces: list[str] = []
        size = 0
        for piece in template.root_render_func(template.new_context(dict(namespace))):
            size += len(piece)
            if size > MAX_TEXT:
                raise _too_long()
            pieces.append(piece)
        return "".join(pieces)

    return render


def _plain_renderer(tree: nodes.Template, missing: type[Nothing]) -> Render | None:
    """The renderer of a list of texts and paths, or None if there is more in the template."""
    parts = _plain_parts(tree)
    if parts is None:
        return None
    if all(isinstance(part, str) for part in parts):
        literal = "".join(part for part in parts if isinstance(part, str))
        return lambda namespace: literal

    def render(namespace: Namespace) -> str:
        pieces = []
        size = 0
        for part in parts:
            if isinstance(part, str):
                pieces.append(part)
            else:
                escape, path, root, keys = part
                value = namespace[root] if root in namespace else missing(name=root)
                piece = escape(walk(value, root, keys, missing) if keys else value, path)
                size += len(piece)
                if size > MAX_TEXT:  # before the next one is made
                    raise _too_long()
                pieces.append(piece)
        text = "".join(pieces)
        if len(text) > MAX_TEXT:
            raise _too_long()
        return text

    return render


def _plain_parts(tree: nodes.Template) -> list[PlainPart] | None:
    parts: list[PlainPart] = []
    for statement in tree.body:
        if not isinstance(statement, nodes.Output):
            return None
        for node in statement.nodes:
            part = node.data if isinstance(node, nodes.TemplateData) else _plain_value(node)
            if part is None:
                return None
            parts.append(part)
    return parts


def _plain_value(node: nodes.Node) -> PlainPart | None:
    match node:
        case nodes.Filter(name=name, node=inner, args=[nodes.Const(value=path)]) if name.startswith(
            f"{OWN}escape "
        ):
            escape = ESCAPES[name.removeprefix(f"{OWN}escape ")]
        case _:
            return None
    match inner:
        case nodes.Name(name=root) if root not in GLOBALS:
            return escape, path, root, ()
        case nodes.Filter(name=name, node=nodes.Name(name=root), args=[_, nodes.Tuple(items=keys), _]) if (
            name == f"{OWN}walk" and root not in GLOBALS and all(isinstance(key, nodes.Const) for key in keys)
        ):
            return escape, path, root, tuple(key.value for key in keys if isinstance(key, nodes.Const))
    return None


def _mapping_errors(render: Render, field: str) -> Render:
    """Every error of a rendering as a `TemplateFailed`; none carries a value."""

    def rendered(namespace: Namespace) -> str:
        try:
            return render(namespace)
        except ValueMissing as error:
            reason, message = Reason.TEMPLATE_MISSING, str(error)
        except TemplateFailed as error:
            reason, message = error.reason, error.message
        except UnicodeEncodeError:
            reason = Reason.TEMPLATE_INVALID
            message = "A value holds half of a surrogate pair, which has no form in UTF-8."
        except (TypeError, ZeroDivisionError) as error:  # their texts name types, not values
            reason, message = Reason.TEMPLATE_INVALID, f"{error}."
        except Exception as error:
            reason, message = Reason.TEMPLATE_INVALID, f"{type(error).__name__} while it was rendered."
        raise TemplateFailed(reason, message, field)

    return rendered
