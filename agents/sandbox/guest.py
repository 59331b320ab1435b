"""The guest: the one program that runs inside the jail and runs the agent's programs.

It is a single file of the standard library, compiled once and mounted read-only. It reads
frames (4 bytes length, big-endian, then JSON) from the descriptor named in ``sys.argv[1]`` and
answers on the same one. Nothing here is a security boundary: agent code shares this
interpreter and can rewrite all of it. The boundary is the jail around it and the host, which
treats every frame as hostile.

What it gives an honest program:
1. variables, functions, classes and imports persist over steps, in a real ``__main__``;
2. time stands at the journaled step time and advances only by sleeping (and by one
   microsecond for every look at a clock); every random source is seeded from the run, so the
   same code with the same tool results gives the same state again;
3. tools are functions; what they are given becomes JSON by the rules of ``_plain``;
4. ``final_answer``, a host that ends the step, and a placeholder whose value is needed park
   the program's thread for ever and serve the next step on a new one: no ``except`` and no
   ``finally`` of the program can run any more.
"""

# ruff: noqa: ANN401  (the guest's values are the program's: of any type at all)
from __future__ import annotations

import builtins
import sys

# The program may rebind anything in the builtins; the functions below keep their own copy.
globals()["__builtins__"] = dict(builtins.__dict__)

import _codecs  # noqa: E402
import _io  # noqa: E402
import _thread  # noqa: E402
import posix  # noqa: E402
import time  # noqa: E402

TYPE_CHECKING = False  # ``typing`` itself would cost 5 ms of start-up.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType, TracebackType
    from typing import Any, NoReturn

MAX_INTEGER = 2**53 - 1  # Beyond it JSON numbers are not exact everywhere (RFC 8259 §6).
MAX_DEPTH = 60
MAX_TEXT = 8_000  # Characters of an error message or a hint.
MAX_LINES = 16  # Lines of the program that a call is said to come from.
MAX_REPR = 20_000  # Characters of a value that is not JSON.
MAX_VALUE_NODES = 20_000  # A larger last value is given as its shortened repr.
OUTPUT_PIECE = 8_192  # Bytes of output that are sent before the step ends.
VALUE = "<value>"  # Not an identifier, so no program can have a variable of this name.
TICK_NS = 1_000
GIVEN = "/tmp/in"  # noqa: S108  (inside the jail)
LEFT = "/tmp/out"  # noqa: S108
PIECE = 96 * 1024  # Bytes of a file in one frame; a multiple of three, for base64.


# --- the channel ----------------------------------------------------------------------------


class _ScanContext:
    """What the C scanner of the ``json`` module wants to know; that module costs 10 ms."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


class _TooLong(Exception):
    """A message is longer than the host accepts."""

    def __str__(self) -> str:
        return "is {} bytes as JSON; at most {} are possible".format(*self.args)


class _Channel:
    """Frames over the inherited socket; the guest ends when the host's end is gone."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.frame_bytes = 1 << 16
        self.lock = _thread.allocate_lock()
        self.scan: Any = None
        self.encode: Any = None

    def open(self) -> None:
        """Tell the host that the guest is there, then load what messages need."""
        body = b'{"ready":1}'
        posix.write(self.descriptor, len(body).to_bytes(4, "big") + body)
        import _json  # noqa: PLC0415  (after the host has its answer)

        make_scanner: Any = _json.make_scanner
        make_encoder: Any = _json.make_encoder
        self.scan = make_scanner(_ScanContext())
        self.encode = make_encoder(
            None, None, _json.encode_basestring_ascii, None, ":", ",", False, False, False
        )

    def send(self, message: dict[str, Any]) -> None:
        body = "".join(self.encode(message, 0)).encode("ascii")
        if len(body) > self.frame_bytes:
            raise _TooLong(len(body), self.frame_bytes)
        frame = memoryview(len(body).to_bytes(4, "big") + body)
        with self.lock:
            while frame:
                frame = frame[posix.write(self.descriptor, frame) :]

    def receive(self) -> dict[str, Any]:
        size = int.from_bytes(self._read(4), "big")
        message: dict[str, Any] = self.scan(self._read(size).decode("utf-8"), 0)[0]
        return message

    def _read(self, size: int) -> bytes:
        # The usual frame comes in one piece; a join of pieces is for the long ones.
        piece = posix.read(self.descriptor, size)
        if len(piece) == size:
            return piece
        pieces = []
        while piece:
            pieces.append(piece)
            size -= len(piece)
            if not size:
                return b"".join(pieces)
            piece = posix.read(self.descriptor, min(size, 1 << 20))
        posix._exit(0)


class _Sink(_io._RawIOBase):
    """Collects what the program prints; long output leaves while the program runs."""

    def __init__(self, channel: _Channel) -> None:
        self.channel = channel
        self.pending = bytearray()
        self.active = False
        self.lock = _thread.allocate_lock()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with self.lock:
            view = memoryview(data).cast("B")
            for start in range(0, len(view), OUTPUT_PIECE):
                self.pending += view[start : start + OUTPUT_PIECE]
                if len(self.pending) >= OUTPUT_PIECE and self.active:
                    self.channel.send({"out": self._taken(final=False)})
            return len(view)

    def take(self) -> str:
        with self.lock:
            return self._taken(final=True)

    def _taken(self, *, final: bool) -> str:
        text, used = _codecs.utf_8_decode(bytes(self.pending), "replace", final)
        del self.pending[:used]
        return text


