"""The tables, one file each."""

from chatsvc.core.models.api_key import ApiKey
from chatsvc.core.models.audit_event import AuditEvent
from chatsvc.core.models.conversation import Conversation
from chatsvc.core.models.erasure import Erasure
from chatsvc.core.models.idempotency_key import IdempotencyKey
from chatsvc.core.models.message import ChatMessage
from chatsvc.core.models.persona import Circuit, Persona
from chatsvc.core.models.reply import ReplyChunk, Worker
from chatsvc.core.models.session import ChatSession
from chatsvc.core.models.sign_in import LoginThrottle, RevokedToken
from chatsvc.core.models.user import User

__all__ = [
    "ApiKey",
    "AuditEvent",
    "ChatMessage",
    "ChatSession",
    "Circuit",
    "Conversation",
    "Erasure",
    "IdempotencyKey",
    "LoginThrottle",
    "Persona",
    "ReplyChunk",
    "RevokedToken",
    "User",
    "Worker",
]
