"""The part of Python that programs may use, named one by one.

What is not in these tables is not "harmless until listed": an attribute of a standard
module that is missing here is a finding, because modules of the standard library hold
other modules (`statistics.sys`, `random._os`) and those hold the interpreter.

The tables are frozen text, not introspection of the running interpreter, so that the same
program has the same facts on every installation.
"""

import builtins
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAMES: Final = {
    "abc": """
        ABC ABCMeta abstractclassmethod abstractmethod abstractproperty abstractstaticmethod
    """,
    "array": """
        ArrayType array typecodes
    """,
    "ast": """
        literal_eval
    """,
    "base64": """
        a85decode a85encode b16decode b16encode b32decode b32encode b32hexdecode b32hexencode
        b64decode b64encode b85decode b85encode decode decodebytes encode encodebytes
        standard_b64decode standard_b64encode urlsafe_b64decode urlsafe_b64encode
    """,
    "binascii": """
        Error Incomplete a2b_base64 a2b_hex a2b_qp a2b_uu b2a_base64 b2a_hex b2a_qp b2a_uu
        crc32 crc_hqx hexlify unhexlify
    """,
    "bisect": """
        bisect bisect_left bisect_right insort insort_left insort_right
    """,
    "calendar": """
        Calendar FRIDAY HTMLCalendar IllegalMonthError IllegalWeekdayError LocaleHTMLCalendar
        LocaleTextCalendar MONDAY SATURDAY SUNDAY THURSDAY TUESDAY TextCalendar WEDNESDAY
        calendar day_abbr day_name firstweekday isleap leapdays month month_abbr month_name
        monthcalendar monthrange prcal prmonth setfirstweekday timegm weekday weekheader
    """,
    "cmath": """
        acos acosh asin asinh atan atanh cos cosh e exp inf infj isclose isfinite isinf isnan
        log log10 nan nanj phase pi polar rect sin sinh sqrt tan tanh tau
    """,
    "codecs": """
        decode encode
    """,
    "collections": """
        ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple
    """,
    "collections.abc": """
        ByteString Callable Collection Container Generator Hashable ItemsView Iterable
        Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet
        Reversible Sequence Set Sized ValuesView
    """,
    "colorsys": """
        hls_to_rgb hsv_to_rgb rgb_to_hls rgb_to_hsv rgb_to_yiq yiq_to_rgb
    """,
    "contextlib": """
        AbstractContextManager ContextDecorator ExitStack closing contextmanager nullcontext
        suppress
    """,
    "copy": """
        Error copy deepcopy
    """,
    "csv": """
        Dialect DictReader DictWriter Error QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE
        QUOTE_NONNUMERIC Sniffer excel excel_tab field_size_limit get_dialect list_dialects
        reader unix_dialect writer
    """,
    "dataclasses": """
        Field FrozenInstanceError InitVar KW_ONLY MISSING asdict astuple dataclass field
        fields is_dataclass replace
    """,
    "datetime": """
        MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo
    """,
    "decimal": """
        BasicContext Clamped Context ConversionSyntax Decimal DecimalException DecimalTuple
        DefaultContext DivisionByZero DivisionImpossible DivisionUndefined ExtendedContext
        FloatOperation HAVE_CONTEXTVAR HAVE_THREADS Inexact InvalidContext InvalidOperation
        MAX_EMAX MAX_PREC MIN_EMIN MIN_ETINY Overflow ROUND_05UP ROUND_CEILING ROUND_DOWN
        ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP Rounded Subnormal
        Underflow getcontext localcontext
    """,
    "difflib": """
        Differ HtmlDiff IS_CHARACTER_JUNK IS_LINE_JUNK Match SequenceMatcher context_diff
        diff_bytes get_close_matches ndiff restore unified_diff
    """,
    "email.utils": """
        collapse_rfc2231_value decode_params decode_rfc2231 encode_rfc2231 format_datetime
        formataddr formatdate getaddresses make_msgid mktime_tz parseaddr parsedate
        parsedate_to_datetime parsedate_tz unquote
    """,
    "enum": """
        CONFORM CONTINUOUS EJECT Enum EnumCheck EnumMeta EnumType Flag FlagBoundary IntEnum
        IntFlag KEEP NAMED_FLAGS ReprEnum STRICT StrEnum UNIQUE auto member nonmember unique
        verify
    """,
    "fnmatch": """
        filter fnmatch fnmatchcase translate
    """,
    "fractions": """
        Fraction
    """,
    "functools": """
        WRAPPER_ASSIGNMENTS WRAPPER_UPDATES cache cached_property cmp_to_key lru_cache partial
        reduce singledispatch singledispatchmethod total_ordering wraps
    """,
    "graphlib": """
        CycleError TopologicalSorter
    """,
    "gzip": """
        BadGzipFile compress decompress
    """,
    "hashlib": """
        algorithms_available algorithms_guaranteed blake2b blake2s md5 new pbkdf2_hmac sha1
        sha224 sha256 sha384 sha3_224 sha3_256 sha3_384 sha3_512 sha512 shake_128 shake_256
    """,
    "heapq": """
        heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest
    """,
    "hmac": """
        HMAC compare_digest digest digest_size new
    """,
    "html": """
        escape unescape
    """,
    "html.parser": """
        HTMLParser
    """,
    "io": """
        BytesIO IOBase SEEK_CUR SEEK_END SEEK_SET StringIO TextIOBase UnsupportedOperation
    """,
    "ipaddress": """
        AddressValueError IPV4LENGTH IPV6LENGTH IPv4Address IPv4Interface IPv4Network
        IPv6Address IPv6Interface IPv6Network NetmaskValueError collapse_addresses
        get_mixed_type_key ip_address ip_interface ip_network summarize_address_range
        v4_int_to_packed v6_int_to_packed
    """,
    "itertools": """
        accumulate chain combinations combinations_with_replacement compress count cycle
        dropwhile filterfalse groupby islice pairwise permutations product repeat starmap
        takewhile tee zip_longest
    """,
    "json": """
        JSONDecodeError JSONDecoder JSONEncoder dump dumps load loads
    """,
    "keyword": """
        iskeyword issoftkeyword kwlist softkwlist
    """,
    "locale": """
        atof atoi currency format_string
    """,
    "logging": """
        CRITICAL DEBUG ERROR Formatter INFO NOTSET NullHandler WARNING basicConfig critical
        debug error exception getLogger info log warning
    """,
    "math": """
        acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e
        erf erfc exp exp2 expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf
        isclose isfinite isinf isnan isqrt lcm ldexp lgamma log log10 log1p log2 modf nan
        nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau trunc ulp
    """,
    "numbers": """
        Complex Integral Number Rational Real
    """,
    "operator": """
        abs add and_ attrgetter concat contains countOf delitem eq floordiv ge getitem gt iadd iand
        iconcat ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift
        is_ is_not isub itemgetter itruediv ixor le length_hint lshift lt matmul mod mul ne
        neg not_ or_ pos pow rshift setitem sub truediv truth xor
    """,
    "os": """
        altsep curdir extsep fspath getcwd linesep listdir makedirs mkdir pardir path pathsep
        remove rename sep walk
    """,
    "os.path": """
        abspath basename commonpath commonprefix dirname exists extsep getsize isabs isdir isfile
        join normpath relpath sep split splitext
    """,
    "pathlib": """
        Path PurePath PurePosixPath
    """,
    "pprint": """
        PrettyPrinter isreadable isrecursive pformat pp pprint saferepr
    """,
    "queue": """
        Empty Full LifoQueue PriorityQueue Queue SimpleQueue
    """,
    "quopri": """
        decodestring encodestring
    """,
    "random": """
        Random SystemRandom betavariate choice choices expovariate gammavariate gauss
        getrandbits lognormvariate normalvariate paretovariate randbytes randint random
        randrange sample seed shuffle triangular uniform vonmisesvariate weibullvariate
    """,
    "re": """
        A ASCII DOTALL I IGNORECASE L LOCALE M MULTILINE Match NOFLAG Pattern RegexFlag S U
        UNICODE VERBOSE X compile error escape findall finditer fullmatch match search split
        sub subn
    """,
    "secrets": """
        SystemRandom choice compare_digest randbelow randbits token_bytes token_hex
        token_urlsafe
    """,
    "statistics": """
        NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean
        linear_regression mean median median_grouped median_high median_low mode multimode
        pstdev pvariance quantiles stdev variance
    """,
    "string": """
        Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits
        octdigits printable punctuation whitespace
    """,
    "struct": """
        Struct calcsize error iter_unpack pack pack_into unpack unpack_from
    """,
    "sys": """
        byteorder exit float_info getrecursionlimit getsizeof int_info maxsize setrecursionlimit
        version version_info
    """,
    "textwrap": """
        TextWrapper dedent fill indent shorten wrap
    """,
    "time": """
        asctime ctime gmtime localtime mktime monotonic monotonic_ns perf_counter
        perf_counter_ns process_time sleep strftime strptime struct_time time time_ns timezone
        tzname
    """,
    "traceback": """
        format_exc format_exception format_exception_only print_exc
    """,
    "types": """
        GenericAlias MappingProxyType NoneType SimpleNamespace UnionType
    """,
    "typing": """
        AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable
        AsyncIterator Awaitable BinaryIO ByteString Callable ChainMap ClassVar Collection
        Concatenate Container ContextManager Coroutine Counter DefaultDict Deque Dict Final
        FrozenSet Generator Generic Hashable IO ItemsView Iterable Iterator KeysView List
        Literal LiteralString Mapping MappingView Match MutableMapping MutableSequence
        MutableSet NamedTuple Never NewType NoReturn NotRequired Optional OrderedDict
        ParamSpec ParamSpecArgs ParamSpecKwargs Pattern Protocol Required Reversible Self
        Sequence Set Sized SupportsAbs SupportsBytes SupportsComplex SupportsFloat
        SupportsIndex SupportsInt SupportsRound TYPE_CHECKING Text TextIO Tuple Type TypeAlias
        TypeGuard TypeVar TypeVarTuple TypedDict Union Unpack ValuesView assert_never
        assert_type cast dataclass_transform final get_args get_origin
        is_typeddict no_type_check no_type_check_decorator overload reveal_type
        runtime_checkable
    """,
    "unicodedata": """
        bidirectional category combining decimal decomposition digit east_asian_width
        is_normalized lookup mirrored name normalize numeric unidata_version
    """,
    "urllib.parse": """
        DefragResult DefragResultBytes ParseResult ParseResultBytes SplitResult
        SplitResultBytes parse_qs parse_qsl quote quote_from_bytes quote_plus unquote
        unquote_plus unquote_to_bytes urldefrag urlencode urljoin urlparse urlsplit urlunparse
        urlunsplit
    """,
    "uuid": """
        NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 UUID uuid1 uuid3 uuid4 uuid5
    """,
    "warnings": """
        catch_warnings filterwarnings simplefilter warn
    """,
    "xml.etree.ElementTree": """
        C14NWriterTarget Comment Element PI ParseError ProcessingInstruction QName SubElement
        TreeBuilder VERSION XML XMLID XMLParser XMLPullParser canonicalize fromstring
        fromstringlist indent iselement register_namespace tostring tostringlist
    """,
    "zlib": """
        DEFLATED DEF_BUF_SIZE DEF_MEM_LEVEL MAX_WBITS ZLIB_RUNTIME_VERSION ZLIB_VERSION
        Z_BEST_COMPRESSION Z_BEST_SPEED Z_BLOCK Z_DEFAULT_COMPRESSION Z_DEFAULT_STRATEGY
        Z_FILTERED Z_FINISH Z_FIXED Z_FULL_FLUSH Z_HUFFMAN_ONLY Z_NO_COMPRESSION Z_NO_FLUSH
        Z_PARTIAL_FLUSH Z_RLE Z_SYNC_FLUSH Z_TREES adler32 compress compressobj crc32
        decompress decompressobj error
    """,
    "zoneinfo": """
        InvalidTZPathWarning TZPATH ZoneInfo ZoneInfoNotFoundError available_timezones
    """,
}

