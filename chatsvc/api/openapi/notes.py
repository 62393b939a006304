"""What a route's declaration does not say: words for people, and what is particular about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from marshmallow import Schema

from chatsvc.api.app import schemas as app
from chatsvc.api.envelope import schemas as envelope
from chatsvc.api.envelope import shapes
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
    "envelope_sessions.index": Note(
        "Plain sessions; with any of `status`, `personaId`, `conversationId` and `offset` exchanges as well, and then `pagination` counts by `offset`.",
        answers=(shapes.SessionsOut, shapes.AllSessionsOut),
    ),
    "envelope_sessions.said": Note(NO_HISTORY, refuses=(403,)),
    "envelope_sessions.erase": Note("The session is gone from every face and cannot be restored; soft-deleted messages are counted too."),
    "envelope_sessions.cancel": Note("409 unless its `status` is `ACTIVE`. A plain session is resumed by the next message.", refuses=(409,)),
    "envelope_operations.stats": Note(
        "Rates and times are those of exchanges; `p95ResponseTimeMs` is the time that 95 of 100 did not exceed. `groupBy=day` adds `series`: "
        "days in UTC, from `from` to `to` (the last 30 days). `userId` and `scope=global` are for admins.",
        refuses=(403,),
        answers=(shapes.StatsOut, shapes.StatsByDayOut),
    ),
    "envelope_operations.clean": Note(
        "Takes JSON under any content type, or no body; without `maxAgeHours` it is CHAT_SESSION_TIMEOUT_HOURS.", body=envelope.Cleanup
    ),
    "envelope_personas.create": Note("Secrets are kept encrypted and never shown.", answers=(shapes.PersonaInFullOut,)),
    "envelope_personas.index": Note("Addresses, prompts and circuits are for admins.", answers=(shapes.PersonasInFullOut, shapes.PersonasOut)),
    "envelope_personas.read": Note("Addresses, prompts and its circuit are for admins.", answers=(shapes.PersonaInFullOut, shapes.PersonaOut)),
    "envelope_personas.put": Note("The same as PATCH: what is left out stays as it is.", answers=(shapes.PersonaInFullOut,)),
    "envelope_personas.patch": Note(
        "A `secret` or `apiKey` of null takes it away. With a new `secret` the one before ends at once, or is good for `previousSecretHours` more: webhooks "
        "are then sent the signatures of both, the newer first, and callbacks may be signed with either. 0 ends one that is good still.",
        answers=(shapes.PersonaInFullOut,),
    ),
    "envelope_personas.remove": Note("409 while conversations or sessions refer to it; deactivate it instead.", refuses=(409,)),
    "envelope_conversations.create": Note("404 when there is no such persona, 409 when it is not active."),
    "envelope_conversations.said": Note(NO_HISTORY, refuses=(403,)),
    "envelope_conversations.exchanges": Note("Without `status` the active ones; `ALL` for all."),
    "envelope_exchanges.send": Note(
        "Each message is an exchange, a session of its own. With `Prefer: respond-async`, or from a persona that answers by callback, "
        "the answer is 202 and comes later. 409 when it was cancelled meanwhile.",
        refuses=(400,),
        also={202: "EnvelopeTaken", 409: "EnvelopeExchangeFailure", **dict.fromkeys((502, 503, 504), "EnvelopeExchangeFailure")},
        sent=("Prefer",),
    ),
    "envelope_callbacks.callback": Note(
        "Signed with the persona's secret, as the webhook itself is, in place of a token; the one before a new secret is good as long as it overlaps. "
        "409 when the answer is there already, or the exchange has ended.",
        refuses=(401, 409),
        body=envelope.Callback,
        sent=("X-Chatsvc-Timestamp", "X-Chatsvc-Signature"),
    ),
    "envelope_api_keys.create": Note(
        "`key` is shown this once and kept nowhere. With an `Idempotency-Key`, a replay answers it as null: whoever has lost it revokes "
        "this key and makes another. `admin` lets a key do what admins do, `write` write and read, `read` read."
    ),
    "envelope_api_keys.index": Note("Revoked and expired ones too."),
    "envelope_api_keys.revoke": Note("Refused from then on, at once; streams that it opened end within seconds. Revoking twice changes nothing."),
    "envelope_people.carry_away": Note(
        "Your own, or anybody's for an admin. Read as it is sent, so it is as long as it is; at most `RATELIMIT_PRIVACY` of them.",
        given=("Content-Disposition",),
    ),
    "envelope_people.forget": Note(
        "Your own, or anybody's for an admin: sessions, messages, conversations, kept answers, sign-in records and the local account; events no longer say "
        "who it was. What was revoked stays revoked. 200 when it is done within a few seconds; else 202, and it goes on by itself. Asked again while it "
        "goes on, it is the same erasure. What is begun anew afterwards is new.",
        also={202: "EnvelopeErasureBegun"},
    ),
    "envelope_people.receipt": Note("Whoever has its id may read it, since the account may be gone. It names nobody."),
    "app_sessions.create": Note("Without an agent type, so it is not counted towards any cap."),
    "app_sessions.index": Note("`deleted=true`: those that can be restored. `Link` names the next part.", many=True, given=("Link",)),
    "app_sessions.remove": Note("Gone from every face until it is restored; a reply that is being written is stopped."),
    "app_sessions.restore": Note("One that is not deleted stays as it is."),
    "app_messages.append": Note("Resumes a session that has ended. " + NO_HISTORY, refuses=(403, 409)),
    "app_messages.index": Note("`Link` names the next part. " + NO_HISTORY, refuses=(403,), many=True, given=("Link",)),
    "app_messages.edit": Note("A reply can be edited once it has ended. " + NO_HISTORY, refuses=(403, 409)),
    "app_messages.remove": Note("A reply can be deleted once it has ended. " + NO_HISTORY, refuses=(403, 409)),
    "app_messages.restore": Note("One that is not deleted stays as it is. " + NO_HISTORY, refuses=(403,)),
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
