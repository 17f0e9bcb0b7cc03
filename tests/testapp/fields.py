"""Fields such as a host writes them."""

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    Binary = models.BinaryField[Any, Any]
    Text = models.CharField[Any, Any]
else:
    Binary, Text = models.BinaryField, models.CharField


class CipherField(Binary):
    """JSON that is written in another way each time, as with a cipher."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(base64.b64decode(bytes(value)[8:]))

    def get_db_prep_value(
        self, value: Any, connection: Any, prepared: bool = False
    ) -> Any:
        if value is not None:
            value = os.urandom(8) + base64.b64encode(json.dumps(value).encode())
        return super().get_db_prep_value(value, connection, prepared)


class LowerField(Text):
    """A text that is seen in lower case, however it is stored."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else value.lower()