MODULES: Final = {module: frozenset(names.split()) for module, names in _NAMES.items()}

# A package that is only the way to one of its modules: `import urllib.parse`.
PACKAGES: Final = frozenset({"urllib", "html", "xml", "xml.etree", "email", "collections"})

DEFAULT_IMPORTS: Final = frozenset(MODULES) | {"__future__"}

# Calls into these leave something behind that a later call can read back.
STATEFUL_MODULES: Final = frozenset(
    {"random", "decimal", "time", "logging", "warnings", "locale", "calendar", "sys"}
)
STATEFUL_MEMBERS: Final = frozenset(
    {("csv", "field_size_limit"), ("xml.etree.ElementTree", "register_namespace")}
)

# Names of class variables that say which attributes a class has, or shows to a pattern.
ATTRIBUTE_LISTS: Final = frozenset({"__match_args__", "__slots__"})

# They evaluate what stands in the annotations of functions they are given.
DISPATCHERS: Final = frozenset({"singledispatch", "singledispatchmethod"})

# As values they could be called with names that nobody reads.
REFLECTIVE_MEMBERS: Final = frozenset({("operator", "attrgetter"), ("functools", "wraps")})

# Of `os` and `os.path`: what looks at files, what of it is a matter of course, what changes them.
FILE_FUNCTIONS: Final = _words(
    "listdir makedirs mkdir exists isfile isdir getsize getcwd remove rename walk relpath abspath"
)
PLAIN_FILE_FUNCTIONS: Final = _words("listdir walk makedirs mkdir exists isfile isdir getsize")
FILE_CHANGES: Final = _words("makedirs mkdir remove rename")

