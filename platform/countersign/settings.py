"""Settings of the Django project; the only module that reads the environment.

Every variable is called ``COUNTERSIGN_…`` and checked here: start-up stops with all problems
named. What is not given gets a default that is safe on one machine; a secret that is not given is
made once and kept under ``COUNTERSIGN_HOME``.
"""

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from countersign import telemetry
from countersign.embedded.location import PORT, locate
from countersign.environment import Environment
from countersign.home import Home
from countersign.queue import broker_options

env = Environment(os.environ)

BASE_DIR = Path(__file__).resolve().parents[2]
PACKAGE_DIR = Path(__file__).resolve().parent

# --- What this installation is ---------------------------------------------------------------

HOME = Home(env.folder("HOME", BASE_DIR / "var"))
COUNTERSIGN_HOME = HOME.path
DEBUG = False
SECRET_KEY = env.text("SECRET_KEY") or HOME.secret("secret_key")
env.require("SECRET_KEY", holds=len(SECRET_KEY) >= 32, otherwise="needs at least 32 characters")

# Where people reach the console; decides cookies, redirects and links in e-mail.
COUNTERSIGN_PORT = env.number("PORT", 8000, highest=65535)
_url = env.url("URL", ["http", "https"], f"http://127.0.0.1:{COUNTERSIGN_PORT}")
COUNTERSIGN_URL = _url.geturl().rstrip("/")
_loopback = ["127.0.0.1", "localhost", "::1"]
env.require(
    "URL",
    holds=_url.scheme == "https" or (_url.hostname or "") in _loopback,
    otherwise="must start with https:// unless it is this machine: passwords travel over it",
)
COUNTERSIGN_LISTEN = env.text("LISTEN", "127.0.0.1")

# --- Applications ----------------------------------------------------------------------------

INSTALLED_APPS = [
    "countersign",
    "audit",
    "policies",
    "agents",
    "countersign.accounts",
    "countersign.console",
    "guardian",
    "django_htmx",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "countersign.middleware.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "countersign.middleware.storable_session",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "countersign.console.views.errors.explain_not_allowed",
]
ROOT_URLCONF = "countersign.urls"
ASGI_APPLICATION = "countersign.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_templates = [BASE_DIR / "templates", PACKAGE_DIR / "console" / "templates"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [folder for folder in _templates if folder.is_dir()],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- People ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
COUNTERSIGN_DIRECTORY = "countersign.accounts.directory.Directory"
# What makes a change once enough people have signed it, by the kind that its binding names.
COUNTERSIGN_CHANGES = {
    "policy.activate": "policies.services.policy.policy_apply",
    "registry": "agents.registry.proposal.apply",
    "member": "countersign.accounts.services.appointment.apply",
    "factor.reset": "countersign.accounts.services.factor_reset.apply",
}
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
COUNTERSIGN_LOGIN_TOTP = env.choice("LOGIN_TOTP", ["off", "enrolled", "required"], "enrolled")
"""Who gives a one-time code at login: nobody, whoever has an authenticator, or everybody."""
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login"

# --- Browser ---------------------------------------------------------------------------------

_https = _url.scheme == "https"
ALLOWED_HOSTS = env.texts("HOSTS", sorted({_url.hostname or "", *_loopback, "[::1]"} - {""}))
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_url.netloc}"]
# A browser takes a cookie of this prefix from this host alone, by TLS and for all paths: no other
# host of the domain, and nobody on the network, can plant a session or a token of theirs.
_only_ours = "__Host-" if _https else ""
SESSION_COOKIE_NAME = f"{_only_ours}countersign_session"
SESSION_COOKIE_AGE = env.number("SESSION_HOURS", 8, highest=24 * 7) * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _https
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = f"{_only_ours}countersign_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = _https
LOGIN_COOKIE_NAME = f"{'__Secure-' if _https else ''}countersign_login"
"""Between password and code; for the path of the login alone, which `__Host-` does not allow."""
SECURE_SSL_REDIRECT = _https
# Supervisors ask from inside, where there is no TLS; the answer holds nothing.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _https else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.flag("BEHIND_PROXY", default=False):
    # Only behind a proxy that sets the header itself: anybody can send it.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STATIC_URL = "/static/"
