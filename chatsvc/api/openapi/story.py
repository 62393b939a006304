"""The few values that all examples are told with."""

from __future__ import annotations

SESSION_ID = "7c0f3a52-9d3e-4a53-8a43-1f6c0b1a9e77"
USER_ID = "3b6f1c9e-52d8-4d0c-9f43-6d0f0f3a2b11"
ASKED_AT, ANSWERED_AT = "2026-11-20T09:30:00.000000Z", "2026-11-20T09:30:02.413000Z"
QUESTION, REPLY = "Which payment processors do you integrate with?", "We integrate with Stripe and Adyen."
CURSOR = "c2lnbmVkIG1hcmtbIjIwMjYtMTEtMjAiLDFd"
KEY = "csk_ThisIsAnExampleAndNobodysKeyAtAll12345671kcRcU"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIzYjZmMWM5ZSJ9.c2lnbmF0dXJl"  # noqa: S105 - signs nothing