# Methods of path objects: which take names, read and change files, and lead out of the directory.
PATH_NAMING: Final = _words(
    "joinpath with_name with_stem with_suffix glob rglob rename replace relative_to"
)
PATH_READING: Final = _words("read_text read_bytes exists is_file is_dir iterdir glob rglob stat")
PATH_CHANGES: Final = _words("write_text write_bytes mkdir unlink rmdir touch rename replace")
PATHS_OUT: Final = _words(
    "home cwd expanduser symlink_to hardlink_to link_to readlink chmod lchmod absolute resolve "
    "samefile"
)
PATH_METHODS: Final = PATH_NAMING | PATH_READING | PATH_CHANGES | PATHS_OUT | {"open"}

# Called, or inherited from, they make classes out of text.
METACLASSES: Final = frozenset({"ABCMeta", "EnumMeta", "EnumType"})
# Bases that call no method of what is derived from them.
PLAIN_BASES: Final = _words("ABC Protocol Generic NamedTuple TypedDict")
ENUMERATIONS: Final = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum"})

# Names of modules that mean "out of the sandbox" wherever they appear as an attribute or as a
# name imported from a package that was allowed additionally (numpy.os, pandas.io.common.os).
ESCAPES: Final = _words(
    "os sys subprocess builtins importlib imp ctypes socket shutil pathlib inspect gc code "
    "codeop runpy pickle marshal shelve dill cloudpickle signal threading multiprocessing "
    "asyncio pty posix nt resource mmap fcntl platform site sysconfig pkgutil zipimport "
    "tempfile glob webbrowser ftplib smtplib telnetlib urllib3 requests httpx aiohttp "
    "sqlite3 dbm faulthandler traceback linecache tokenize"
)

