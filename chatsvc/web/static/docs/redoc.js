"use strict";

const place = document.getElementById("document");

// ReDoc asks its maker's server for a logo. The policy refuses that; not asking keeps the console clean.
const isOurs = (url) => new URL(url, location.href).origin === location.origin;
const { setAttribute } = HTMLImageElement.prototype;
HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(value)) setAttribute.call(this, name, value);
};
Object.defineProperty(HTMLImageElement.prototype, "src", {
  get() { return this.getAttribute("src") || ""; },
  set(value) { this.setAttribute("src", value); },
});

// Not from an attribute of the place itself: ReDoc reads those as options, and browsers hide a nonce there.
window.Redoc.init(place.dataset.url, { nonce: document.currentScript.nonce, requiredPropsFirst: true }, place);
