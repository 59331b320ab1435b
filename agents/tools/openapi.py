"""Reads one operation out of an OpenAPI 3.0 or 3.1 document. Pure.

The document's content hash names it; whatever is read here goes into the tool's version, so that
another document is another version. What cannot be carried over exactly (a body that is no JSON,
cookies, exotic styles) is refused by name, never left out in silence.
"""

import hashlib
import json
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.tools.openapi_schema import Converter, DocumentError, nullable, resolve

MAX_DOCUMENT_BYTES = 10_000_000
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
CONTEXT = "$context"
"""The name under which the call's context travels: no argument can have it."""

_VERSION = re.compile(r"3\.[01]\.\d{1,3}(?:-\S{1,20})?")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json", re.ASCII | re.IGNORECASE)
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_NOT_ARGUMENTS = frozenset({"accept", "content-type", "authorization"})
"""OpenAPI says itself that header parameters of these names are ignored."""
FORBIDDEN_HEADERS = frozenset(
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "cookie",
        "proxy-authorization",
        "proxy-connection",
        "keep-alive",
        "accept-encoding",
    ]
)
_STYLES = {
    "path": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
}
FILE: dict[str, Any] = {
    "type": "object",
    "description": "A file; programs find it in in/ under this name from the next step on.",
    "properties": {
        "artifact": {"type": "string"},
        "sha256": {"type": "string"},
        "bytes": {"type": "integer"},
    },
    "required": ["artifact", "sha256", "bytes"],
    "additionalProperties": False,
}
HEADER_TEXT = "^[\\x20-\\x7e]*$"

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """An OpenAPI document.

    Attributes:
        name: file name, for people.
        sha256: hex, of the file's bytes.
        value: its content.
    """

    name: str
    sha256: str
    value: Mapping[str, Any] = field(repr=False)

    @property
    def old(self) -> bool:
        """Whether it is OpenAPI 3.0, whose schemas are a dialect."""
        return str(self.value["openapi"]).startswith("3.0")

    @property
    def server(self) -> str:
        """The URL of its first server, as it stands there; "" if there is none."""
        servers = self.value.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        return str(first.get("url", "")) if isinstance(first, Mapping) else ""


@dataclass(frozen=True, slots=True)
class Part:
    """Where one argument travels.

    Attributes:
        argument: its name for the program.
        where: `path`, `query`, `header`, `field` (of the JSON body) or `body` (all of it).
        name: its name there.
        style: how lists and objects are written.
        optional: null is not sent.
    """

    argument: str
    where: str
    name: str
    style: str = ""
    explode: bool = False
    optional: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "argument": self.argument,
            "where": self.where,
            "name": self.name,
            "style": self.style,
            "explode": self.explode,
            "optional": self.optional,
        }


@dataclass(frozen=True, slots=True)
class Operation:
    """What a document says about one operation.

    Attributes:
        parts: its arguments in their order.
        parameters: JSON Schema of all arguments.
        result: JSON Schema of the result.
        file: an answer may be a file.
    """

    key: str
    method: str
    path: str
    description: str
    parts: tuple[Part, ...]
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def file(self) -> bool:
        return FILE in (self.result, *self.result.get("anyOf", ()))