# Without an import they are meant as modules all the same, unless variables are called so too.
UNBOUND_MODULES: Final = ESCAPES - _words(
    "code dbm gc glob imp nt platform pty requests resource signal site socket tokenize"
)

CRITICAL_BUILTINS: Final = _words(
    "eval exec compile __import__ globals locals vars breakpoint input help "
    "exit quit copyright credits license"
)

# Names that programs give to their own variables; as builtins they stay refused.
HARMLESS_TO_SHADOW: Final = _words("input help exit quit copyright credits license")

# May be used, but only as the callee of a direct call whose arguments are checked.
CHECKED_BUILTINS: Final = _words("getattr setattr delattr hasattr open type super")

_EXCEPTIONS = """
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
    BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionError DeprecationWarning
    EOFError Exception ExceptionGroup FileExistsError FileNotFoundError FloatingPointError
    FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError
    InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError
    ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError
    PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError
    ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError
    SyntaxWarning SystemError SystemExit TabError TimeoutError TypeError UnboundLocalError
    UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning
    UserWarning ValueError Warning ZeroDivisionError ConnectionAbortedError
    ConnectionRefusedError ConnectionResetError EnvironmentError
"""

# Only to tell which handler takes what is raised: they are the same in all versions.
ERRORS: Final = {name: getattr(builtins, name) for name in _EXCEPTIONS.split()}

