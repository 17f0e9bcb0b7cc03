"""Settings of the example project: an ordinary Django project that uses Upkeep."""

import os
from datetime import timedelta
from pathlib import Path

import django

BASE_DIR = Path(__file__).resolve().parent.parent

# All that the project writes lies in this one folder, which git ignores.
DATA_DIR = Path(os.environ.get("FLIGHTS_DATA", BASE_DIR / "data"))
DATA_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "an example keeps no secrets"  # noqa: S105
DEBUG = os.environ.get("FLIGHTS_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "flights",
    "upkeep",
    "django_tasks_db",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
if django.VERSION < (6, 0):
    # Django 6 has django.tasks built in; Django 5.2 takes it from this backport.
    INSTALLED_APPS.append("django_tasks")

# Upkeep ------------------------------------------------------------------------

# The queue that carries Upkeep's messages, here a table in the same database.
TASKS = {
    "default": {
        "BACKEND": "django_tasks_db.DatabaseBackend",
        "QUEUES": ["default"],
    }
}

UPKEEP = {
    # How long a worker that was killed is waited for. The default is 30 seconds;
    # less makes it more fun to kill one and watch its run go on.
    "LEASE": timedelta(seconds=10),
}

# Database ----------------------------------------------------------------------

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "flights.sqlite3",
        "OPTIONS": {
            # SQLite has one writer at a time. A transaction that begins IMMEDIATE
            # queues for its turn; one that reads first and wants to write later
            # would fail at once with "database is locked".
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,  # seconds to wait for the turn
            # With a write-ahead log, readers and the writer do not block each
            # other, and synchronous=NORMAL is as safe there as FULL against all
            # but a power cut, which may take the last commits, never the order.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Files -------------------------------------------------------------------------

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "media"},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
    # Where Upkeep keeps the files that its tasks receive: private, never MEDIA.
    "upkeep": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "uploads"},
    },
    # What the airlines owe for flights that were very late.
    "claims": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "claims", "allow_overwrite": True},
    },
}
STATIC_URL = "static/"

# The web -----------------------------------------------------------------------

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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

# Language and time -------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "America/New_York"
USE_TZ = True
