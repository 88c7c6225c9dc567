"""Settings, all from the environment; what is not set has a default that works on a bare machine.

==========================  =========================================================================
``DATABASE_URL``            PostgreSQL 18; without it a real one is started under ``DATA_DIR``
``REDIS_URL``               Redis; without it a real one is started under ``DATA_DIR``
``DATA_DIR``                where embedded servers and uploads live (default ``.data``)
``SECRET_KEY``              required when ``DEBUG`` is off
``DEBUG``                   ``true`` / ``false`` (default ``true`` with embedded servers)
``ALLOWED_HOSTS``           comma separated
``CSRF_TRUSTED_ORIGINS``    comma separated, with scheme
``SECURE_BEHIND_TLS``       ``true`` when a proxy in front speaks https: secure cookies, HSTS, redirect
``SITE_URL``                address of the site in messages to customers
``TIME_ZONE``               the site's zone (default ``Asia/Shanghai``)
``EMAIL_URL``               ``smtp://user:password@host:port`` (default: the console channel)
``DEFAULT_FROM_EMAIL``      sender of e-mails to customers
``SMS_GATEWAY``             path of a YAML file describing the HTTP gateway (default: the console channel)
``METER_GATEWAY``           path of a YAML file describing the meter system, or ``simulator`` (default with embedded
                            servers); empty: nothing is switched from afar
``CONSOLE_CHANNEL``         ``true`` writes messages that have no way out to the log (default with embedded servers)
``STATIC_ROOT``             where ``collectstatic`` put the files; without it they are served from where they lie
``METRICS_TOKEN``           bearer token of ``/metrics``; without one only this machine may read it
``WEB_THREADS``             requests served at once by one web process (default 8)
``LOG_LEVEL``               default ``WARNING``
``PHONE_REGION``            default region of numbers typed without a country code (default ``CN``)
``IDENTITY_ITEMS``          how much a caller must confirm before a debt is spoken of (default 2 items)
``MFA_TOTP_ISSUER``         name of the site in authenticator apps
``MFA_REQUIRED_ROLES``      comma separated roles that must set up a second factor (default none)
``RULE_PACKS_DIR``          folder with rule packs of one's own, beside the shipped ones
==========================  =========================================================================
"""

import contextlib
import os
import secrets
import sys
from pathlib import Path

import django_stubs_ext
import environ
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from xstatic.pkg import leaflet

from outage_mgmt import embedded, logs

django_stubs_ext.monkeypatch()  # ``ModelAdmin[Outage]`` is a type to mypy and must not be an error when running

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".data"))).resolve()

# --- servers ----------------------------------------------------------------------------------------

EMBEDDED_POSTGRES = "DATABASE_URL" not in env.ENVIRON
EMBEDDED_REDIS = "REDIS_URL" not in env.ENVIRON
if EMBEDDED_POSTGRES or EMBEDDED_REDIS:
    try:
        _servers = embedded.ensure(DATA_DIR, postgres=EMBEDDED_POSTGRES, with_redis=EMBEDDED_REDIS)
    except embedded.EmbeddedServerError as broken:
        sys.exit(str(broken))

if EMBEDDED_POSTGRES:
    _database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": embedded.DATABASE,
        "USER": "postgres",
        "HOST": str(_servers.sockets),
    }
else:
    _database = env.db_url("DATABASE_URL")
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            # PostgreSQL sets none of these by itself; bulk commands raise them for their own session
            "options": "-c statement_timeout=60s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s",
        },
    }
}
REDIS_URL = _servers.redis_url if EMBEDDED_REDIS else env.str("REDIS_URL")