# --- values ---------------------------------------------------------------------------------


class _Unsendable(Exception):
    """A value has no JSON form; ``steps`` lead to it from the outside in."""

    def __init__(self, problem: str, kind: type[Exception] = TypeError) -> None:
        super().__init__(problem)
        self.problem = problem
        self.kind = kind
        self.steps: list[str] = []

    def within(self, name: str) -> Exception:
        place = name + "".join(reversed(self.steps))
        return self.kind(f"{place} {self.problem}")


class _Budget:
    """How many nodes a conversion may visit."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes


def _plain(value: Any, budget: _Budget | None = None, depth: int = 0) -> Any:
    """Give the JSON form of a value.

    JSON types stay. Also accepted: tuple, set and frozenset (list; sets sorted if they can
    be), any mapping with text keys (object), Decimal, UUID and Path (text), date, time and
    datetime (ISO 8601 text), bytes (base64 text), Enum (its value), dataclass (object), NumPy
    scalars and arrays, and placeholders.

    Raises:
        _Unsendable: the value, or something in it, has no JSON form.
    """
    if budget is not None:
        budget.nodes -= 1
        if budget.nodes < 0:
            raise _Unsendable("is too large")
    kind = type(value)
    if kind is str:
        return _text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value)
    if kind is float:
        return _number(value)
    if kind is _Placeholder:
        return _reference(value)
    if depth >= MAX_DEPTH:
        raise _Unsendable(f"is nested deeper than {MAX_DEPTH} levels", ValueError)
    if kind is list or kind is tuple:
        return _items(value, budget, depth)
    if kind is dict:
        return _members(value, budget, depth)
    return _plain_other(value, budget, depth)


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise _Unsendable(
                "holds a lone surrogate, which is not Unicode text", ValueError
            ) from None
    if "\0" in value:
        raise _Unsendable("holds a NUL character, which text may not", ValueError)
    return value


def _integer(value: int) -> int:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise _Unsendable("is an integer beyond 2**53 - 1; pass it as text: str(…)", ValueError)
    return int(value)


def _number(value: float) -> float:
    if value - value != 0:
        raise _Unsendable(f"is {value!r}, which JSON cannot hold; use None", ValueError)
    return float(value)


def _items(values: Any, budget: _Budget | None, depth: int) -> list[Any]:
    result = []
    for index, item in enumerate(values):
        try:
            result.append(_plain(item, budget, depth + 1))
        except _Unsendable as error:
            error.steps.append(f"[{index}]")
            raise
    return result


def _members(values: Any, budget: _Budget | None, depth: int) -> dict[str, Any]:
    result = {}
    for key in values:
        if not isinstance(key, str):
            raise _Unsendable(
                f"has the key {_short(key)} of type {type(key).__name__}; keys must be text"
            )
        name = str.__str__(key)
        try:
            result[_text(name)] = _plain(values[key], budget, depth + 1)
        except _Unsendable as error:
            error.steps.append(f"[{name!r}]")
            raise
    return result


def _plain_other(value: Any, budget: _Budget | None, depth: int) -> Any:
    """Convert what is not exactly a JSON type; nothing is imported for it."""
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, (list, tuple)):
        return _items(value, budget, depth)
    if isinstance(value, (set, frozenset)):
        try:
            value = sorted(value)
        except TypeError:
            value = list(value)
        return _items(value, budget, depth)
    if isinstance(value, dict) or _is(value, "collections.abc", "Mapping"):
        return _members(value, budget, depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return __import__("binascii").b2a_base64(bytes(value), newline=False).decode("ascii")
    return _plain_library(value, budget, depth)


def _plain_library(value: Any, budget: _Budget | None, depth: int) -> Any:
    kind = type(value)
    if _is(value, "decimal", "Decimal"):
        if not value.is_finite():
            raise _Unsendable(f"is Decimal {value}, which is not a number", ValueError)
        return str(value)
    if _is(value, "uuid", "UUID") or _is(value, "pathlib", "PurePath"):
        return _text(str(value))
    if _is(value, "datetime", "date") or _is(value, "datetime", "time"):
        return _text(str(value.isoformat()))
    if _is(value, "enum", "Enum"):
        return _plain(value.value, budget, depth + 1)
    if hasattr(kind, "__dataclass_fields__"):
        names = kind.__dataclass_fields__
        return _members({name: getattr(value, name) for name in names}, budget, depth)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist(), budget, depth + 1)
    raise _Unsendable(f"is of type {kind.__name__}, which has no JSON form{_advice(value)}")


def _is(value: Any, module: str, name: str) -> bool:
    """Tell whether it is an instance of a class of a module, if that has been imported."""
    owner = sys.modules.get(module)
    return owner is not None and isinstance(value, getattr(owner, name))


def _advice(value: Any) -> str:
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return "; use .to_dict('records')"
    if hasattr(value, "to_dict"):
        return "; use .to_dict()"
    if hasattr(value, "total_seconds"):
        return "; use .total_seconds()"
    if hasattr(value, "__next__") or hasattr(value, "__iter__"):
        return "; use list(…)"
    if callable(value):
        return "; call it and pass its result"
    return "; pass text, numbers, lists or dicts"


def _shown_value(value: Any) -> Any:
    """Give the last value of a program: its JSON form, else ``{"repr": text}``."""
    try:
        return _plain(value, _Budget(MAX_VALUE_NODES))
    except (_Unsendable, RecursionError):
        return {"repr": _clean(_short(value), MAX_REPR)}


def _short(value: Any) -> str:
    """Give a repr whose cost is bounded for the built-in containers."""
    try:
        if isinstance(value, (list, dict, tuple, set, frozenset, str, bytes)):
            shortened = __import__("reprlib").Repr()
            shortened.maxlist = shortened.maxtuple = shortened.maxset = shortened.maxdict = 200
            shortened.maxstring = shortened.maxother = shortened.maxlong = 2_000
            return str(shortened.repr(value))
        return repr(value)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  (the program's own __repr__ may raise anything)
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _clean(text: str, limit: int = MAX_TEXT) -> str:
    """Make any text sendable and not longer than the limit."""
    if len(text) > limit:
        text = text[:limit] + f"… [{len(text) - limit} more characters]"
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "␀")


# --- placeholders ---------------------------------------------------------------------------


class _Placeholder:
    """Stands for the result of a call that waits for signatures.

    It can be passed on to other tools, indexed where the result's schema promises the member,
    and put into text. Whatever needs the value itself ends the step.
    """

    __slots__ = ("_path", "_root", "_schema", "_token")
    # ``isinstance`` asks for it: branching on the type needs the value, too.
    __class__ = property(lambda self: _need(self, "its type"))

    def __init__(self, token: str, schema: Any, root: Any, path: tuple[str | int, ...]) -> None:
        object.__setattr__(self, "_token", token)
        object.__setattr__(self, "_schema", schema)
        object.__setattr__(self, "_root", root)
        object.__setattr__(self, "_path", path)

    def __str__(self) -> str:
        steps = [
            "/" + str(step).replace("~", "~0").replace("/", "~1") for step in _get(self, "_path")
        ]
        if any("⟧" in step for step in steps):
            _need(self, "a member whose name cannot stand in text")
        return f"⟦{_get(self, '_token')}{''.join(steps)}⟧"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self) if not spec else _need(self, f"formatting as {spec!r}")

    def __getitem__(self, key: Any) -> Any:
        return _member(self, key)

    def __getattr__(self, name: str) -> Any:
        if name == "get" and _schema(self).get("type") == "object":
            return lambda key, default=None: _member(self, key)
        if name.startswith("__"):
            raise AttributeError(name)
        return _need(self, f"its attribute {name!r}")

    def __add__(self, other: Any) -> Any:
        return self._joined(other, str(self), str(other))

    def __radd__(self, other: Any) -> Any:
        return self._joined(other, str(other), str(self))

    def _joined(self, other: Any, left: str, right: str) -> str:
        if type(other) in (str, _Placeholder) and _schema(self).get("type") == "string":
            return left + right
        return _need(self, "arithmetic")


# What each operation is called in the message that the agent reads.
_NEEDS = {
    "truth (if, and, or, not)": "bool",
    "comparison": "eq ne lt le gt ge hash contains",
    "arithmetic": (
        "sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod divmod rdivmod pow rpow"
        " lshift rlshift rshift rrshift and rand xor rxor or ror matmul rmatmul neg pos abs invert"
        " round trunc floor ceil iadd"
    ),
    "conversion to a number": "int float complex index",
    "conversion to bytes": "bytes",
    "its length": "len length_hint",
    "iteration": "iter next reversed await aiter",
    "copying it": "copy deepcopy reduce reduce_ex getstate",
    "changing it": "setitem delitem setattr delattr",
    "calling it": "call",
    "using it as a path": "fspath",
    "using it as a context": "enter exit",
}


def _refuse_value_uses() -> None:
    def refusal(what: str) -> Callable[..., Any]:
        return lambda self, *_args, **_kwargs: _need(self, what)

    for what, names in _NEEDS.items():
        for name in names.split():
            setattr(_Placeholder, f"__{name}__", refusal(what))


_get = object.__getattribute__


def _schema(placeholder: _Placeholder) -> dict[str, Any]:
    """Give the schema of a placeholder with local references followed."""
    schema, root = _get(placeholder, "_schema"), _get(placeholder, "_root")
    for _ in range(10):
        reference = schema.get("$ref") if type(schema) is dict else None
        if type(reference) is not str or not reference.startswith("#/"):
            break
        schema = root
        for part in reference[2:].split("/"):
            schema = schema.get(part, {}) if type(schema) is dict else {}
    return schema if type(schema) is dict else {}


def _member(placeholder: _Placeholder, key: Any) -> Any:
    schema = _schema(placeholder)
    if type(key) is str and schema.get("type") == "object":
        properties = schema.get("properties") or {}
        if key in properties and key in (schema.get("required") or ()):
            return _child(placeholder, key, properties[key])
        if key not in properties and schema.get("additionalProperties") is False:
            raise KeyError(key)
    if type(key) is int and schema.get("type") == "array" and 0 <= key < schema.get("minItems", 0):
        prefix = schema.get("prefixItems") or ()
        return _child(
            placeholder, key, prefix[key] if key < len(prefix) else schema.get("items", {})
        )
    return _need(placeholder, f"its member {_short(key)}")


def _child(placeholder: _Placeholder, key: str | int, schema: Any) -> _Placeholder:
    path = (*_get(placeholder, "_path"), key)
    return _Placeholder(_get(placeholder, "_token"), schema, _get(placeholder, "_root"), path)


def _reference(placeholder: _Placeholder) -> dict[str, Any]:
    return {
        "$placeholder": _get(placeholder, "_token"),
        "path": list(_get(placeholder, "_path")),
    }


def _need(placeholder: _Placeholder, what: str) -> NoReturn:
    GUEST.stop({"needs": _get(placeholder, "_token"), "what": what})


# --- time and chance ------------------------------------------------------------------------


class _Clock:
    """The virtual clock: starts at the step's journaled time, sleeping advances it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.boot_ns = 0
        self.real = {
            name: getattr(time, name) for name in ("sleep", "gmtime", "localtime", "strftime")
        }

    def set(self, time_us: int) -> None:
        # A step that slept may have gone past the next step's start: never run backwards.
        self.now_ns = max(self.now_ns, time_us * 1_000)
        if not self.boot_ns:
            self.boot_ns = self.now_ns - 1_000_000_000_000

    def time_ns(self) -> int:
        now, self.now_ns = self.now_ns, self.now_ns + TICK_NS
        return now

    def monotonic_ns(self) -> int:
        return self.time_ns() - self.boot_ns

    def sleep(self, seconds: float, /) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.advance(seconds)
        self.real["sleep"](0)  # Other threads of the program get their turn.

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1_000_000_000)

    def install(self) -> None:
        def seconds(clock_ns: Callable[[], int]) -> Callable[[], float]:
            return lambda: clock_ns() / 1e9

        def reading(clock_id: int) -> int:
            return self.time_ns() if clock_id == time.CLOCK_REALTIME else self.monotonic_ns()

        replaced: dict[str, Any] = {"sleep": self.sleep, "time_ns": self.time_ns}
        replaced["time"] = seconds(self.time_ns)
        for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
            replaced[name + "_ns"] = self.monotonic_ns
            replaced[name] = seconds(self.monotonic_ns)
        replaced["clock_gettime_ns"] = reading
        replaced["clock_gettime"] = lambda clock_id: reading(clock_id) / 1e9
        replaced.update(self._calendar())
        for name, function in replaced.items():
            setattr(time, name, function)

    def _calendar(self) -> dict[str, Any]:
        gmtime, localtime, strftime = (
            self.real[name] for name in ("gmtime", "localtime", "strftime")
        )
        asctime = time.asctime

        def at(seconds: float | None) -> float:
            return self.time_ns() / 1e9 if seconds is None else seconds

        return {
            "gmtime": lambda seconds=None: gmtime(at(seconds)),
            "localtime": lambda seconds=None: localtime(at(seconds)),
            "ctime": lambda seconds=None: asctime(localtime(at(seconds))),
            "asctime": lambda parts=None: asctime(localtime(at(None)) if parts is None else parts),
            "strftime": lambda form, parts=None: strftime(
                form, localtime(at(None)) if parts is None else parts
            ),
        }


