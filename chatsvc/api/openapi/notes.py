"""What a route's declaration does not say: words for people, and what is particular about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from marshmallow import Schema

from chatsvc.api.app import schemas as app
from chatsvc.api.v1 import schemas as v1


@dataclass(frozen=True, slots=True)
class Note:
    """About one route. `answers` stands in for the declared answer, `also` adds bodies by status, `refuses` adds errors of the usual shape."""

    about: str = ""
    refuses: tuple[int, ...] = ()
    answers: tuple[type[Schema] | str, ...] = ()
    also: dict[int, str] = field(default_factory=dict)
    many: bool = False
    body: type[Schema] | None = None
    sent: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


FAILED = dict.fromkeys((502, 503, 504), "V1ChatFailure")
NO_HISTORY = "403 where the service keeps no messages."

# By endpoint. A test holds that each is there.
NOTES: dict[str, Note] = {
    "v1_sessions.create": Note("Beyond the cap of active sessions per agent type, the least recently active one is archived."),
    "v1_sessions.read": Note("`include_messages=false` leaves out `messages` and `has_more_messages`.", answers=(v1.ThreadOut, v1.SessionOut)),
    "v1_sessions.change": Note("An exchange of a conversation cannot be archived or resumed: 409.", refuses=(409,)),
    "v1_sessions.archive": Note("Archiving what has ended changes nothing.", refuses=(409,)),
    "v1_messages.append": Note("Resumes a session that has ended. " + NO_HISTORY, refuses=(403, 409)),
    "v1_messages.index": Note(NO_HISTORY, refuses=(403,)),
    "v1_messages.edit": Note("A reply can be edited once it has ended. " + NO_HISTORY, refuses=(403, 409)),
    "v1_chat_sessions.index": Note("`user_id` takes your own id; an admin may give anyone's.", refuses=(403,)),
    "v1_chat_sessions.remove": Note("Gone from every face until it is restored.", refuses=(409,)),
    "v1_chat.send": Note(
        "The message is kept before the responder is asked, so a failure loses nothing: 502 it failed, 503 it is taking a rest, 504 it was too slow.",
        refuses=(403, 404),
        also={409: "V1ReplyRunning", **FAILED},
    ),
    "v1_chat.stream": Note(
        "With the `Idempotency-Key` of an earlier request it follows or replays the reply of that one.", refuses=(403, 404), also={409: "V1ReplyRunning"}
    ),
    "v1_chat.resume": Note("Works on any worker, and after the end too: the rest of the text, then the last event.", sent=("Last-Event-ID",)),
    "v1_chat.cancel": Note("Stopping twice is as good as once; after another end it is a 409.", refuses=(409,)),
    "auths.login": Note(
        "Takes JSON or a form. A wrong password and an unknown user look the same.",
        refuses=(401,),
        answers=("AppTokens", "AppCookies"),
        sent=("X-Session",),
        given=("Set-Cookie",),
    ),
    "auths.register": Note("403 where the operator has closed registration.", refuses=(403, 409)),
    "auths.refresh": Note(
        "The token stands in the body, in `Authorization`, or in its cookie (with `X-CSRF-Token`). Using one twice ends the sign-in.",
        refuses=(401, 403),
        answers=("AppTokens", "AppCookies"),
        body=app.Refresh,
        given=("Set-Cookie",),
    ),
    "auths.everybody": Note(many=True, given=("Link",)),
    "health.readyz": Note(also={503: "HealthUnready"}),
}
