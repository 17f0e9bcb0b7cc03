"""
The settings of the test suite, the same for pytest and for the workers it starts.

What differs from run to run comes in through the environment, so that a
subprocess with `DJANGO_SETTINGS_MODULE=tests.settings` sees the same databases.
"""

import json
import os
from datetime import timedelta
from importlib.util import find_spec

import django

# Written by tests/servers.py; without it, for checks and types, nothing is stored.
DATABASES = {
    "default": json.loads(
        os.environ.get(
            "UPKEEP_TEST_DATABASE",
            '{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}',
        )
    )
}

# Either MySQL client will do: mysqlclient where somebody has it, PyMySQL otherwise.
if DATABASES["default"]["ENGINE"].endswith(".mysql") and not find_spec("MySQLdb"):
    import pymysql

    pymysql.install_as_MySQLdb()
    # It would read the machine's certificates for each connection, which takes longer
    # than most tests, and the server has none.
    DATABASES["default"].setdefault("OPTIONS", {})["ssl_disabled"] = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_tasks_db",
    "upkeep",
    "tests.testapp",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.insert(0, "django_tasks")

TASKS = {
    "default": {
        "BACKEND": "django_tasks_db.DatabaseBackend",
        "QUEUES": [],  # any name will do
    }
}
UPKEEP = {
    "LEASE": timedelta(seconds=float(os.environ.get("UPKEEP_TEST_LEASE", "30"))),
}

# A project as most are; to log in it has the admin alone.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "the tests keep no secrets"
TIME_ZONE = "Europe/Berlin"
USE_TZ = True