def read_document(name: str, content: bytes, value: object) -> Document:
    """The document, if it is one.

    Args:
        content: its bytes, for the hash.
        value: what they say.

    Raises:
        DocumentError: it is no OpenAPI document of a version that is read.
    """
    if not isinstance(value, Mapping):
        raise DocumentError((), "it is no OpenAPI document")
    if "swagger" in value:
        raise DocumentError((), "it is Swagger 2.0; convert it to OpenAPI 3.0 or 3.1 first")
    version = str(value.get("openapi", ""))
    if not _VERSION.fullmatch(version):
        raise DocumentError((), f"openapi: {version!r:.20} is not read; 3.0.x and 3.1.x are")
    if not isinstance(value.get("paths"), Mapping):
        raise DocumentError((), "it has no paths")
    return Document(name, hashlib.sha256(content).hexdigest(), value)


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """JSON, where a key given twice is a fault: readers would differ in which one counts.

    Raises:
        ValueError: it is none.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice")
    return made


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def operation(
    document: Document, wanted: str, *, taken_headers: frozenset[str], taken_query: frozenset[str]
) -> Operation:
    """One operation of the document.

    Args:
        wanted: its operationId, or method and path such as `GET /invoices/{id}`.
        taken_headers: header names in lower case that the broker fills (credential, key).
        taken_query: the same for the query.

    Raises:
        DocumentError: it is not there, or cannot become a tool.
    """
    method, path, item, found = _find(document, wanted)
    place: Place = ("paths", path, method)
    convert = Converter(document.value, document.old, "in")
    taken = {"header": taken_headers, "query": taken_query}
    named: list[tuple[str, str, dict[str, Any], bool, Part]] = [
        each
        for each in _parameters(document, convert, item, found, path, place)
        if (each[1].lower() if each[0] == "header" else each[1]) not in taken.get(each[0], ())
    ]
    named += _body(document, convert, found, place)
    _require_all_of_path(path, named, place)
    parts, properties, required = _arguments(named)
    return Operation(
        key=str(found.get("operationId") or f"{method.upper()} {path}"),
        method=method.upper(),
        path=path,
        description=_description(found),
        parts=parts,
        parameters={
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
        result=_result(document, found, place),
    )


def is_header(name: str) -> bool:
    """Whether a header of this name may be set for a call; those of the transport may not."""
    return _FIELD_NAME.fullmatch(name) is not None and name.lower() not in FORBIDDEN_HEADERS


def _find(document: Document, wanted: str) -> tuple[str, str, Mapping[str, Any], Mapping[str, Any]]:
    known: list[str] = []
    for path, written in document.value["paths"].items():
        item, _ = resolve(document.value, written, ("paths", path))
        for method in METHODS:
            found = item.get(method) if isinstance(item, Mapping) else None
            if not isinstance(found, Mapping):
                continue
            if wanted in (found.get("operationId"), f"{method.upper()} {path}"):
                return method, str(path), item, found
            known.append(str(found.get("operationId") or f"{method.upper()} {path}"))
    shown = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
    raise DocumentError(("paths",), f"there is no operation {wanted!r:.80}; known: {shown}")


def _description(found: Mapping[str, Any]) -> str:
    texts = [" ".join(str(found.get(key) or "").split()) for key in ("summary", "description")]
    return "\n\n".join(dict.fromkeys(text[:1000] for text in texts if text))


_Named = tuple[str, str, dict[str, Any], bool, Part]


def _parameters(
    document: Document,
    convert: Converter,
    item: Mapping[str, Any],
    found: Mapping[str, Any],
    path: str,
    place: Place,
) -> list[_Named]:
    """(place in the request, name, schema, required, part) of path, query and header, in order."""
    merged: dict[tuple[str, str], tuple[Mapping[str, Any], Place]] = {}
    for holder, at in ((item, place[:-1]), (found, place)):
        for index, each in enumerate(holder.get("parameters") or ()):
            part, there = resolve(document.value, each, (*at, "parameters", index))
            if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
                raise DocumentError(there, "this is no parameter")
            merged[str(part.get("in")), part["name"]] = (part, there)
    named = []
    for (where, name), (part, there) in merged.items():
        if where == "header" and name.lower() in _NOT_ARGUMENTS:
            continue
        if where not in _STYLES:
            if part.get("required"):
                raise DocumentError(there, f"a parameter in {where} is not sent by tools")
            continue
        named.append(_parameter(convert, part, where, name, there))
    order = list(_STYLES)
    return sorted(named, key=lambda each: order.index(each[0]))


def _parameter(
    convert: Converter, part: Mapping[str, Any], where: str, name: str, place: Place
) -> _Named:
    if where == "header" and not is_header(name):
        raise DocumentError(place, f"the header {name!r:.80} cannot be an argument")
    style = str(part.get("style") or _STYLES[where][0])
    if "content" in part:
        media = next(iter(part["content"]), "")
        if not _JSON.fullmatch(str(media)) or where != "query":
            raise DocumentError(place, f"a parameter written as {media!r:.40} is not sent by tools")
        schema = convert.convert(
            part["content"][media].get("schema", {}), (*place, "content", media, "schema")
        )
        style = "json"
    elif style not in _STYLES[where]:
        raise DocumentError(place, f"style {style!r:.40} is not sent by tools")
    else:
        schema = convert.convert(part.get("schema", {}), (*place, "schema"))
        _check_shape(schema, style, place)
    if where == "header" and schema.get("type", "string") == "string" and "pattern" not in schema:
        schema["pattern"] = HEADER_TEXT
    if part.get("description"):
        schema["description"] = " ".join(str(part["description"]).split())[:400]
    required = where == "path" or part.get("required") is True
    explode = part.get("explode", style == "form")
    return where, name, schema, required, Part("", where, name, style, bool(explode), not required)


def _check_shape(schema: Mapping[str, Any], style: str, place: Place) -> None:
    if schema.get("type") == "object" and style != "deepObject":
        raise DocumentError(place, "an object in a parameter is sent in the style deepObject only")


def _body(
    document: Document, convert: Converter, found: Mapping[str, Any], place: Place
) -> list[_Named]:
    if not found.get("requestBody"):
        return []
    body, there = resolve(document.value, found["requestBody"], (*place, "requestBody"))
    content = body.get("content") or {}
    media = next((each for each in content if _JSON.fullmatch(str(each).split(";")[0])), None)
    required = body.get("required") is True
    if media is None:
        if not required:
            return []
        raise DocumentError(
            there, f"a body of {', '.join(content) or 'nothing'} is not sent; JSON is"
        )
    schema = convert.convert(content[media].get("schema", {}), (*there, "content", media, "schema"))
    needed = set(schema.get("required", ()))
    mixed = {"allOf", "anyOf", "oneOf", "not", "if"} & set(schema)
    if schema.get("properties") and not mixed and (required or not needed):
        return [
            (
                "field",
                name,
                part,
                name in needed,
                Part("", "field", name, "", False, name not in needed),
            )
            for name, part in schema["properties"].items()
        ]
    if not schema.get("description"):
        schema["description"] = "The body of the request."
    return [("body", "body", schema, required, Part("", "body", "body", "", False, not required))]


def _require_all_of_path(path: str, named: list[_Named], place: Place) -> None:
    wanted = re.findall(r"\{([^{}]*)\}", path)
    given = {name for where, name, *_ in named if where == "path"}
    for name in wanted:
        if name not in given:
            raise DocumentError(place, f"the path names {{{name}}}, which is no parameter")
    if set(given) - set(wanted):
        name = min(given - set(wanted))
        raise DocumentError(place, f"the parameter {name!r:.80} has no place in the path")
    if not path.startswith("/") or re.search(r"[?#\\\s]", path):
        raise DocumentError(place, "the path must begin with / and hold no ?, # or space")


def _arguments(
    named: list[_Named],
) -> tuple[tuple[Part, ...], dict[str, Any], list[str]]:
    """Give every argument a name of its own; required ones come first."""
    named = [*(each for each in named if each[3]), *(each for each in named if not each[3])]
    parts: list[Part] = []
    properties: dict[str, Any] = {}
    required: list[str] = []
    for where, name, written, needed, part in named:
        schema = written
        argument = next(word for word in _words(where, name) if word not in properties)
        if needed:
            required.append(argument)
        elif "default" not in schema:
            schema = {**nullable(schema), "default": None}
        if not schema.get("description"):
            schema = {"description": f"{name} ({where})", **schema}
        properties[argument] = schema
        parts.append(Part(argument, where, name, part.style, part.explode, not needed))
    return tuple(parts), properties, required


def _words(where: str, name: str) -> Iterator[str]:
    """Names for an argument, the best first: its own, with its place, with a number."""
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or where
    if word[0].isdigit() or word.startswith("__"):
        word = f"{where}_{word.lstrip('_')}"
    if keyword.iskeyword(word):
        word = f"{word}_"
    yield word
    prefixed = f"{'body' if where == 'field' else where}_{word}"
    yield prefixed
    for number in range(2, 1000):
        yield f"{prefixed}_{number}"


def _result(document: Document, found: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """What the answers of 2xx hold: one schema, or any of several."""
    convert = Converter(document.value, document.old, "out")
    shapes: list[dict[str, Any]] = []
    for status, answer in (found.get("responses") or {}).items():
        if not str(status).upper().startswith("2"):
            continue
        part, there = resolve(document.value, answer, (*place, "responses", status))
        shape = _answer(convert, part.get("content") or {}, there)
        if shape not in shapes:
            shapes.append(shape)
    if not shapes:
        raise DocumentError(place, "it names no answer of 2xx, so its result is not known")
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _answer(convert: Converter, content: Mapping[str, Any], place: Place) -> dict[str, Any]:
    if not content:
        return {"type": "null"}
    for media, said in content.items():
        if _JSON.fullmatch(str(media).split(";")[0].strip()) or media in ("*/*", "application/*"):
            return convert.convert(said.get("schema", {}), (*place, "content", media, "schema"))
    if all(str(media).startswith("text/") for media in content):
        return {"type": "string"}
    return FILE