def _own_secret_key() -> str:
    """A site on embedded servers keeps its key beside its data; any other must be given one."""
    path, mine = DATA_DIR / "secret_key", DATA_DIR / f"secret_key.{os.getpid()}"
    if not path.exists():
        with open(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        with contextlib.suppress(FileExistsError):  # of several that start at once the first one decides
            os.link(mine, path)
        mine.unlink()
    return path.read_text()


# --- security ---------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=EMBEDDED_POSTGRES)
SECRET_KEY = env.str("SECRET_KEY", default=_own_secret_key() if EMBEDDED_POSTGRES else "")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if EMBEDDED_POSTGRES else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000")
SECURE_BEHIND_TLS = env.bool("SECURE_BEHIND_TLS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_BEHIND_TLS
SECURE_SSL_REDIRECT = SECURE_BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE_BEHIND_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- application ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "django_tables2",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pghistory",
    "pgtrigger",
    "django_structlog",
    "django_prometheus",
    # ours, bottom first
    "standards",
    "grid",
    "accounts",
    "outages",
    "outages.planned",
    "outages.load_shedding",
    "outages.faults",
    "notifications",
    "billing_cutoffs",
    "call_center",
    "outage_mgmt",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "accounts.middleware.ReadableAddressMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "accounts.middleware.ActorMiddleware",
    "accounts.middleware.SecondFactorMiddleware",
    "accounts.middleware.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "outage_mgmt.urls"
WSGI_APPLICATION = "outage_mgmt.wsgi.application"
ASGI_APPLICATION = "outage_mgmt.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "accounts.backends.RoleBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = False  # the session ends with the browser, and after 12 hours at the latest
# password attempts are counted by axes, in the database; this limit remains for second-factor codes. A call centre
# logs in from one address at the start of a shift, so logins are not limited by address alone
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "10/5m/key"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = env.str("MFA_TOTP_ISSUER", default="Outage coordination")
MFA_TOTP_TOLERANCE = 1  # one period of 30 s: the clocks of telephones differ
MFA_REQUIRED_ROLES = env.list("MFA_REQUIRED_ROLES", default=[])

TOKEN_REMEMBERED_S = 10  # a revoked token of a machine client stops within this time (30 s are promised)

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
# further attempts while locked do not prolong the lock: nobody is locked out for ever by somebody else
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False

# --- languages and time -----------------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Shanghai")
PHONE_REGION = env.str("PHONE_REGION", default="CN")

# --- the console ------------------------------------------------------------------------------------

IDENTITY_ITEMS = env.int("IDENTITY_ITEMS", default=2)

# --- files ------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static", ("leaflet", leaflet.BASE_DIR)]
# a container collects its files at build time; otherwise they are served from where they lie
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WEB_THREADS = env.int("WEB_THREADS", default=8)  # each keeps one database connection
MEDIA_ROOT = DATA_DIR / "media"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- cache, tasks -----------------------------------------------------------------------------------

CACHES = {
    "default": {
        "BACKEND": "outage_mgmt.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        # a page waits at most a second for Redis, and only once in five
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 0)},
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"


def broker_url(redis_url: str) -> str:
    """Celery writes the address of a unix socket in another way than everybody else."""
    return redis_url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")


CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_DEFAULT_QUEUE = "plan"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "unacked_restore_throttle": 1,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # however long Redis is away
CELERY_TIMEZONE = TIME_ZONE
# an overdue turn is taken once after a standstill, so the last turns are remembered across restarts
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat")
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
WORKER_QUEUES = "ring,plan,import,report,webhook"

# --- telling people ---------------------------------------------------------------------------------

# messages without a way out are written to the log instead: right on a demo's machine, nowhere else
CONSOLE_CHANNEL = env.bool("CONSOLE_CHANNEL", default=EMBEDDED_POSTGRES)
EMAIL_URL = env.str("EMAIL_URL", default="")
RULE_PACKS_DIR = env.str("RULE_PACKS_DIR", default="")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="outages@localhost")
SMS_GATEWAY = env.str("SMS_GATEWAY", default="")

# --- the meters ------------------------------------------------------------------------------------

# simulated meters are right on a demo's machine, nowhere else
METER_GATEWAY = env.str("METER_GATEWAY", default="simulator" if EMBEDDED_POSTGRES else "")

# --- watching ---------------------------------------------------------------------------------------

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- interfaces -------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.ServiceTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["accounts.api.json.WritableJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.json.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Outage coordination API",
    "DESCRIPTION": "One record, one answer, one log of every interruption of supply.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # several things have a state; each list of words keeps its own name in the schema
    "ENUM_NAME_OVERRIDES": {
        "FaultStateEnum": "outages.faults.models.FaultState",
        "CrewStateEnum": "outages.faults.models.CrewState",
        "PeriodStateEnum": "outages.planned.models.PeriodState",
        "WorkStateEnum": "outages.planned.models.WorkState",
        "WindowStateEnum": "outages.planned.models.WindowState",
        "SheddingStateEnum": "outages.load_shedding.models.EventState",
        "SlotStateEnum": "outages.load_shedding.models.SlotState",
        "PeriodKindEnum": "outages.planned.models.PeriodKind",
        "KindEnum": "outages.models.OutageKind",
        "LevelEnum": "outages.models.OutageLevel",
        "StatusEnum": "outages.models.OutageStatus",
        "AlternativeEnum": "outages.planned.models.Alternative",
        "HoldKindEnum": "billing_cutoffs.models.HoldKind",
        "ApprovalLevelEnum": "billing_cutoffs.models.ApprovalLevel",
        "OrderStateEnum": "billing_cutoffs.models.OrderState",
        "PaymentStatusEnum": "billing_cutoffs.models.PaymentStatus",
    },
}

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        logs.without_personal_data,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
}