STATICFILES_DIRS = [folder for folder in [PACKAGE_DIR / "console" / "static"] if folder.is_dir()]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 300

# --- Database --------------------------------------------------------------------------------

_external = env.postgres("DATABASE_URL")
COUNTERSIGN_EMBEDDED = not _external
COUNTERSIGN_DATABASE_LOCATION = locate(HOME)
COUNTERSIGN_OWNER = env.postgres("OWNER_URL")
"""libpq key-values of one who may act as the owner role; for ``database_migrate`` only."""
env.require(
    "OWNER_URL",
    holds=not (COUNTERSIGN_OWNER and COUNTERSIGN_EMBEDDED),
    otherwise="is for an external database; set COUNTERSIGN_DATABASE_URL too",
)
_CONNECTION = ("dbname", "user", "password", "host", "port")


def _database(role: str) -> dict[str, Any]:
    """Return Django's settings to connect as ``role`` (``app``, ``reader``, …)."""
    given = env.postgres(f"{role.upper()}_URL") if role != "app" else _external
    if COUNTERSIGN_EMBEDDED:
        parts = {
            "dbname": "countersign",
            "user": f"countersign_{role}",
            "password": HOME.secret(f"database_{role}"),
            "host": str(COUNTERSIGN_DATABASE_LOCATION.socket),
            "port": str(PORT),
        }
    else:
        # Where only the application's address is given, the other roles use its server.
        parts = {**_external, "user": f"countersign_{role}", "password": "", **given}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts.get("password", ""),
        "HOST": parts["host"],
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": 0,
        # The pool asks a connection for a sign of life (0.1 ms) before it hands it out: after a
        # restart of the database the first task of each worker would else fail.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {key: value for key, value in parts.items() if key not in _CONNECTION},
    }


DATABASES = {
    "default": _database("app"),
    "reader": _database("reader"),
    "sequencer": _database("sequencer"),
    "eraser": _database("eraser"),
}
DATABASES["default"]["OPTIONS"] |= {
    "pool": {
        "min_size": 0,
        "max_size": env.number("DATABASE_CONNECTIONS", 20, highest=1000),
        "timeout": 10,
        "max_idle": 120,
    }
}
if env.flag("DATABASE_PREPARE", default=True):
    # A run asks the same forty questions at every step: parsed and planned once, a step costs a
    # fifth less. Not through a pooler that hands a connection to others between transactions.
    DATABASES["default"]["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 2}

# --- Messages between processes ----------------------------------------------------------------

_broker = env.url("BROKER_URL", ["pgmq", "amqp", "amqps", "redis", "rediss", "memory"], "pgmq://")
CELERY_BROKER_URL = env.text("BROKER_URL", "pgmq://")
CELERY_BROKER_TRANSPORT_OPTIONS = (
    broker_options(DATABASES["default"]) if _broker.scheme == "pgmq" else {}
)
if _broker.scheme == "pgmq":
    CELERY_BROKER_TRANSPORT = "countersign.transport:Transport"
    # pgmq builds its connection from host, port, database, user and password alone; what else the
    # address says (sslmode, sslrootcert, …) reaches libpq by its own variables.
    for _key, _value in _external.items():
        if _key.startswith("ssl"):
            os.environ.setdefault(f"PG{_key.upper()}", _value)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_DEFAULT_QUEUE = "countersign"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_EVENT_SERIALIZER = "json"
CELERY_RESULT_BACKEND = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.number("WORKER_THREADS", 4, highest=64)
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "agents.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "approvals": {"task": "policies.sweep", "schedule": 60.0, "options": {"expires": 60}},
    "heads": {"task": "audit.append_heads", "schedule": 60.0, "options": {"expires": 60}},
    "exports": {"task": "audit.resume_exports", "schedule": 60.0, "options": {"expires": 60}},
    "verify": {"task": "audit.verify_all", "schedule": 86_400.0},
    "retention": {"task": "audit.expire_payloads", "schedule": 86_400.0},
    "removal": {"task": "audit.remove_exports", "schedule": 3_600.0},
    "notices": {"task": "accounts.notify", "schedule": 60.0, "options": {"expires": 60}},
    "purge": {"task": "accounts.purge", "schedule": 3_600.0},
}

