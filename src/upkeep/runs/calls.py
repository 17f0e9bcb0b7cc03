"""What a person does with dead letters of calls, beside having a call made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from upkeep.databases import Now, storable
from upkeep.exceptions import InvalidParameters

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import QuerySet

    from upkeep.runs.dead_letters import DeadLetter


def discard(
    letters: QuerySet[DeadLetter], reason: str, *, by: AbstractBaseUser | str = ""
) -> int:
    """Give the open letters of calls among these up; return how many."""
    if not reason.strip():
        raise InvalidParameters({"reason": ["Say why they are given up."]})
    state = letters.model.State
    changes: dict[str, Any] = {"state": state.DISCARDED, "settled_at": Now()}
    changes["note"] = storable(reason)
    if isinstance(by, get_user_model()):
        changes["owner"] = by
    return letters.exclude(call="").filter(state=state.OPEN).update(**changes)
