"""What reviewers fill in beside signing and rejecting."""

from collections.abc import Sequence
from typing import Any

from django import forms

from agents.editing import MAX_CODE_CHARS
from countersign.console.forms import MAX_COMMENT
from policies.directory import Person


class EditForm(forms.Form):
    """A program in place of the one to be signed."""

    code = forms.CharField(
        label="The program",
        max_length=MAX_CODE_CHARS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 22, "class": "json", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        label="Why",
        max_length=MAX_COMMENT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="The agent is told this, and it stands in the log beside your name.",
    )


class ReassignForm(forms.Form):
    """Whom else to ask."""

    to = forms.ChoiceField(label="Hand it to", widget=forms.RadioSelect)

    def __init__(self, data: Any, people: Sequence[Person]) -> None:  # noqa: ANN401 - a QueryDict
        super().__init__(data)
        field = self.fields["to"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(person.id, person.name) for person in people]
