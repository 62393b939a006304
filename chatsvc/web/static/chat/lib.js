// The one place that names the libraries.
import htm from "../vendor/htm/htm.js";
import { h } from "../vendor/preact/preact.js";

export { Fragment, render } from "../vendor/preact/preact.js";
export { useEffect, useLayoutEffect, useRef } from "../vendor/preact/hooks.js";
export { batch, computed, effect, signal, useSignal, useSignalEffect } from "../vendor/signals/signals.js";
export const html = htm.bind(h);
