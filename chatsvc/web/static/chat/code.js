// Colours for code. Each language is loaded when a block of it is first shown.
import hljs from "../vendor/highlight/core.js";
import { clean } from "./sanitise.js";

const LONGEST = 50000;
const LANGUAGES = new Set(
  "bash c cpp csharp css diff dockerfile go graphql haskell http ini java javascript json kotlin lua makefile markdown nginx perl php plaintext python r ruby rust scala shell sql swift typescript xml yaml".split(" "),
);
const OTHER_NAMES = {
  "c#": "csharp",
  "c++": "cpp",
  cs: "csharp",
  console: "shell",
  docker: "dockerfile",
  golang: "go",
  html: "xml",
  js: "javascript",
  jsx: "javascript",
  kt: "kotlin",
  make: "makefile",
  md: "markdown",
  pl: "perl",
  py: "python",
  rb: "ruby",
  rs: "rust",
  sh: "bash",
  svg: "xml",
  toml: "ini",
  ts: "typescript",
  tsx: "typescript",
  yml: "yaml",
  zsh: "bash",
};

export async function colour(element, text, name) {
  const language = OTHER_NAMES[name.toLowerCase()] ?? name.toLowerCase();
  if (!LANGUAGES.has(language) || text.length > LONGEST) return;
  if (!hljs.getLanguage(language)) {
    const { default: grammar } = await import(`../vendor/highlight/languages/${language}.js`);
    hljs.registerLanguage(language, grammar);
  }
  element.replaceChildren(clean(hljs.highlight(text, { language, ignoreIllegals: true }).value));
}
