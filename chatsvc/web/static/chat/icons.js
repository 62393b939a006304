// The few pictures there are, drawn in the colour of the text around them.
import { html } from "./lib.js";

const icon = (path) => html`
  <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false"><path d=${path} /></svg>
`;

export const MenuIcon = () => icon("M4 6h16M4 12h16M4 18h16");
export const MoreIcon = () => icon("M5 11.5v1M12 11.5v1M19 11.5v1");
export const DownIcon = () => icon("M12 5v14M6 13l6 6 6-6");