PLAIN_BUILTINS: Final = _words(_EXCEPTIONS) | _words(
    "abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex "
    "dict dir divmod enumerate filter float format frozenset hash hex id int isinstance "
    "issubclass iter len list map max min next object oct ord pow print property range repr "
    "memoryview reversed round set slice sorted staticmethod str sum tuple zip "
    "Ellipsis NotImplemented __name__ __debug__ __doc__"
)
BUILTINS: Final = PLAIN_BUILTINS | CRITICAL_BUILTINS | CHECKED_BUILTINS

# Functions whose result is a fresh immutable value: nothing stored into it can reach back.
SCALAR_FUNCTIONS: Final = _words(
    "abs all any ascii bin bool bytes callable chr complex divmod float format hash hex id int "
    "isinstance issubclass len oct ord pow range repr round str print type hasattr"
)
# What makes an iterator, or something else that is used up by being read.
ITERATORS: Final = _words(
    "iter map filter zip reversed enumerate open count cycle chain islice tee accumulate takewhile "
    "dropwhile zip_longest pairwise starmap filterfalse compress groupby product permutations "
    "combinations repeat StringIO BytesIO reader DictReader finditer merge ndiff unified_diff "
    "context_diff diff_bytes restore summarize_address_range collapse_addresses"
)
# Methods that make one, of whatever object.
ITERATING_METHODS: Final = _words(
    "elements hosts subnets address_exclude iter itertext iterfind finditer iter_unpack iterencode "
    "compare get_grouped_opcodes static_order read_events iterweekdays itermonthdates "
    "itermonthdays itermonthdays2 itermonthdays3 itermonthdays4 ndiff unified_diff context_diff "
    "diff_bytes restore summarize_address_range collapse_addresses glob rglob iterdir"
)
LISTINGS: Final = _words("glob rglob iterdir")
LAZY_BUILTINS: Final = _words("iter map filter zip reversed enumerate")
ITERATOR_MODULES: Final = _words("itertools io csv re heapq")
TAKING_ALL: Final = _words("all any bytes dict frozenset list max min next set sorted sum tuple")
SCALAR_MODULES: Final = _words(
    "base64 binascii cmath colorsys datetime fnmatch fractions hashlib hmac html ipaddress "
    "keyword math numbers secrets statistics struct textwrap unicodedata urllib.parse uuid "
    "zlib zoneinfo os os.path pathlib traceback"
)

# Methods of strings, numbers and dates: the result is immutable and the receiver unchanged.
SCALAR_METHODS: Final = _words(
    "capitalize casefold center count decode encode endswith expandtabs format format_map "
    "hex index isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric "
    "isprintable isspace istitle isupper join ljust lower lstrip removeprefix removesuffix "
    "replace rfind rindex rjust rstrip startswith strip swapcase title translate upper zfill "
    "bit_length conjugate is_integer as_integer_ratio quantize to_integral_value isoformat "
    "strftime timestamp weekday isoweekday date total_seconds hexdigest digest group span start "
    "end issubset issuperset isdisjoint getvalue tell"
)

# Methods that read: the result may be, or hold, a part of the receiver.
READING_METHODS: Final = _words(
    "find get items keys values copy most_common elements split rsplit splitlines partition "
    "rpartition groups groupdict findall finditer match search fullmatch difference "
    "intersection union symmetric_difference astimezone isocalendar timetuple utctimetuple "
    "as_tuple _asdict _replace read readline readlines"
)

# Of these, methods that move on in what they read from.
CONSUMING_METHODS: Final = frozenset({"read", "readline", "readlines"})

# Methods of the standard containers and streams that change their receiver.
MUTATING_METHODS: Final = _words(
    "append appendleft extend extendleft insert add update setdefault push put put_nowait write "
    "writelines writerow writerows send remove discard pop popitem popleft clear sort reverse "
    "rotate subtract feed __setitem__"
)

