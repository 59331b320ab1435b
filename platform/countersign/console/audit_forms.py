"""What is asked of the log: the search, and what an export is to cover."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils import timezone

from audit.export.scope import Kind
from audit.search import Filters
from audit.selectors import ActorRow
from countersign.console import logbook

MAX_TEXT = 200


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class AuditFilter(forms.Form):
    """What to look for in the log; what cannot be read is left out, and said."""

    text = forms.CharField(
        label="Id or word",
        max_length=MAX_TEXT,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "spellcheck": "false"}),
    )
    action = forms.CharField(label="What", max_length=100, required=False, widget=forms.Select)
    actor = forms.CharField(
        label="Who",
        max_length=MAX_TEXT,
        required=False,
        widget=forms.TextInput(attrs={"list": "actors", "autocomplete": "off"}),
    )
    tool = forms.CharField(label="Tool", max_length=100, required=False, widget=forms.Select)
    outcome = forms.ChoiceField(label="Outcome", required=False)
    since = forms.DateField(label="From", required=False, widget=_day())
    until = forms.DateField(label="To", required=False, widget=_day())
    run = forms.UUIDField(label="Run", required=False, widget=forms.HiddenInput)
    subject = forms.CharField(max_length=100, required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Any = None,  # noqa: ANN401 - a QueryDict, as Django types it
        *,
        actions: Sequence[str],
        actors: Sequence[ActorRow],
        tools: Sequence[str],
    ) -> None:
        super().__init__(_named(data, actors), auto_id="f-%s")
        self.occurring, self.actors = actions, actors
        outcomes = [(key, word.text) for key, word in logbook.OUTCOMES.items()]
        self.fields["outcome"].choices = [("", "every outcome"), *outcomes]  # type: ignore[attr-defined]
        self._offer("action", [("", "everything"), *_by_group(actions)])
        self._offer("tool", [("", "every tool"), *((name, name) for name in tools)])

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        """Offer choices; a value of a link that is none of them stays chosen."""
        given = str(self.data.get(name, ""))[:100]
        if given and given not in _values(choices):
            choices.append((given, given))
        self.fields[name].widget.choices = choices

    def chosen(self) -> dict[str, Any]:
        """Every usable value that was given."""
        given = self.cleaned_data if self.is_bound and self.is_valid() is not None else {}
        return {name: given[name] for name in self.fields if given.get(name)}

    def search(self) -> Filters:
        """What is looked for. Days are those of UTC, both included."""
        chosen = self.chosen()
        since, until = chosen.get("since"), chosen.get("until")
        return Filters(
            actions=logbook.chosen_actions(chosen.get("action", ""), self.occurring),
            actors=_acting(chosen.get("actor", ""), self.actors),
            subject=chosen.get("subject", ""),
            run=chosen.get("run"),
            since=_midnight(since) if since else None,
            until=_midnight_after(until) if until else None,
            tool=chosen.get("tool", ""),
            outcome=chosen.get("outcome", ""),
            text=chosen.get("text", ""),
        )

    def query(self, *without: str) -> str:
        """The filters as the query part of an address, for the links to other pages."""
        given = self.chosen().items()
        return urlencode({name: str(value) for name, value in given if name not in without})


def _by_group(actions: Sequence[str]) -> list[tuple[str, Any]]:
    """Each group as a choice of its own, above its actions."""
    return [
        (
            name,
            [
                (f"{logbook.GROUP_PREFIX}{name}", f"{name}: all"),
                *((action, _words(action)) for action in members),
            ],
        )
        for name, members in logbook.grouped(actions).items()
    ]


def _words(action: str) -> str:
    noun, _, participle = action.partition(".")
    return f"{noun} {participle}".replace("_", " ")


def _values(choices: Sequence[tuple[str, Any]]) -> set[str]:
    found = set()
    for value, label in choices:
        found |= {value} if isinstance(label, str) else _values(label)
    return found


def who(actors: Sequence[ActorRow]) -> dict[str, str]:
    """What each is called in a search, by id: the name, and the id where others have that name."""
    names = Counter(row.name.casefold() for row in actors)
    return {
        row.id: row.name if names[row.name.casefold()] == 1 else f"{row.name} ({row.id})"
        for row in actors
    }


def _named(data: Any, actors: Sequence[ActorRow]) -> Any:  # noqa: ANN401 - a QueryDict
    """The search with somebody's name in place of an id, which a link may carry."""
    known = who(actors).get(data.get("actor", "")) if data else None
    if not known:
        return data
    named = data.copy()
    named["actor"] = known
    return named


