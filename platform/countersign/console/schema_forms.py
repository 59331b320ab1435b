"""A form from a JSON Schema, so that a run can be started without knowing what a schema is.

Fields cover what people fill in by hand; what they cannot (nested objects, mixed types) is one
field of JSON. The form only turns text into JSON values: whether they match the schema is checked
by the service, whose sentence is shown at the form.
"""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import ProhibitNullCharactersValidator

from audit.canonical import JSON
from countersign import strict_json

LONG_TEXT = 200


class JSONText(forms.CharField):
    """A field whose text is JSON."""

    widget = forms.Textarea(attrs={"rows": 6, "class": "json", "spellcheck": "false"})

    def to_python(self, value: JSON) -> JSON:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return strict_json.read(text, "this")
        except strict_json.Unfit as error:
            raise forms.ValidationError(
                f"{error.where[:100].capitalize()} {error.what}."
            ) from error
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}") from error


class Lines(forms.Field):
    """A list of texts, one per line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def to_python(self, value: JSON) -> list[str] | None:
        ProhibitNullCharactersValidator()(value)
        lines = [line.strip() for line in str(value or "").splitlines()]
        return [line for line in lines if line] or None


class InputsForm(forms.Form):
    """The inputs of a run; fields come from the schema's properties."""

    prefix = "in"

    def __init__(self, schema: Mapping[str, Any], data: Mapping[str, Any] | None) -> None:
        super().__init__(data)
        self.schema = schema
        required = set(schema.get("required", ()))
        for name, part in properties(schema):
            self.fields[name] = field(name, part, required=name in required)

    def inputs(self) -> dict[str, Any]:
        """The values people gave; what they left empty is absent, so that defaults apply."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


def properties(schema: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and schema of each property, the required ones first in the order they are required.

    The database keeps the order of lists, not that of keys.
    """
    found: Mapping[str, Any] = schema.get("properties", {})
    first = [name for name in schema.get("required", ()) if name in found]
    return [(name, found[name]) for name in [*first, *(n for n in found if n not in first)]]


def field(name: str, part: Mapping[str, Any], *, required: bool) -> forms.Field:
    """One property as a form field."""
    common: dict[str, Any] = {
        "label": part.get("title") or name.replace("_", " ").capitalize(),
        "help_text": part.get("description", ""),
        "required": required and part.get("type") != "boolean",
        "initial": part.get("default"),
    }
    if "enum" in part and all(isinstance(item, str) for item in part["enum"]):
        choices = [(item, item) for item in part["enum"]]
        return forms.ChoiceField(choices=choices if required else [("", "–"), *choices], **common)
    match part.get("type"):
        case "string":
            return _text(part, common)
        case "integer":
            return forms.IntegerField(
                min_value=part.get("minimum"), max_value=part.get("maximum"), **common
            )
        case "number":
            return forms.FloatField(
                min_value=part.get("minimum"), max_value=part.get("maximum"), **common
            )
        case "boolean":
            return forms.BooleanField(**common)
        case "array" if part.get("items", {}).get("type") == "string":
            common["help_text"] = f"{common['help_text']} One per line.".strip()
            common["initial"] = "\n".join(part.get("default", ()))
            return Lines(**common)
    common["help_text"] = f"{common['help_text']} As JSON.".strip()
    if common["initial"] is not None:
        common["initial"] = json.dumps(common["initial"], indent=2)
    return JSONText(**common)


def _text(part: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    limit = part.get("maxLength")
    widget: forms.Widget = forms.TextInput()
    match part.get("format"):
        case "date":
            widget = forms.DateInput(attrs={"type": "date"})
        case "email":
            return forms.EmailField(max_length=limit, **common)
        case "uri":
            return forms.URLField(max_length=limit, assume_scheme="https", **common)
        case _ if part.get("x-multiline") or (limit or 0) > LONG_TEXT:
            widget = forms.Textarea(attrs={"rows": 4})
    examples = part.get("examples") or ()
    if examples and not isinstance(widget, forms.DateInput):
        widget.attrs["placeholder"] = str(examples[0])
    return forms.CharField(
        max_length=limit, min_length=part.get("minLength"), widget=widget, **common
    )
