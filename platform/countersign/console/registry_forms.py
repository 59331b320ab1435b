"""What people fill in to propose a change of what is registered."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from agents.budgets.limits import Limits
from agents.registry.proposal import MAX_DOCUMENT_CHARS, MAX_FILE_CHARS
from countersign.console.forms import FilesField

_ABOUT = {
    "steps": ("Steps", "Turns of the loop."),
    "wall_s": ("Seconds at work", "Time that is parked for people does not count."),
    "tokens": ("Tokens", "Input and output together."),
    "cost_micros": ("Cost", "In millionths of the model's currency unit."),
    "calls": ("Tool calls", ""),
    "step_wall_s": ("Seconds of one program", ""),
    "step_cpu_s": ("CPU seconds of one program", ""),
    "memory_mb": ("Memory (MiB)", ""),
    "disk_mb": ("Disk (MiB)", ""),
    "output_kb": ("Output of one program (KiB)", ""),
    "observation_chars": ("Characters shown to the model", "Of what one program printed."),
}


EXAMPLE = """models:
  spare:
    base_url: https://models.example/v1
    model: spare-1
    api_key: env:SPARE_MODEL_KEY
agents:
  Reader:
    description: Reads a report and sums it up.
    instructions: Read the file. Say in five sentences what it says.
    goal: Sum up the report.
    model: spare
    limits: {steps: 8}
"""
"""A model and an agent that is told to use it; a test proposes it."""


class FileForm(forms.Form):
    """A register file, pasted or uploaded."""

    text = forms.CharField(
        label="The file, or the part of it that changes",
        max_length=MAX_FILE_CHARS,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "class": "json", "spellcheck": "false"}),
        help_text="YAML or JSON. What it does not name stays as it is.",
    )
    file = forms.FileField(
        label="Or upload it",
        required=False,
        help_text="An uploaded file is taken instead of the text above.",
    )
    documents = FilesField(
        label="OpenAPI documents",
        required=False,
        help_text="Those that the file names, for tools over HTTP. Give them at each step.",
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        upload = given.get("file")
        if isinstance(upload, UploadedFile):
            given["text"] = _text_of(upload)
        given["documents"] = {
            str(each.name): _text_of(each, MAX_DOCUMENT_CHARS)
            for each in given.get("documents") or ()
        }
        if not str(given.get("text") or "").strip():
            raise forms.ValidationError("Paste the file or upload it.")
        return given


_TEXTS = ("description", "goal", "instructions")


class AgentForm(forms.Form):
    """An agent's definition, field by field; `base` is the version people looked at."""

    base = forms.CharField(widget=forms.HiddenInput, max_length=64)
    description = forms.CharField(max_length=2000, required=False)
    goal = forms.CharField(
        label="Goal it starts with",
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    instructions = forms.CharField(
        max_length=MAX_FILE_CHARS, widget=forms.Textarea(attrs={"rows": 12})
    )
    model = forms.ChoiceField()
    tools = forms.MultipleChoiceField(
        label="Tools it may call", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None,
        *,
        models: Sequence[str],
        tools: Sequence[str],
        initial: Mapping[str, Any],
    ) -> None:
        super().__init__(data, initial=dict(initial))
        for name, choices in (("model", models), ("tools", tools)):
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = [(choice, choice) for choice in choices]
        for name in Limits().to_json():
            label, about = _ABOUT.get(name, (name, ""))
            self.fields[f"limit_{name}"] = forms.IntegerField(
                label=label, min_value=1, max_value=2**53 - 1, help_text=about
            )

    def changes(self) -> dict[str, Any]:
        """The entries of the file that the form holds."""
        given = self.cleaned_data
        # A browser sends CRLF, whatever it was given: nobody changed those lines.
        texts = {key: given[key].replace("\r\n", "\n") for key in _TEXTS}
        return {
            **texts,
            "model": given["model"],
            "tools": given["tools"],
            "limits": {name: given[f"limit_{name}"] for name in Limits().to_json()},
        }


def _text_of(upload: "UploadedFile[Any]", limit: int = MAX_FILE_CHARS) -> str:
    if (upload.size or 0) > 4 * limit:
        raise forms.ValidationError("The file is too large.")
    try:
        return str(upload.read().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise forms.ValidationError("The file is not text in UTF-8.") from error