# Others that do so, where they are kept as values; called, they are no reading methods anyway.
CHANGING_VALUES: Final = MUTATING_METHODS | _words(
    "intersection_update difference_update symmetric_difference_update set fromlist frombytes "
    "move_to_end seek truncate warning info error debug log critical exception setstate seed "
    "shuffle close throw"
)

# Of `get` and its like only the value and the default are in the result; the key decides which.
KEYED_METHODS: Final = frozenset({"get", "pop", "__getitem__"})

# Names through which running code reaches frames, code objects and the interpreter.
_INTROSPECTION = _words("""
    f_back f_builtins f_code f_globals f_lasti f_lineno f_locals f_trace f_trace_lines
    f_trace_opcodes gi_code gi_frame gi_running gi_suspended gi_yieldfrom cr_await cr_code cr_frame
    cr_origin cr_running cr_suspended ag_await ag_code ag_frame ag_running tb_frame tb_lasti
    tb_lineno tb_next co_argcount co_cellvars co_code co_consts co_filename co_firstlineno
    co_flags co_freevars co_lines co_lnotab co_name co_names co_nlocals co_positions co_qualname
    co_stacksize co_varnames func_closure func_code func_defaults func_globals im_class im_func
    im_self mro meta_path path_hooks settrace setprofile
""")

# Dunder methods a class may define, and may call by name on `super()`.
ORDINARY_DUNDERS: Final = _words(
    "__init__ __post_init__ __repr__ __str__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ "
    "__len__ __iter__ __next__ __reversed__ __contains__ __getitem__ __setitem__ __delitem__ "
    "__missing__ __call__ __enter__ __exit__ __bool__ __int__ __float__ __index__ __round__ "
    "__format__ __bytes__ __abs__ __neg__ __pos__ __invert__ __add__ __sub__ __mul__ "
    "__truediv__ __floordiv__ __mod__ __divmod__ __pow__ __matmul__ __and__ __or__ __xor__ "
    "__lshift__ __rshift__ __radd__ __rsub__ __rmul__ __rtruediv__ __rfloordiv__ __rmod__ "
    "__rpow__ __rand__ __ror__ __rxor__ __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__ "
    "__imod__ __ipow__ __iand__ __ior__ __ixor__ __copy__"
)

# Called by name only, so an instance that merely flows somewhere does not run them.
EXPLICIT_DUNDERS: Final = frozenset({"__init__", "__post_init__"})

# `__x__` names that a program may read as plain attributes.
READABLE_DUNDERS: Final = frozenset({"__name__", "__doc__", "__qualname__"})
# Others that are a part of what has them: the cause of an error, the members of an enumeration.
PART_DUNDERS: Final = frozenset({"__cause__", "__members__"})
NAMED_DUNDERS: Final = frozenset(
    {"__slots__", "__match_args__", "__all__", "__name__", "__debug__", "__doc__"}
)

PUBLIC_UNDERSCORE: Final = frozenset({"_asdict", "_replace", "_fields", "_make"})


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and len(name) > 4


# What packages that were allowed additionally (numpy, pandas, sympy, yaml) offer to run text or
# native code, or to load objects that run code when they are loaded.
_RUNS_TEXT = _words(
    "eval exec execfile system popen run_module runscript runstring rundocs read_pickle to_pickle "
    "unpickle load load_library ctypeslib f2py distutils testing cpuinfo exec_command memmap "
    "fromfile tofile sympify lambdify parse_expr autowrap ufuncify unsafe_load full_load "
    "unsafe_load_all full_load_all UnsafeLoader FullLoader Loader read_sql read_clipboard"
)
# The harmless part of modules that are otherwise a way out, where an agent is allowed them.
_HARMLESS_PARTS: Final = {
    "os": _words("devnull name"),
    "platform": _words("python_version system machine"),
    "threading": _words("Lock RLock"),
}
_CLOCKS = _words("now today utcnow uuid1 formatdate make_msgid localtime compress")
# Methods of the library's objects that draw from the one random source.
CLOCK_METHODS: Final = frozenset({"now", "today", "utcnow"})
DRAWING_METHODS: Final = frozenset({"samples"})
_PATH_METHODS = _words("savefig save savez savetxt imread imsave loadtxt genfromtxt")