def _acting(text: str, actors: Sequence[ActorRow]) -> tuple[str, ...]:
    """Ids of those whose name holds the text; else the text itself, as an id."""
    wanted = text.strip().casefold()
    if not wanted:
        return ()
    called = who(actors)
    told = tuple(key for key, name in called.items() if wanted == name.casefold())
    exact = told or tuple(row.id for row in actors if wanted in (row.name.casefold(), row.id))
    return exact or tuple(row.id for row in actors if wanted in row.name.casefold()) or (text,)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))


def _midnight_after(day: date) -> datetime:
    """The end of a day; of the last day there is, nearly."""
    return (
        _midnight(day + timedelta(days=1)) if day < date.max else datetime.max.replace(tzinfo=UTC)
    )


class ExportForm(forms.Form):
    """What an export is to cover; `search` is that of the list of entries, as in its address."""

    kind = forms.ChoiceField(
        label="What to export", widget=forms.RadioSelect, initial=str(Kind.WORKSPACE)
    )
    since = forms.DateField(label="First day", required=False, widget=_day())
    until = forms.DateField(label="Last day", required=False, widget=_day())
    run = forms.CharField(
        label="Run",
        max_length=36,
        required=False,
        help_text="Its id, or the first eight digits of it.",
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    payloads = forms.BooleanField(
        label="With payloads in the clear",
        required=False,
        help_text="Prompts, programs, arguments, results. Without them they are only committed to.",
    )
    sizes = forms.CharField(
        label="Checkpoints you kept",
        max_length=MAX_TEXT,
        required=False,
        help_text="Their numbers of entries, such as 812, 1024. The bundle then proves that the "
        "log grew out of them, also where they lie outside of what it shows.",
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )
    search = forms.CharField(max_length=2000, required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, search: str = "") -> None:  # noqa: ANN401 - a QueryDict
        given = Kind.SEARCH if search else Kind.WORKSPACE
        super().__init__(data, auto_id="x-%s", initial={"kind": str(given), "search": search})
        kinds = [
            (Kind.WORKSPACE, "The whole log"),
            (Kind.RANGE, "All entries of some days"),
            (Kind.RUN, "One run; all else as hashes"),
        ]
        if search:
            kinds.insert(0, (Kind.SEARCH, "The search you came from; all else as hashes"))
        self.fields["kind"].choices = [(str(k), text) for k, text in kinds]  # type: ignore[attr-defined]

    def clean_sizes(self) -> tuple[int, ...]:
        texts = self.cleaned_data["sizes"].replace(",", " ").split()
        if not all(text.isascii() and text.isdecimal() and 0 < len(text) < 16 for text in texts):
            raise forms.ValidationError("Give whole numbers, such as 812, 1024.")
        return tuple(sorted({int(text) for text in texts} - {0}))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if given.get("kind") == Kind.RUN and not given.get("run"):
            self.add_error("run", "Say which run.")
        if given.get("kind") == Kind.RANGE:
            if not given.get("since") and not given.get("until"):
                self.add_error("since", "Say from which day, or until which, or both.")
            # Days are those of UTC, both included.
            if since := given.get("since"):
                given["since"] = _midnight(since)
            if until := given.get("until"):
                given["until"] = _midnight_after(until)
        return given
