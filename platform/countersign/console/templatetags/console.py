"""Words, times and values for templates; nothing here asks the database."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from agents.approvals.manifest import money
from audit.canonical import JSON
from countersign.console import code, values, words
from countersign.console.values import Reference, Shown, Tree, shown

register = template.Library()

LONG_TEXT = 2000
_HASHES = re.compile(r"sha256:([0-9a-f]{64})\b")


@register.simple_tag
def components(*names: str) -> SafeString:
    """Links to the styles of the components a page is made of."""
    return format_html_join(
        "",
        '<link rel="stylesheet" href="{}">',
        ((static(f"console/components/{name}.css"),) for name in names),
    )


@register.simple_tag
def state(kind: str, value: str) -> SafeString:
    """A state as sign, word and colour: `{% state "run" run.state %}`."""
    word = words.word(kind, str(value))
    return format_html(
        '<span class="state {}"><span aria-hidden="true">{}</span>{}</span>',
        word.tone,
        word.sign,
        word.text,
    )


@register.simple_tag
def dot(kind: str, value: str) -> SafeString:
    """The sign alone, where the word stands beside it."""
    word = words.word(kind, str(value))
    return format_html('<span class="dot {}" aria-hidden="true">{}</span>', word.tone, word.sign)


@register.simple_tag
def sign(kind: str, value: str) -> SafeString:
    """The sign with its word for those who do not see it."""
    word = words.word(kind, str(value))
    return format_html(
        '<span class="{}"><span aria-hidden="true">{}</span><span class="sr">{}: </span></span>',
        word.tone,
        word.sign,
        word.text,
    )


@register.simple_tag
def tier(number: int) -> SafeString:
    """A risk tier in words."""
    return format_html(
        '<span class="tier t{}"><span class="sr">risk </span>{}</span>', number, words.tier(number)
    )


@register.simple_tag
def when(moment: datetime | None, form: str = "") -> SafeString | str:
    """A time as people read it; `form`: "" leaves out today's date, "full" never does, "date"."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    now = timezone.localtime()
    if form == "date":
        text = _date(local, now)
    elif form == "full" or local.date() != now.date():
        text = f"{_date(local, now)} {local:%H:%M}"
    else:
        text = f"{local:%H:%M}" if form == "short" else f"{local:%H:%M:%S}"
    exact = f"{local:%Y-%m-%d %H:%M:%S} {local:%Z}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), exact, text
    )


def _date(moment: datetime, now: datetime) -> str:
    day = f"{moment.day} {moment:%b}"
    return day if moment.year == now.year else f"{day} {moment.year}"


@register.simple_tag
def left(until: datetime) -> SafeString | str:
    """How long until a clock runs out; soon is said in bold as well."""
    seconds = (until - timezone.now()).total_seconds()
    if seconds <= 0:
        return format_html('<span class="soon">{}</span>', "time is up")
    text = f"{words.span(max(seconds, 1))} left"
    return format_html('<span class="soon">{}</span>', text) if seconds < 1800 else text


@register.filter
def ms(value: int) -> str:
    """Milliseconds as a duration."""
    return words.span(value / 1000)


@register.filter
def duration(value: timedelta | float) -> str:
    """Seconds or a timedelta as a duration."""
    return words.span(value.total_seconds() if isinstance(value, timedelta) else value)


@register.simple_tag
def cost(micros: int, currency: str) -> str:
    return words.cost(micros, currency)


@register.simple_tag
def spent(micros: int, tokens: int, currency: str) -> str:
    """What was spent on a model; nothing, where tokens have no price."""
    return words.spent(micros, tokens, currency)


@register.filter
def minor(value: int, currency: str) -> str:
    """Hundredths of a currency as an amount."""
    return money(value, currency)


@register.filter
def thousands(value: int) -> str:
    return f"{value:,}"


@register.simple_tag
def count(number: int, one: str, many: str = "") -> str:
    return words.count(number, one, many)


@register.filter
def humanise(name: str) -> str:
    return words.humanise(name)


@register.filter
def agency(level: int) -> str:
    return words.AGENCY[level] if 0 <= level < len(words.AGENCY) else f"level {level}"


@register.filter
def summary(text: str) -> str:
    """The first paragraph of a description."""
    return text.strip().split("\n\n")[0].replace("\n", " ")


@register.filter
def short_id(identifier: object) -> str:
    return str(identifier)[:8]


@register.filter
def sources(origins: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """Everything an argument came from, in words."""
    return [f"from {words.origin(source)}" for source in origins.get(name, ())]


@register.filter
def beside(cells: Sequence[object], headings: Sequence[object]) -> list[tuple[object, object]]:
    """Each cell with the heading of its column."""
    return list(zip(headings, cells, strict=True))


@register.filter
def role(name: str) -> str:
    return words.role(name)


@register.filter
def argument_role(name: str) -> str:
    return words.argument_role(name)


@register.filter
def rule_words(name: str) -> str:
    return words.rule(name)


@register.filter
def visible(text: str) -> str:
    """Text of a model or a stranger, with hidden characters shown."""
    return code.visible(str(text))


@register.simple_tag
def short_hash(digest: str) -> SafeString:
    """A SHA-256 in hex by its beginning; all of it for whoever points at it."""
    return format_html(
        '<span class="mono faint" title="sha256:{}">sha256:{}…</span>', digest, digest[:12]
    )


@register.filter
def hashes_short(text: str) -> SafeString:
    """Text of a stranger in which each `sha256:…` is shortened; all of it for whoever points."""
    parts = _HASHES.split(code.visible(str(text)))
    return format_html_join(
        "",
        "{}",
        ((short_hash(part) if at % 2 else part,) for at, part in enumerate(parts)),
    )


@register.filter
def pretty(value: JSON) -> str:
    """Any JSON value, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False, default=str)


@register.filter
def tree(item: JSON) -> Tree:
    """A JSON value laid out as fields and tables: `{% with tree=answer|tree %}`."""
    return values.tree(item)


@register.simple_tag
def value(item: JSON) -> SafeString:
    """A JSON value as what it is: text as text, structure as JSON, references by their names."""
    seen = item if isinstance(item, Shown) else shown(item)
    if seen.structure:
        pre = format_html('<pre class="value-json">{}</pre>', code.visible(seen.text))
        return pre if len(seen.text) <= LONG_TEXT else _folded(seen, pre)
    parts = format_html_join(
        "",
        "{}",
        (
            (
                format_html('<span class="ref">{}</span>', part.text)
                if isinstance(part, Reference)
                else code.visible(part),
            )
            for part in seen.parts
        ),
    )
    if len(seen.text) <= LONG_TEXT:
        return format_html('<span class="value-text">{}</span>', parts)
    return _folded(seen, format_html('<span class="value-text">{}</span>', parts))


def _folded(seen: Shown, body: SafeString) -> SafeString:
    return format_html(
        "<details><summary>Show all {} characters</summary>{}</details>",
        f"{len(seen.text):,}",
        body,
    )
