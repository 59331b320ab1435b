"""House rules of templates and styles: no inline code, tokens for colours, contrast."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "platform" / "countersign" / "console" / "static"
COMPONENTS = STATIC / "console" / "components"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted((STATIC / "console").rglob("*.css"))
TOKENS = (STATIC / "console" / "tokens.css").read_text()

TEXTS = ("ink", "ink-soft", "ink-faint", "accent", "allow", "review", "deny", "doubt")
CODES = ("code-string", "code-word", "code-note", "code-number")
SURFACES = ("paper", "sheet", "sheet-sunk", "effect-mark")
WASHES = {"live": "accent", "allow": "allow", "review": "review", "deny": "deny", "doubt": "doubt"}


def colours() -> dict[str, tuple[str, str]]:
    found = re.finditer(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", TOKENS)
    return {match[1]: (match[2], match[3]) for match in found}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_can_be_read_on_every_surface(scheme: int) -> None:
    found = colours()
    pairs = [(text, surface) for text in (*TEXTS, *CODES) for surface in SURFACES]
    pairs += [(text, f"{text}-wash") for text in WASHES.values()]
    pairs += [("ink", f"{text}-wash") for text in WASHES.values()]
    pairs += [("accent-ink", "accent"), ("sheet", "review")]
    low = [
        (text, surface, round(ratio, 2))
        for text, surface in pairs
        if (ratio := contrast(found[text][scheme], found[surface][scheme])) < 4.5
    ]
    assert low == []


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_edge_of_a_field_can_be_seen(scheme: int) -> None:
    found = colours()
    for surface in ("paper", "sheet"):
        assert contrast(found["edge"][scheme], found[surface][scheme]) >= 3


def test_colours_stand_in_the_tokens_only() -> None:
    for file in STYLES:
        if file.name != "tokens.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\s*\{)", file.read_text()), file.name


def test_every_token_that_is_used_exists() -> None:
    defined = set(re.findall(r"^\s*--([\w-]+):", TOKENS, flags=re.M))
    for file in STYLES:
        used = set(re.findall(r"var\(--([\w-]+)\)", file.read_text()))
        assert used <= defined, file.name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_code_and_no_unsafe_text(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|<script(?![^>]* src=)|\son\w+=", text)
    assert "javascript:" not in text
    assert "|safe" not in text
    assert "autoescape off" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_carries_its_token(template: Path) -> None:
    for form in re.findall(r"<form.*?</form>", template.read_text(), flags=re.S):
        if 'method="post"' in form:
            assert "{% csrf_token %}" in form
        else:
            assert 'method="get"' in form


def test_every_component_that_a_page_names_exists_and_is_used() -> None:
    named = {"header", "button", "card", "state", "notice"}
    for template in TEMPLATES:
        for tag in re.findall(r"{% components ([^%]+)%}", template.read_text()):
            named |= set(re.findall(r'"(\w+)"', tag))
    assert named == {file.stem for file in COMPONENTS.glob("*.css")}


def test_htmx_is_the_release_it_says_it_is() -> None:
    import hashlib

    library = (STATIC / "vendor" / "htmx.min.js").read_bytes()
    assert b'version:"2.0.11"' in library
    assert (STATIC / "vendor" / "htmx.LICENSE").read_text().startswith("Zero-Clause BSD")
    assert hashlib.sha256(library).hexdigest() in (STATIC / "vendor" / "README.md").read_text()
