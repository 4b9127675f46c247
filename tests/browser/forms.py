"""The forms of Prefect's UI (V2), filled in as a person does: by the labels that one sees."""

from __future__ import annotations

import re
from collections.abc import Mapping

from playwright.sync_api import Locator, Page

Value = str | list[str]


def fill_form(form: Page | Locator, values: Mapping[str, Value]) -> None:
    """Fill in a form.

    Args:
        form: What holds it.
        values: By label: a text, also for numbers, JSON and what is chosen from a menu; or a list's items.
    """
    for label, value in values.items():
        _fill(_field(form, label), value)


def pick_block(form: Page | Locator, label: str, name: str) -> None:
    """Pick a saved Block from the list of a flow's parameter."""
    field = _field(form, label)
    field.get_by_role("button", name="Select a block").click()
    _choose(field.page, name)


def _field(form: Page | Locator, label: str) -> Locator:
    # Prefect says of each field with a default that it is optional.
    name = re.compile(rf"^{re.escape(label)}( \(Optional\))?$")
    return form.locator("label").filter(has_text=name).locator("xpath=../../..")


def _fill(field: Locator, value: Value) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            field.get_by_role("button", name="Add item").click()
            field.get_by_role("textbox").nth(number).fill(item)
        return
    editor, text = field.locator(".cm-content"), field.locator("input, textarea")
    menu = field.get_by_role("button", name="Select ")
    editor.or_(menu).or_(text).first.wait_for()  # what a field is comes after its label
    if editor.count():  # of JSON
        editor.click()
        editor.press("ControlOrMeta+a")
        field.page.keyboard.insert_text(
            value
        )  # as if pasted: of what is typed, the editor closes the brackets
    elif menu.count():
        menu.click()
        _choose(field.page, value)
    else:
        text.first.fill(value)


def _choose(page: Page, name: str) -> None:
    option = page.get_by_role("option", name=name, exact=True)
    option.click()
    option.wait_for(state="detached")  # it fades
