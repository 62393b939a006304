"""What admins do at `/api`: keys of other products, all that a user has carried away and erased, cleaning up, the trail."""

from __future__ import annotations

from tools.postman.enveloped import ONE, REFUSAL, SESSION, SESSIONS, STATS, kept, refused, said
from tools.postman.steps import Step

CUSTOMER = {"X-API-Key": "{{apiKey}}", "X-On-Behalf-Of": "{{customerId}}"}
KEY = "data: keyId name scopes status beginsWith endsWith createdBy createdAt expiresAt lastUsedAt revokedAt"
RECEIPT = "data: receiptId status askedBy keepsAccount counts userDigest fileRewritten startedAt finishedAt"
WHOSE = "{user_id=customerId}"

WITH_KEYS = (
    Step(
        "Make a key for another product",
        "POST /api/api-keys",
        201,
        body={"name": "Web shop {{run}}", "scopes": ["read", "write"]},
        who="adminToken",
        shape=f"{KEY} key",
        values=said("API key created successfully", name="Web shop {{run}}", scopes=["read", "write"], lastUsedAt=None),
        keep=kept(keyId="keyId", apiKey="key") | {"customerId": '`customer-${pm.variables.get("run")}`'},
    ),
    Step(
        "It calls for a user of its own, who has no account here",
        f"POST {SESSIONS}",
        201,
        body={"title": "Shade plants"},
        headers=CUSTOMER,
        who="",
        shape=SESSION,
        values=said("Session created successfully", title="Shade plants"),
        keep=kept(sessionId="sessionId"),
    ),
    Step(
        "And lists what that user has",
        f"GET {SESSIONS}",
        200,
        headers=CUSTOMER,
        who="",
        values=said("Sessions retrieved successfully", **{"pagination.total": 1, "sessions[0].sessionId": "{{sessionId}}"}),
    ),
    Step("Others do not find it", f"GET {ONE}", 404, values=refused("Session not found")),
    Step(
        "Carry away all that the user has",
        f"GET /api/users/{WHOSE}/export",
        200,
        who="adminToken",
        is_json=False,
        also={
            "holds the session": 'pm.expect(pm.response.text()).to.include(pm.variables.get("sessionId"));',
            "is whole": 'pm.expect(JSON.parse(pm.response.text().trim().split("\\n").pop())).to.include({type: "end", complete: true});',
        },
    ),
    Step(
        "Erase all of it",
        f"DELETE /api/users/{WHOSE}/data",
        200,
        who="adminToken",
        shape=RECEIPT,
        values=said("Data erased successfully", askedBy="admin"),
        keep=kept(erasureId="receiptId"),
    ),
    Step("The receipt", "GET /api/erasures/{erasure_id}", 200, who="", shape=RECEIPT, values=said("Receipt retrieved successfully", receiptId="{{erasureId}}")),
    Step("Nothing is left", f"GET {SESSIONS}", 200, headers=CUSTOMER, who="", values=said("Sessions retrieved successfully", sessions=[])),
    Step("Revoke the key", "DELETE /api/api-keys/{key_id}", 200, who="adminToken", shape=KEY, values=said("API key revoked successfully", keyId="{{keyId}}")),
    Step("It is good no more", f"GET {SESSIONS}", 401, headers=CUSTOMER, who="", shape=REFUSAL, values=refused()),
)

FOR_ADMINS = (
    Step("Cleaning up is for admins", f"POST {SESSIONS}/cleanup", 403, body={"maxAgeHours": 24}, values=refused("Only an admin may do this")),
    Step(
        "End what nobody answers",
        f"POST {SESSIONS}/cleanup",
        200,
        body={"maxAgeHours": 24},
        who="adminToken",
        shape="data: timedOut",
        values=said("Cleanup completed successfully"),
        also={"says how many": "pm.expect(body.data.timedOut).to.be.at.least(0);"},
    ),
    Step(
        "Who did what",
        "GET /api/audit-events?limit=100",
        200,
        who="adminToken",
        values={"success": True},
        also={"names the personas made": 'pm.expect(pm.response.text()).to.include(pm.variables.get("spareId"));'},
    ),
    Step(
        "Figures of everybody",
        f"GET {SESSIONS}/stats?scope=global",
        200,
        who="adminToken",
        shape=STATS,
        also={"count these": "pm.expect(body.data.total).to.be.at.least(2);"},
    ),
)
