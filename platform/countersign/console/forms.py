"""What people fill in. A form checks its shape; whether the act is allowed, the service says."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from agents.files.artifacts import Upload
from agents.selectors import ArtifactView
from countersign.console.factor_forms import CodeField, PasswordField
from countersign.console.schema_forms import JSONText
from policies.models import Meaning

MAX_COMMENT = 4000


class LoginForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=80,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "username",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )
    password = PasswordField(label="Password")


class PasswordForm(forms.Form):
    old = PasswordField(label="Current password")
    new = PasswordField(
        label="New password",
        new=True,
        help_text="At least 12 characters; a few unrelated words are easy to keep.",
    )
    again = PasswordField(label="New password, again", new=True)

    def clean_again(self) -> str:
        again = str(self.cleaned_data["again"])
        if again != self.cleaned_data.get("new"):
            raise forms.ValidationError("This is not the same as the new password above.")
        return again


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files, also none."""

    widget = Files

    def clean(self, data: Any, initial: Any = None) -> "list[UploadedFile[Any]]":  # noqa: ANN401
        given = data if isinstance(data, list | tuple) else [data] if data else []
        return [super(FilesField, self).clean(each, initial) for each in given]


class GivenFilesForm(forms.Form):
    """Files that a run is given, and whether their text may decide anything."""

    attached = FilesField(
        label="Files",
        required=False,
        help_text="Its programs find them in the folder in/.",
    )
    written = forms.ChoiceField(
        label="Who wrote them",
        choices=[
            ("outside", "Somebody outside, or I do not know: what they say decides nothing"),
            ("inside", "I answer for what they say"),
        ],
        initial="outside",
        required=False,
        widget=forms.RadioSelect,
    )
    personal = forms.BooleanField(label="They hold personal data", required=False)
    confidential = forms.BooleanField(label="They are confidential", required=False)

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - a form's
        earlier: Sequence[ArtifactView] = (),
        **kwargs: Any,  # noqa: ANN401 - a form's
    ) -> None:
        """`earlier`: files of earlier runs that may be taken along, all of them at first."""
        super().__init__(*args, **kwargs)
        self.fields["attached"].help_text += (
            f" At most {settings.COUNTERSIGN_FILE_MB} MB each,"
            f" {settings.COUNTERSIGN_FILES_MB} MB together."
        )
        if earlier:
            self.fields["earlier"] = forms.MultipleChoiceField(
                label="Files of earlier runs",
                choices=[(str(file.id), _described(file)) for file in earlier],
                initial=[str(file.id) for file in earlier],
                required=False,
                widget=forms.CheckboxSelectMultiple,
                help_text="They keep the labels that they have.",
            )
            self.order_fields(["earlier"])

    def references(self) -> list[UUID]:
        return [UUID(chosen) for chosen in self.cleaned_data.get("earlier", ())]

    def uploads(self) -> list[Upload]:
        return [Upload(str(each.name), each.read()) for each in self.cleaned_data["attached"]]

    def labels(self) -> list[str]:
        said = [name for name in ("personal", "confidential") if self.cleaned_data[name]]
        trusted = self.cleaned_data["written"] == "inside"
        return said if trusted else ["untrusted", *said]


def _described(file: ArtifactView) -> str:
    return ", ".join([file.name, filesizeformat(file.size), *file.labels])


class GoalForm(forms.Form):
    goal = forms.CharField(
        label="What is to be done",
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The agent and every reviewer read this.",
    )
    key = forms.CharField(widget=forms.HiddenInput, max_length=64)


class StopForm(forms.Form):
    reason = forms.CharField(
        label="Reason",
        max_length=500,
        required=False,
        help_text="It stands in the run and in the log.",
    )


class KillForm(forms.Form):
    """What has to stand still, and why."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Whoever waits for it reads this; it stands in the log.",
    )
    password = PasswordField()

    def __init__(self, *args: Any, choices: Sequence[tuple[str, Any]], **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        super().__init__(*args, **kwargs)
        self.fields["what"] = forms.ChoiceField(label="What has to stop", choices=choices)
        self.order_fields(["what", "reason", "password"])


class LiftForm(forms.Form):
    """Why what stands still may go on."""

    reason = forms.CharField(
        label="Why it may go on",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands in the log beside your name.",
    )
    password = PasswordField()


class BallotForm(forms.Form):
    """What both answers to a request have in common."""

    displayed = forms.CharField(widget=forms.HiddenInput, max_length=64, min_length=64)
    password = PasswordField(help_text="Each answer asks for it.")


class SignForm(BallotForm):
    """A signature; `coded` where the request asks for a code beside the password."""

    meaning = forms.ChoiceField(
        label="What your signature says",
        choices=Meaning.choices,
        widget=forms.RadioSelect,
    )
    comment = forms.CharField(
        label="Comment",
        max_length=MAX_COMMENT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Stands beside your signature in the log.",
    )
    code = CodeField(
        label="The code that your authenticator shows now",
        help_text="The policy asks for it, beside the password. Each code counts once.",
    )
    field_order = ["meaning", "comment", "password", "code", "displayed"]

    def __init__(self, *args: Any, coded: bool, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        super().__init__(*args, **kwargs)
        if not coded:
            del self.fields["code"]


class RejectForm(BallotForm):
    comment = forms.CharField(
        label="Reason",
        max_length=MAX_COMMENT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The agent is told this as feedback and may plan again.",
    )
    field_order = ["comment", "password", "displayed"]

    def __init__(self, *args: Any, coded: bool, **kwargs: Any) -> None:  # noqa: ANN401 - a form's
        """Saying no takes the password alone, whatever a signature takes."""
        super().__init__(*args, **kwargs)


class AskForm(forms.Form):
    text = forms.CharField(
        label="Question",
        max_length=MAX_COMMENT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Whoever started the run is asked. Both clocks keep running.",
    )


class InformForm(forms.Form):
    text = forms.CharField(
        label="Your answer", max_length=MAX_COMMENT, widget=forms.Textarea(attrs={"rows": 3})
    )


class ResolveForm(forms.Form):
    """A person's word on an effect in doubt."""

    happened = forms.ChoiceField(
        label="What became of it",
        choices=[("yes", "It happened"), ("no", "It did not happen; it may be made now")],
        widget=forms.RadioSelect,
    )
    result = JSONText(
        label="Its result, as JSON",
        required=False,
        help_text="What the tool would have returned. Needed if it happened.",
    )
    comment = forms.CharField(
        label="How you know",
        max_length=MAX_COMMENT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Stands in the log beside your name.",
    )
