"""What reviewers fill in beside signing and rejecting."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from agents.approvals.editing import MAX_CODE_CHARS
from countersign.console import words
from countersign.console.forms import MAX_COMMENT
from policies.directory import Person
from policies.standing import GROUP


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


class WithdrawForm(forms.Form):
    """Why a change is taken back."""

    reason = forms.CharField(
        label="Why",
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands in the log beside your name.",
    )


class ReassignForm(forms.Form):
    """Whom else to ask: a group, or one person."""

    to = forms.ChoiceField(label="Hand it to", widget=forms.RadioSelect)
    reason = forms.CharField(
        label="Why",
        max_length=MAX_COMMENT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands on the request and in the log, not in the mail.",
    )

    def __init__(
        self,
        data: Any,  # noqa: ANN401 - a QueryDict
        groups: Mapping[str, Sequence[Person]],
        people: Sequence[Person],
    ) -> None:
        super().__init__(data)
        field = self.fields["to"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [
                *((role, _group(role, able)) for role, able in groups.items()),
                *((person.id, person.name) for person in people),
            ]

    def target(self) -> dict[str, str]:
        """The chosen one, as the service takes it."""
        chosen = self.cleaned_data["to"]
        return {"role" if chosen.startswith(GROUP) else "to": chosen}


def _group(role: str, able: Sequence[Person]) -> str:
    names = words.names([person.name for person in able])
    return f"Reviewers of {role.removeprefix(GROUP)} who may sign it: {names}"
