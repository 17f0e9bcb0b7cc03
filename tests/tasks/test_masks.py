"""What is masked is shown nowhere, and nothing else is hidden."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from pytest_django import Settings

from upkeep.tasks.masks import (
    mask_text,
    mask_value,
    masked_names,
    secrets_in,
    secrets_of,
)

# How a text may be written inside of another.
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "ascii": ascii,
    "json": json.dumps,
    "json in unicode": lambda text: json.dumps({"key": text}, ensure_ascii=False),
    "bytes": lambda text: repr(text.encode()),
    "error": lambda text: repr(ValueError(text)),
    "key error": lambda text: str(KeyError(text)),
    "in a list": lambda text: repr([{"key": text}]),
    "path": quote,
    "part of a path": lambda text: quote(text, safe=""),
    "query": lambda text: f"https://a.example/?key={quote_plus(text)}&n=1",
}


class TestNames:
    def test_what_the_task_lists_is_masked_under_exactly_that_name(self) -> None:
        names = ["content", "content_type"]
        assert masked_names(names, ["content"]) == {"content"}

    def test_a_word_of_the_settings_masks_every_name_it_is_a_part_of(
        self, settings: Settings
    ) -> None:
        settings.UPKEEP = {"MASKED": ("Key",)}
        assert masked_names(["API_KEY", "keyboard", "lock"], []) == {
            "API_KEY",
            "keyboard",
        }

    def test_passwords_and_tokens_are_masked_by_default(self) -> None:
        names = ["new_password", "auth_token", "client_secret", "api_key", "name"]
        assert masked_names(names, []) == set(names) - {"name"}


class TestSecrets:
    @pytest.mark.parametrize(
        ("value", "secrets"),
        [
            ("hunter22", {"hunter22"}),
            ("short", set()),
            (1234567, {"1234567"}),
            (["first-one", "second-one"], {"first-one", "second-one"}),
            ({"key": {"deep": "down-there"}}, {"down-there"}),
            (date(2024, 1, 2), {"2024-01-02"}),
            (b"in-bytes", {"in-bytes"}),
            (b"\xff\x00 no text", {r"\xff\x00 no text"}),
            (UUID(int=1 << 127), {str(UUID(int=1 << 127)), "8" + 31 * "0"}),
            (None, set()),
            (True, set()),
            (ContentFile(b"", name="salaries.csv"), {"salaries.csv"}),
        ],
    )
    def test_the_texts_of_a_value(self, value: Any, secrets: Any) -> None:
        found = secrets_of({"hidden": value}, ["hidden"])
        assert found >= secrets
        assert bool(found) == bool(secrets)

    def test_a_traceback_shows_a_text_with_escapes(self) -> None:
        secrets = secrets_of({"hidden": "two\nlines"}, ["hidden"])
        assert mask_text("ValueError('two\\nlines')", secrets) == (
            "ValueError('[FILTERED]')"
        )

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "secret",
        ["hush hush/9001", 'schön & "schief" \'n', "tab\tand\\back", "a+b=c%d"],
    )
    def test_a_text_is_found_however_it_is_written(self, way: str, secret: str) -> None:
        secrets = secrets_of({"hidden": secret}, ["hidden"])
        masked = mask_text(f"before {WAYS[way](secret)} after", secrets)
        for word in ("hush", "9001", "schief", "back", "b=c", "b%3Dc"):
            assert word not in masked
        assert "before " in masked
        assert "[FILTERED]" in masked

    def test_a_text_of_several_lines_is_found_by_line(self) -> None:
        key = "--- BEGIN ---\n  cHJpdmF0ZQ\n--- END ---"
        secrets = secrets_of({"hidden": key}, ["hidden"])
        assert mask_text("  | cHJpdmF0ZQ", secrets) == "  | [FILTERED]"
        assert mask_text("\n".join(key.splitlines()), secrets) == "[FILTERED]"

    def test_what_is_stored_is_found_before_there_is_a_task(self) -> None:
        stored = {"hidden": {"$model": "auth.group", "pk": "customer-7"}}
        assert secrets_in(stored, ["hidden"]) == {"customer-7"}

    def test_what_is_not_masked_is_no_secret(self) -> None:
        assert secrets_of({"shown": "everybody knows"}, ["hidden"]) == frozenset()


class TestTexts:
    def test_a_secret_is_replaced_wherever_it_occurs(self) -> None:
        text = "hunter22: login of hunter22x failed"
        assert mask_text(text, ["hunter22"]) == (
            "[FILTERED]: login of [FILTERED]x failed"
        )

    def test_of_two_secrets_the_longer_is_replaced_as_a_whole(self) -> None:
        assert mask_text("hunter22-and-more", ["hunter22", "hunter22-and-more"]) == (
            "[FILTERED]"
        )

    def test_a_short_value_would_be_found_in_innocent_words(self) -> None:
        assert mask_text("an apple", ["a", "apple"]) == "an apple"

    def test_signs_are_only_signs(self) -> None:
        assert mask_text("x(.*)+y abcdef", ["x(.*)+y"]) == "[FILTERED] abcdef"

    def test_the_mark_itself_is_left_alone(self) -> None:
        assert mask_text("secret-1 FILTERED", ["secret-1", "FILTERED"]) == (
            "[FILTERED] [FILTERED]"
        )


class TestValues:
    def test_texts_are_masked_however_deep_they_lie(self) -> None:
        value = {"open-sesame": ["so open-sesame it is", 7, None, {"a": "innocent"}]}
        assert mask_value(value, {"open-sesame"}) == {
            "[FILTERED]": ["so [FILTERED] it is", 7, None, {"a": "innocent"}]
        }

    def test_numbers_are_too(self) -> None:
        secrets = {"9001234", "90012.5"}
        masked = mask_value([9001234, 90012.5, True, 7, 0.5], secrets)
        assert masked == ["[FILTERED]", "[FILTERED]", True, 7, 0.5]