class _Chance:
    """Every random source, from one seed. Nothing here is secret: do not make keys of it."""

    def __init__(self) -> None:
        self.seed = ""
        self.source: Any = None

    def set(self, seed: str) -> None:
        if seed != self.seed:
            self.seed, self.source = seed, None
            if "random" in sys.modules:
                sys.modules["random"].seed(f"random:{seed}")

    def urandom(self, size: int, /) -> bytes:
        if self.source is None:
            # A float-free, version-stable seed: the text itself as a number.
            number = int.from_bytes(b"urandom:" + self.seed.encode("utf-8", "replace"), "big")
            self.source = __import__("_random").Random(number)
        if size < 0:
            raise ValueError("negative argument not allowed")
        value: int = self.source.getrandbits(size * 8) if size else 0
        return value.to_bytes(size, "little")


def _patch_random(module: Any) -> None:
    original = module.Random.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        # Without a seed the C code would ask the kernel.
        if a is None:
            a = int.from_bytes(GUEST.chance.urandom(32), "big")
        original(self, a, version)

    module.Random.seed = seed
    module.seed(f"random:{GUEST.chance.seed}")


def _patch_uuid(module: Any) -> None:
    module._generate_time_safe = None
    module._UuidCreate = None
    module._node = 0x02_00_00_00_00_01  # Locally administered; ``uuid1`` shows no host.


