"use strict";

const place = document.getElementById("document");
const WRITES = ["POST", "PUT", "PATCH", "DELETE"];

// Whoever is signed in by cookie can try writes too: the readable cookie holds what must come back as a header.
function withCsrf(request) {
  const found = /(?:^|; )(?:__Host-)?chatsvc_csrf=([^;]+)/.exec(document.cookie);
  if (found && WRITES.includes((request.method || "GET").toUpperCase()) && !request.headers["Authorization"] && !request.headers["X-CSRF-Token"]) {
    request.headers["X-CSRF-Token"] = found[1];
  }
  return request;
}

window.SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  requestInterceptor: withCsrf,
  validatorUrl: null,
});
