"""What administrators fill in about people."""

from collections.abc import Iterable
from typing import Any

from django import forms

from countersign.accounts.errors import InvalidRole
from countersign.accounts.roles import REVIEWER_PREFIX, Role, parse_role
from countersign.console import words


class RolesForm(forms.Form):
    """All roles that a person is to hold."""

    roles = forms.MultipleChoiceField(
        required=False,
        choices=[(role.value, words.role(role.value).capitalize()) for role in Role],
        widget=forms.CheckboxSelectMultiple,
    )
    groups = forms.CharField(
        label="Reviews for",
        required=False,
        max_length=500,
        help_text="Groups of reviewers by comma, such as finance, security.",
    )

    def clean_groups(self) -> list[str]:
        names = str(self.cleaned_data["groups"]).split(",")
        try:
            return [
                parse_role(f"{REVIEWER_PREFIX}{name.strip()}") for name in names if name.strip()
            ]
        except InvalidRole as error:
            raise forms.ValidationError(
                "A group is lower-case letters, digits, - and _, and begins with a letter."
            ) from error

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and not self.wanted():
            raise forms.ValidationError("Choose at least one role.")
        return given

    def wanted(self) -> list[str]:
        """Every role chosen."""
        given = self.cleaned_data
        return sorted([*given.get("roles", ()), *given.get("groups", ())])

    @staticmethod
    def initial_of(roles: Iterable[str]) -> dict[str, Any]:
        """What the form shows of someone who holds `roles`."""
        groups = [role.removeprefix(REVIEWER_PREFIX) for role in roles if REVIEWER_PREFIX in role]
        return {"roles": [role for role in roles if ":" not in role], "groups": ", ".join(groups)}


class PersonForm(RolesForm):
    """A person to add."""

    username = forms.CharField(
        label="User name",
        max_length=80,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
        help_text="Someone who has an account here keeps it: give its name and e-mail address.",
    )
    name = forms.CharField(max_length=120)
    email = forms.EmailField(label="E-mail", max_length=254)
    field_order = ["username", "name", "email", "roles", "groups"]


class ResetForm(forms.Form):
    reason = forms.CharField(
        label="Why, and how you know it is them",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Whoever signs reads this.",
    )


class RemoveForm(forms.Form):
    sure = forms.BooleanField(label="Yes, end this membership now")