def _patch_datetime(module: Any) -> None:
    """Let ``now`` and ``utcnow`` read the virtual clock; ``today`` reads ``time.time`` anyway.

    The class itself is changed, which C types do not allow by assignment. A subclass in its
    place is not the same: C code makes instances of the original, and extensions (pandas)
    build their own types on what they find here and crash on a class made in Python. Nothing
    has looked up either name before, so no cache of the interpreter is out of date.
    """

    def now(cls: Any, tz: Any = None) -> Any:
        seconds, rest = divmod(GUEST.clock.time_ns(), 1_000_000_000)
        return cls.fromtimestamp(seconds, tz).replace(microsecond=rest // 1_000)

    def utcnow(cls: Any) -> Any:
        return cls.now(module.timezone.utc).replace(tzinfo=None)

    own = __import__("gc").get_referents(module.datetime.__dict__)[0]
    own.update(now=classmethod(now), utcnow=classmethod(utcnow))


def _patch_threading(module: Any) -> None:
    original = module.Condition.wait

    def wait(self: Any, timeout: float | None = None) -> bool:
        # A wait that timed out took that long; without this, loops on a deadline never end.
        woken: bool = original(self, timeout)
        if not woken and timeout:
            GUEST.clock.advance(timeout)
        return woken

    module.Condition.wait = wait


def _patch_asyncio(module: Any) -> None:
    """Give event loops that need no socket and whose sleeps cost nothing."""
    events = module.SelectorEventLoop

    class Loop(events):  # type: ignore[misc,valid-type]
        def __init__(self, selector: Any = None) -> None:
            self._woken = __import__("threading").Event()
            super().__init__(selector or _selector(self._woken))

        def _make_self_pipe(self) -> None:
            self._ssock = self._csock = None

        def _close_self_pipe(self) -> None:
            pass

        def _write_to_self(self) -> None:
            self._woken.set()

    module.SelectorEventLoop = Loop
    policy = getattr(module, "DefaultEventLoopPolicy", None)
    if policy is not None:
        policy._loop_factory = Loop


def _selector(woken: Any) -> Any:
    """Give a selector without descriptors: time passes at once unless a thread is at work."""
    selectors, threading = __import__("selectors"), __import__("threading")

    class Selector(selectors._BaseSelectorImpl):  # type: ignore[misc,name-defined]
        def select(self, timeout: float | None = None) -> list[Any]:
            if timeout is None:
                woken.wait()
            elif timeout > 0 and not woken.is_set():
                if threading.active_count() > 1:
                    woken.wait(min(timeout, 0.01))
                    timeout = 0 if woken.is_set() else timeout
                GUEST.clock.advance(timeout)
            woken.clear()
            return []

    return Selector()


def _patch_linecache(module: Any) -> None:
    for name, source in GUEST.sources.items():
        module.cache[name] = (len(source), None, source.splitlines(True), name)


_PATCHES: dict[str, Callable[[Any], None]] = {
    "random": _patch_random,
    "uuid": _patch_uuid,
    "datetime": _patch_datetime,
    "threading": _patch_threading,
    "asyncio": _patch_asyncio,
    "linecache": _patch_linecache,
}


class _PatchingFinder:
    """Finds the modules of ``_PATCHES`` as usual and changes each right after its import."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _PATCHES:
            return None
        for finder in sys.meta_path:
            if finder is not _PatchingFinder:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = _PatchingLoader(spec.loader, _PATCHES[name])  # type: ignore[assignment]
                    return spec
        return None


class _PatchingLoader:
    def __init__(self, loader: Any, patch: Callable[[Any], None]) -> None:
        self._loader = loader
        self._patch = patch

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        self._patch(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


# --- tools ----------------------------------------------------------------------------------


class ToolError(Exception):
    """Base of all errors that a tool raises; their names are the tool's own."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


ToolError.__module__ = "builtins"


def _tool_error(name: str) -> type[ToolError]:
    """Give the class of a tool's error: also a subclass of the built-in one of that name."""
    known = GUEST.tool_errors.get(name)
    if known is None:
        base = builtins.__dict__.get(name)
        bases: tuple[type, ...] = (ToolError,)
        if isinstance(base, type) and issubclass(base, Exception):
            bases = (ToolError, base)
        try:
            known = type(name, bases, {"__module__": "builtins"})
        except TypeError:
            known = type(name, (ToolError,), {"__module__": "builtins"})
        GUEST.tool_errors[name] = known
    return known


def _stub(name: str, parameters: list[list[Any]]) -> Callable[..., Any]:
    """Make the function that stands for a tool.

    Args:
        name: the tool's name.
        parameters: ``[name, required, default]`` each, in the order of positions.
    """

    def stub(*args: Any, **kwargs: Any) -> Any:
        return GUEST.call(name, _bound(name, parameters, args, kwargs))

    shown = ", ".join(
        parameter if required else f"{parameter}={default!r}"
        for parameter, required, default in parameters
    )
    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = f"{name}({shown})"
    stub.__module__ = "tools"
    return stub


def _bound(
    name: str, parameters: list[list[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Give the arguments by name, with defaults filled in, as JSON."""
    names = [parameter for parameter, _, _ in parameters]
    takes = f"it takes {', '.join(names) or 'no arguments'}"
    if len(args) > len(names):
        raise TypeError(f"{name}() was given {len(args)} arguments by position; {takes}")
    given = dict(zip(names, args, strict=False))
    for key, value in kwargs.items():
        if key not in names:
            raise TypeError(f"{name}() has no argument {key!r}; {takes}")
        if key in given:
            raise TypeError(f"{name}() was given {key!r} twice")
        given[key] = value
    result: dict[str, Any] = {}
    for key, required, default in parameters:
        if key in given:
            try:
                result[key] = _plain(given[key])
            except _Unsendable as error:
                raise error.within(f"{name}(): argument {key}") from None
        elif required:
            raise TypeError(f"{name}() misses the argument {key!r}; {takes}")
        else:
            result[key] = default
    return result


def final_answer(*args: Any, **kwargs: Any) -> NoReturn:
    """Give the result of the whole task and end the program at once."""
    values = [*args, *kwargs.values()]
    if len(values) != 1:
        raise TypeError("final_answer() takes exactly one value")
    GUEST.require_program_thread("final_answer")
    try:
        value = _plain(values[0])
    except _Unsendable as error:
        raise error.within("final_answer(): the value") from None
    GUEST.stop({"final": value, **GUEST.files.left()})


def _input(prompt: object = "", /) -> NoReturn:
    raise RuntimeError(
        "input() is not available: nobody sits at this program. Use what the task says or a tool."
    )


def _leave(code: object = None) -> NoReturn:
    raise SystemExit(code)


# --- errors ---------------------------------------------------------------------------------


def _describe(error: BaseException) -> dict[str, Any]:
    """Give what helps to correct the program: type, message, line, source, hint, trace."""
    trace = list(_program_frames(error.__traceback__))
    line, source = None, None
    for filename, number, _ in trace:
        if filename == GUEST.filename:
            line, source = number, GUEST.source_line(filename, number)
    if isinstance(error, SyntaxError) and not trace:
        line = error.lineno
        source = GUEST.source_line(GUEST.filename, line) if line else None
    shown = [_shown_frame(*frame) for frame in (*trace[:5], *trace[5:][-15:])]
    return {
        "type": _clean(type(error).__name__, 200),
        "message": _clean(_message(error)),
        "line": line,
        "source_line": source,
        "hint": _clean(_hint(error), 1_000),
        "trace": "\n".join(shown) if len(trace) > 1 else "",
        "memory": isinstance(error, MemoryError),
    }


def _message(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError):
            return str(error.msg)
        if type(error) is KeyError and len(error.args) == 1:
            return _short(error.args[0])
        return str(error)
    except MemoryError:
        raise
    except BaseException as problem:  # noqa: BLE001  (the program's own __str__ may raise anything)
        return f"<its text cannot be made: {type(problem).__name__}>"


def _program_frames(traceback: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename in GUEST.sources:
            yield code.co_filename, traceback.tb_lineno, code.co_name
        traceback = traceback.tb_next


def _shown_frame(filename: str, line: int, name: str) -> str:
    place = f"line {line}" if filename == GUEST.filename else f"line {line} of {filename}"
    return f"{place}, in {name}: {GUEST.source_line(filename, line) or ''}"


def _hint(error: BaseException) -> str:
    """Give a sentence that helps a model to correct the program, or nothing."""
    try:
        if isinstance(error, NameError) and error.name:
            names = [*GUEST.program, *(name for name in dir(builtins) if name[0] != "_")]
            return _close(error.name, names)
        if isinstance(error, AttributeError) and error.name:
            return _close(error.name, dir(error.obj))
        if isinstance(error, ImportError):
            return GUEST.allowed_imports()
        if isinstance(error, OSError) and error.errno == 28:
            return "The working directory is full; it is small and kept in memory."
        if isinstance(error, OSError) and error.errno in (1, 2, 13, 30):
            return "The program sees no files but its own; files can be made in /tmp. Use a tool."
        if isinstance(error, RecursionError):
            return "Use a loop, or a smaller problem."
        if isinstance(error, TypeError) and "_Placeholder" in str(error):
            return "A result that waits for signatures can be put into text only by f'{…}'."
    except BaseException:  # noqa: BLE001  (a hint must never hide the error itself)
        return ""
    return ""


def _close(name: str, names: Sequence[Any]) -> str:
    texts = sorted({text for text in names if isinstance(text, str)})
    found = __import__("difflib").get_close_matches(name, texts, n=3, cutoff=0.7)
    return f"Did you mean {' or '.join(found)}?" if found else ""


# --- files ----------------------------------------------------------------------------------


class _Files:
    """What comes in with the task, and what programs leave in ``out`` for the host to take.

    Only plain files directly in ``out`` leave. One that is as it was when it last left stays.
    """

    def __init__(self, channel: _Channel) -> None:
        self.channel = channel
        self.taken: dict[str, bytes] = {}
        self.lost = ""

    def make_folders(self) -> None:
        for folder in (GIVEN, LEFT):
            posix.mkdir(folder, 0o700)

    def put(self, name: str, data: str, more: bool) -> None:
        """Add a piece to a file in ``in``; it is read-only once it is whole.

        One for which there is no room is not there.
        """
        if name == self.lost:
            return
        try:
            self._add(name, data, more)
        except OSError:
            self.lost = name
            posix.unlink(f"{GIVEN}/{name}")

    def _add(self, name: str, data: str, more: bool) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        descriptor = posix.open(f"{GIVEN}/{name}", flags, 0o600)
        try:
            piece = memoryview(__import__("binascii").a2b_base64(data))
            while piece:
                piece = piece[posix.write(descriptor, piece) :]
            if not more:
                posix.fchmod(descriptor, 0o400)
        finally:
            posix.close(descriptor)

    def left(self) -> dict[str, bool]:
        """What the end of a step says of files; most steps leave none and say nothing."""
        try:
            return {"files": True} if posix.listdir(LEFT) else {}
        except OSError:
            return {}

    def give(self, limits: dict[str, int]) -> None:
        """Send what is new or changed, then what was not taken and why."""
        skipped: list[list[str]] = []
        room, places = limits["bytes"], limits["files"]
        for name in sorted(posix.listdir(LEFT)):
            size, digest, why = self._looked_at(name, min(room, limits["file_bytes"]))
            if not why and self.taken.get(name) == digest:
                continue
            if not why and places <= 0:
                why = f"at most {limits['files']} files leave at the end of a step"
            if why:
                skipped.append([_clean(name, 100), why[:150]])
                continue
            self._send(name)
            self.taken[name] = digest
            room, places = room - size, places - 1
        self.channel.send({"taken": skipped[:20]})

    def _looked_at(self, name: str, most: int) -> tuple[int, bytes, str]:
        """Size and digest, or why the file cannot leave."""
        try:
            status = posix.lstat(f"{LEFT}/{name}")
            if status.st_mode & 0o170000 != 0o100000:
                return 0, b"", "it is no plain file; put files directly into out"
            if status.st_size > most:
                return 0, b"", f"it has {status.st_size} bytes, and {most} are possible"
            return status.st_size, self._digest(name), ""
        except OSError as error:
            return 0, b"", f"it cannot be read: {error.strerror}"

    def _pieces(self, name: str) -> Iterator[bytes]:
        flags = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW
        descriptor = posix.open(f"{LEFT}/{name}", flags)
        try:
            piece = posix.read(descriptor, PIECE)
            while piece:
                yield piece
                piece = posix.read(descriptor, PIECE)
        finally:
            posix.close(descriptor)

    def _digest(self, name: str) -> bytes:
        digest: Any = __import__("hashlib").sha256()
        for piece in self._pieces(name):
            digest.update(piece)
        return bytes(digest.digest())

    def _send(self, name: str) -> None:
        encode: Any = __import__("binascii").b2a_base64
        last = b""
        for piece in self._pieces(name):
            if last:
                self._frame(name, encode(last, newline=False), more=True)
            last = piece
        self._frame(name, encode(last, newline=False), more=False)

    def _frame(self, name: str, data: bytes, *, more: bool) -> None:
        shown = _clean(name, 150)
        self.channel.send({"file": shown, "data": data.decode("ascii"), "more": more})


# --- the guest ------------------------------------------------------------------------------


class _Guest:
    """The state of the interpreter over all its steps."""

    def __init__(self, channel: _Channel) -> None:
        self.channel = channel
        self.sink = _Sink(channel)
        self.output = self._stream()
        self.files = _Files(channel)
        self.clock = _Clock()
        self.chance = _Chance()
        self.sources: dict[str, str] = {}
        self.filename = ""
        self.modules: list[str] | None = None
        self.tool_errors: dict[str, type[ToolError]] = {}
        self.calls = 0
        self.thread = 0
        self.main: ModuleType = type(sys)("__main__")
        self.program = self.main.__dict__
        self.own_main = sys.modules["__main__"]  # Kept alive: its globals are these functions'.

    def install(self) -> None:
        """Replace what must not reach the program as it is."""
        self.files.make_folders()
        self.program["__builtins__"] = builtins
        sys.modules["__main__"] = self.main
        sys.argv = ["program"]
        sys.meta_path.insert(0, _PatchingFinder)
        self.clock.install()
        posix.urandom = self.chance.urandom
        replaced: dict[str, Any] = {
            "input": _input,
            "exit": _leave,
            "quit": _leave,
            "ToolError": ToolError,
            "final_answer": final_answer,
            "__import__": self._import(builtins.__import__),
        }
        builtins.__dict__.update(replaced)
        sys.stdin = _io.StringIO("")

    def _import(self, original: Any) -> Callable[..., Any]:
        def guarded(
            name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
        ) -> Any:
            # Only the program's own imports: a library may need more than the program does.
            if globals is self.program and self.modules is not None and not self._allowed(name):
                raise ImportError(f"the import of {name} is not allowed here", name=name)
            return original(name, globals, locals, fromlist, level)

        return guarded

    def _allowed(self, name: str) -> bool:
        allowed = self.modules or []
        return any(name == one or name.startswith(one + ".") for one in allowed)

    def allowed_imports(self) -> str:
        if self.modules is None:
            return "Only the standard library and the packages of this runtime can be imported."
        return f"Allowed imports: {', '.join(self.modules) or 'none'}."

    def source_line(self, filename: str, line: int) -> str | None:
        lines = self.sources.get(filename, "").splitlines()
        return _clean(lines[line - 1].strip(), 500) if 0 < line <= len(lines) else None

    # -- one step

    def serve(self) -> None:
        """Run steps for ever; a thread that is parked has started its successor."""
        self.thread = _thread.get_ident()
        while True:
            request = self.channel.receive()
            if "file" in request:
                self.files.put(request["file"], request["data"], request["more"])
            elif "take" in request:
                self.files.give(request["take"])
            else:
                self.begin(request)
                answer = self.run(request["code"])
                self.finish(answer)

    def begin(self, request: dict[str, Any]) -> None:
        self.filename = f"<step {request['step']}>"
        self.sources[self.filename] = request["code"]
        self.program["__file__"] = self.filename  # ``inspect`` asks for it.
        if "linecache" in sys.modules:
            _patch_linecache(sys.modules["linecache"])
        self.modules = request["modules"]
        self.channel.frame_bytes = request["frame_bytes"]
        self.calls = 0
        self.clock.set(request["time_us"])
        self.chance.set(request["seed"])
        self.program.update(request["state"])
        for name, parameters in request["stubs"]:
            self.program[name] = _stub(name, parameters)
        self.printed()  # What threads of an earlier step printed since is nobody's.
        if self.output.closed:
            self.sink = _Sink(self.channel)
            self.output = self._stream()
        self.sink.active = True
        sys.stdout = sys.stderr = self.output

    def _stream(self) -> _io.TextIOWrapper:
        buffer = _io.BufferedWriter(self.sink, OUTPUT_PIECE)
        return _io.TextIOWrapper(buffer, "utf-8", "backslashreplace", "\n")

    def run(self, code: str) -> dict[str, Any]:
        """Run one program; give its last value or its error."""
        try:
            program, kept = _compiled(code, self.filename)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return {"error": _describe(_as_syntax_error(error))}
        try:
            exec(program, self.program)  # noqa: S102  (this is what the jail is for)
            return {"value": _shown_value(self.program.pop(VALUE, None)) if kept else None}
        except SystemExit as error:
            if error.code is None or error.code == 0:
                return {"value": None}
            return {"error": self.described(error)}
        except BaseException as error:  # noqa: BLE001  (whatever the program raises is its result)
            return {"error": self.described(error)}
        finally:
            self.program.pop(VALUE, None)

    def described(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, MemoryError):
            _let_go(error.__traceback__)
        try:
            return _describe(error)
        except MemoryError:
            _let_go(error.__traceback__)
            return {
                "type": "MemoryError", "message": "", "line": None, "source_line": None,
                "hint": "", "trace": "", "memory": True,
            }  # fmt: skip

    def finish(self, answer: dict[str, Any]) -> None:
        out = self.printed()
        try:
            self.channel.send({"done": answer, "out": out, **self.files.left()})
        except _TooLong:
            shortened = {"repr": _clean(_short(answer["value"]), MAX_REPR)}
            self.channel.send({"done": {"value": shortened}, "out": out, **self.files.left()})
        self.sink.active = False

    def printed(self) -> str:
        if not self.output.closed:  # The program may have done that.
            self.output.flush()
        return self.sink.take()

    # -- talking to the host in mid-step

    def require_program_thread(self, name: str) -> None:
        if _thread.get_ident() != self.thread:
            raise RuntimeError(
                f"{name}() can be called from the program's main thread only: the order of calls"
                " is part of what is recorded"
            )

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        self.require_program_thread(tool)
        self.send_out()
        call = {
            "call": self.calls,
            "tool": tool,
            "arguments": arguments,
            "at": self.lines(),
            "out": "",
        }
        try:
            self.channel.send(call)
        except _TooLong as error:
            raise ValueError(f"{tool}(): what is passed {error}") from None
        self.calls += 1
        reply = self.channel.receive()
        if "value" in reply:
            return reply["value"]
        if "raise" in reply:
            name, message = reply["raise"]
            raise _tool_error(name)(message)
        if "deferred" in reply:
            token, schema = reply["deferred"]
            known = type(schema) is dict and schema.get("type") == "null"
            return None if known else _Placeholder(token, schema, schema, ())
        return self.park()

    def lines(self) -> list[int]:
        """Give the lines of this step's program that led to a call, from the innermost."""
        found: list[int] = []
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and len(found) < MAX_LINES:
            if frame.f_code.co_filename == self.filename:
                found.append(frame.f_lineno)
            frame = frame.f_back
        return found

    def stop(self, message: dict[str, Any]) -> NoReturn:
        """Tell the host why the step ends here, and never come back."""
        self.send_out()
        try:
            self.channel.send({**message, "out": ""})
        except _TooLong as error:
            raise ValueError(f"final_answer(): the value {error}") from None
        self.park()

    def send_out(self) -> None:
        # On its own: text that a message too long took along would be lost.
        out = self.printed()
        if out:
            self.channel.send({"out": out})

    def park(self) -> NoReturn:
        self.sink.active = False
        try:
            _thread.start_new_thread(self.serve, ())
        except RuntimeError:
            # No thread is left to serve on: better no jail than a program that goes on.
            posix._exit(0)
        lock = _thread.allocate_lock()
        lock.acquire()
        while True:
            try:
                lock.acquire()
            except BaseException:  # noqa: BLE001, S112  (a signal handler or another thread may raise here)
                continue


def _compiled(code: str, filename: str) -> tuple[Any, bool]:
    """Compile a program so that its last top-level value is kept; tell whether there is one."""
    tree: Any = compile(code, filename, "exec", _ast.PyCF_ONLY_AST)
    last = tree.body[-1] if tree.body else None
    kept = True
    place = _place(last) if last is not None else {}
    target = _ast.Name(VALUE, _ast.Store(), **place)
    if isinstance(last, _ast.Expr):
        tree.body[-1] = _ast.Assign([target], last.value, **place)
    elif isinstance(last, _ast.Assign):
        last.targets.insert(0, target)
    elif isinstance(last, (_ast.AugAssign, _ast.AnnAssign)) and isinstance(last.target, _ast.Name):
        kept = isinstance(last, _ast.AugAssign) or last.value is not None
        if kept:
            again = _ast.Name(last.target.id, _ast.Load(), **place)
            tree.body.append(_ast.Assign([target], again, **place))
    else:
        kept = False
    return compile(tree, filename, "exec", dont_inherit=True), kept


def _place(node: Any) -> Any:
    names = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    return {name: getattr(node, name) for name in names}


def _as_syntax_error(error: Exception) -> SyntaxError:
    if isinstance(error, SyntaxError):
        return error
    if isinstance(error, (RecursionError, MemoryError)):
        return SyntaxError("the program is nested too deeply to be compiled")
    return SyntaxError(str(error))


def _let_go(traceback: TracebackType | None) -> None:
    """Free what the frames of a failed program hold, so that there is room to say so."""
    while traceback is not None:
        frame: FrameType = traceback.tb_frame
        try:  # noqa: SIM105  (contextlib would cost start-up)
            frame.clear()
        except RuntimeError:  # It is still running.
            pass
        traceback = traceback.tb_next


if __name__ == "__main__":
    GUEST = _Guest(_Channel(int(sys.argv[1])))
    # The host has its own things to do now; what takes a millisecond here is done meanwhile.
    GUEST.channel.open()
    import _ast

    _refuse_value_uses()
    GUEST.install()
    GUEST.serve()
