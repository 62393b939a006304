"""An id that cannot be one does not exist."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.api.common import ids
from chatsvc.core.errors import NotFound

SESSION = "0b0e1c9e-4f0c-4f3a-9a52-0d7b8a3f2c11"


@given(found=st.uuids())
def test_a_session_id_is_a_uuid_in_either_case(found: uuid.UUID) -> None:
    assert ids.READERS["session_id"](str(found)) == str(found)
    assert ids.READERS["session_id"](str(found).upper()) == str(found)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", SESSION[:-1], SESSION + "0", SESSION + "\n", " " + SESSION, SESSION.replace("-", ""), "{" + SESSION + "}", "urn:uuid:" + SESSION),
        *(
            SESSION.replace("0", "٠"),
            SESSION.replace("0", "０"),
            SESSION.replace("e", "g"),
            SESSION.replace("-", "_"),
            SESSION.replace("-", "–"),
            SESSION + "\0",
        ),
    ],
)
def test_any_other_spelling_of_a_session_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match=r"^Session not found$"):
        ids.READERS["session_id"](text)


def test_a_message_id_is_a_whole_number_of_64_bits() -> None:
    assert [ids.message_id(text) for text in ("1", "42", str(2**63 - 1))] == [1, 42, 2**63 - 1]


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "01", " 1", "1 ", "1\n", "1.0", "1e3", "1_0", "٣", "１", "²", "0x1", str(2**63), str(2**64), "9" * 21, "9" * 5000, "one"]
)
def test_any_other_spelling_of_a_message_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match=r"^Message not found$"):
        ids.message_id(text)


def test_a_path_is_read_by_the_names_of_its_parts() -> None:
    assert ids.read({"session_id": SESSION.upper(), "message_id": "7"}) == {"session_id": SESSION, "message_id": 7}
    assert ids.read({}) == {}