def tells_time(path: str, member: str) -> bool:
    """Whether a member of a module other than `time` reads the clock."""
    clocked = path in ("datetime", "uuid", "email.utils", "gzip")
    return clocked and member.rpartition(".")[2] in _CLOCKS


def draws(path: str, member: str) -> bool:
    """Whether a member of a module other than `random` draws from the random source."""
    return path == "secrets" or (path, member) in _DRAWING


_DRAWING: Final = frozenset({
    ("uuid", "uuid1"), ("uuid", "uuid4"), ("email.utils", "make_msgid"),
    ("statistics", "NormalDist.samples"),
})  # fmt: skip


def runs_text(member: str) -> bool:
    return not _RUNS_TEXT.isdisjoint(member.split("."))


def leads_out(path: str, member: str) -> bool:
    """Whether this member of an additionally allowed module reaches out of the program."""
    root = path.split(".", maxsplit=1)[0]
    if path == "os.path" or root not in ESCAPES:
        return False
    if member.split(".", maxsplit=1)[0] in MODULES.get(path, ()):
        return False
    return member.split(".", maxsplit=1)[0] not in _HARMLESS_PARTS.get(path, ())


def keeps_function(path: str, member: str) -> bool:
    """Whether a decorator of the library gives the function itself, or something that calls it."""
    return path in _KEEPERS or (path == "functools" and member in _KEEPING)


_KEEPERS = _words("abc contextlib dataclasses enum types typing")
_KEEPING = _words(
    "cache cached_property lru_cache singledispatch singledispatchmethod total_ordering wraps"
)


def shared_object(path: str, member: str) -> str:
    """The name of a class, function or list of the library, which all of the run share."""
    return f"{path}.{member.partition('.')[0]}"


def changes_argument(path: str, member: str) -> bool:
    """Whether a function of the library, or a method of its classes, changes what it is given."""
    if path == "operator":
        return member in _IN_PLACE
    plain = (path in ("heapq", "bisect", "random") and member in _CHANGING) or "." in member
    return plain or (path == "xml.etree.ElementTree" and member in ("SubElement", "indent"))


_CHANGING = _words(
    "heapify heappop heappush heappushpop heapreplace insort insort_left insort_right shuffle"
)
_IN_PLACE = _words(
    "delitem iadd iand iconcat ifloordiv ilshift imatmul imod imul ior ipow irshift isub "
    "itruediv ixor setitem"
)


# What they make of written text may be an address that does not look like one before.
DECODERS: Final = _words(
    "ast base64 binascii codecs gzip html json quopri struct unicodedata urllib.parse zlib"
)


def is_switch(path: str, member: str) -> bool:
    """Whether this sets something of the interpreter that code elsewhere can tell."""
    setting = path == "sys" and member.startswith("set")
    return setting or path == "warnings" or (path, member) == ("csv", "field_size_limit")


def takes_path(method: str) -> bool:
    return method in _PATH_METHODS or method.startswith(("read_", "to_", "scan_", "write_"))


def is_outside_path(path: str) -> bool:
    """Whether a path is not below the working directory, or is a URL."""
    return path.startswith(("/", "~", "\\")) or ".." in path.split("/") or ":" in path


_HOOKS = _words(
    "default encode iterencode decode emit handle filter write writelines read readline "
    "readlines close flush keys items utcoffset dst tzname fromutc random getrandbits seed "
    "convert substitute start end data comment pi start_ns end_ns doctype"
)


def is_implicit(name: str) -> bool:
    """Whether Python itself may call a method of this name on an instance."""
    return is_dunder(name) and name not in EXPLICIT_DUNDERS


def is_hook(name: str) -> bool:
    """Whether the library calls a method of this name on objects it is given."""
    return name in _HOOKS or name.startswith(("handle_", "format"))


def is_introspection(name: str) -> bool:
    """Whether an attribute of this name belongs to frames, code, tracebacks or modules."""
    return name in _INTROSPECTION
