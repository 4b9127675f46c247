"""Templates: the sandboxed Jinja of endpoints, conditions and messages.

`values` says how data is read, `sandbox` which Jinja there is, `places` how a value is escaped where it
lands, and `compiler` puts the three together, once per template. Nothing here knows of HTTP or Prefect.
"""

from leadpush_prefect.templates.compiler import (
    Condition,
    Template,
    compile_condition,
    compile_json,
    compile_template,
)
from leadpush_prefect.templates.places import FORM, HEADER, QUERY_VALUE, TEXT, URL
from leadpush_prefect.templates.values import TemplateFailed

__all__ = [
    "FORM",
    "HEADER",
    "QUERY_VALUE",
    "TEXT",
    "URL",
    "Condition",
    "Template",
    "TemplateFailed",
    "compile_condition",
    "compile_json",
    "compile_template",
]
