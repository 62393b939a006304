// The one place where text becomes markup. Nothing that came from a person or a model is shown as markup by any other way.
import DOMPurify from "../vendor/dompurify/dompurify.js";

const HOW = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "h3", "h4", "h5", "h6", "a", "div", "span"],
    ...["table", "thead", "tbody", "tr", "th", "td"],
  ],
  ALLOWED_ATTR: ["href", "target", "rel", "class", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  ADD_URI_SAFE_ATTR: ["target", "rel", "start"],
  RETURN_DOM_FRAGMENT: true,
};

export function clean(markup) {
  return DOMPurify.sanitize(markup, HOW);
}
