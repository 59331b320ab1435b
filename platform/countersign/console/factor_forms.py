"""How people prove who they are: the password, a code, and the second factor itself."""

from typing import Any

from django import forms

CODE_ATTRS = {
    "autocomplete": "one-time-code",
    "autocapitalize": "none",
    "spellcheck": "false",
    "class": "code-field",
}
MAX_CODE = 40
"""A recovery code with its hyphens is 19 characters."""


class PasswordField(forms.CharField):
    """A password as it was typed; `new` where it is being chosen."""

    def __init__(self, *, label: str = "Your password", new: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        kept = "new-password" if new else "current-password"
        widget = forms.PasswordInput(attrs={"autocomplete": kept})
        super().__init__(label=label, max_length=1000, strip=False, widget=widget, **kwargs)


class CodeInput(forms.TextInput):
    """Like a field for a password: what was sent is never put into the page again."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:  # noqa: ANN401
        return super().get_context(name, None, attrs)


class CodeField(forms.CharField):
    """A code of an authenticator app; `any_code` where a recovery code serves as well."""

    def __init__(self, *, any_code: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        # A recovery code has letters: the keyboard of digits would keep people from it.
        digits = {} if any_code else {"inputmode": "numeric"}
        widget = CodeInput(attrs={**CODE_ATTRS, **digits})
        super().__init__(max_length=MAX_CODE, widget=widget, **kwargs)


class ProofForm(forms.Form):
    """The password, and a code where there is an authenticator already."""

    password = PasswordField()
    code = CodeField(
        any_code=True,
        label="A code of your authenticator, or a recovery code",
        help_text="A recovery code is used up by it.",
    )

    def __init__(self, *args: Any, enrolled: bool, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        super().__init__(*args, **kwargs)
        if not enrolled:
            del self.fields["code"]


class LoginCodeForm(forms.Form):
    """The code that comes after the password."""

    code = CodeField(
        any_code=True,
        label="The code that your authenticator shows now, or a recovery code",
        help_text="A recovery code is used up by it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["autofocus"] = True


class FirstCodeForm(forms.Form):
    """The first code of an authenticator that is being set up."""

    ticket = forms.CharField(widget=forms.HiddenInput, max_length=200)
    code = CodeField(
        label="The code that the app shows now",
        help_text="Six digits; the app shows others every thirty seconds.",
    )
