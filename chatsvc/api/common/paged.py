"""The parameters of every list that pages by number or by cursor."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from chatsvc.api.common.fields import QueryWhole, cursor
from chatsvc.core.paging import MAX_OFFSET


class Paged(Schema):
    """Pages by number, or by cursor; not both."""

    page = QueryWhole(low=1, high=MAX_OFFSET, load_default=None)
    cursor = cursor()

    @validates_schema(skip_on_field_errors=False)
    def one_way(self, given: dict[str, Any], **_: Any) -> None:
        if given.get("cursor") is not None and given.get("page") is not None:
            raise ValidationError("cannot be given together with page", "cursor")