COUNTERSIGN_WORKER_NAME = (env.text("WORKER_NAME") or socket.gethostname())[:100].replace(":", "-")
"""What the log calls the workers of this host."""

# --- Files of runs ---------------------------------------------------------------------------

COUNTERSIGN_FILE_MB = env.number("FILE_MB", 25, highest=200)
"""Megabytes (MiB) of each file that a run is given."""
COUNTERSIGN_FILES_MB = env.number("FILES_MB", 50, highest=400)
"""Of all that one request gives; programs need room for them in their jail (`disk_mb`)."""

# --- Tools -----------------------------------------------------------------------------------

COUNTERSIGN_TOOL_MODULES = env.texts("TOOL_MODULES", ["countersign.demo"])
"""Modules, with all below them, whose functions may be registered as tools."""
COUNTERSIGN_TOOL_SPECS = "agents.registry.tool_specs"
COUNTERSIGN_SECRET_FOLDERS = [
    Path(folder)
    for folder in env.texts("SECRET_FOLDERS", ["/run/secrets", "/etc/countersign/secrets"])
] + [COUNTERSIGN_HOME / "credentials"]
"""Where a tool's credential may lie that is referred to as ``file:/path``."""

# --- Sandbox and log -------------------------------------------------------------------------

COUNTERSIGN_RUNTIMES = env.text("RUNTIMES")
COUNTERSIGN_AUDIT_ORIGIN = env.text("AUDIT_ORIGIN", "countersign.local")
COUNTERSIGN_PLATFORM_AUDITORS = env.texts("PLATFORM_AUDITORS", [])
"""User names of those who read the platform's own log. Whoever rules the host says who, as with
the kill switch for everything: no role of any workspace reaches that far."""
COUNTERSIGN_EXPORT_DAYS = env.number("EXPORT_DAYS", 30, highest=3650)
"""Days for which the file of an export is kept."""
COUNTERSIGN_AUDIT_HEADS = env.text("AUDIT_HEADS")
COUNTERSIGN_AUDIT_ANCHORS = env.entries("AUDIT_ANCHORS")
COUNTERSIGN_LOG_SIGNING_KEY = env.text("LOG_SIGNING_KEY")
COUNTERSIGN_LOG_SIGNER = env.text("LOG_SIGNER")
COUNTERSIGN_KEY_WRAPPER = env.text("KEY_WRAPPER")

# --- E-mail ----------------------------------------------------------------------------------

_mail = env.url("EMAIL_URL", ["smtp", "smtps", "smtp+starttls"])
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "Countersign <countersign@localhost>")
EMAIL_SUBJECT_PREFIX = ""
EMAIL_TIMEOUT = 15
COUNTERSIGN_MAILBOX = COUNTERSIGN_HOME / "mailbox"
if _mail.hostname:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _mail.hostname
    EMAIL_PORT = _mail.port or (465 if _mail.scheme == "smtps" else 587)
    EMAIL_HOST_USER = unquote(_mail.username or "")
    EMAIL_HOST_PASSWORD = unquote(_mail.password or "")
    EMAIL_USE_SSL = _mail.scheme == "smtps"
    EMAIL_USE_TLS = _mail.scheme == "smtp+starttls"
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(COUNTERSIGN_MAILBOX)

# --- Telemetry -------------------------------------------------------------------------------

COUNTERSIGN_TELEMETRY = telemetry.signals(os.environ)
"""Which of traces and metrics OpenTelemetry's own variables (``OTEL_…``) ask for."""
COUNTERSIGN_TELEMETRY_CONTENT = env.flag("TELEMETRY_CONTENT", default=False)
"""Put prompts, replies and tool arguments into spans: people's data then leaves with them."""
if "traces" in COUNTERSIGN_TELEMETRY:
    # After the static files, which are not worth a span.
    MIDDLEWARE.insert(
        MIDDLEWARE.index("whitenoise.middleware.WhiteNoiseMiddleware") + 1,
        "countersign.telemetry.trace_requests",
    )

# --- Language, time, logs --------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "countersign.logs.JsonFormatter"},
        "text": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("LOG_FORMAT", ["json", "text"], "json"),
        }
    },
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], "INFO"),
    },
    "loggers": {
        # Django would add handlers of its own, for DEBUG and for mail to administrators.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # The sweep comes every two seconds; what it does says so itself.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

env.finish()
