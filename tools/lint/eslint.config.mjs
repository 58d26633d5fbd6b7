// JavaScript of this project: plain modules. Rules that find bugs; form is a reader's judgement.
import js from "@eslint/js";

const node = ["console", "process", "Buffer", "URL", "fetch", "setTimeout", "clearTimeout", "AbortController",
  "AbortSignal", "TextEncoder", "TextDecoder", "structuredClone", "performance", "crypto", "ReadableStream",
  "Blob", "Response", "Request", "Headers", "setInterval", "clearInterval", "setImmediate", "queueMicrotask"];

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: Object.fromEntries(node.map((name) => [name, "readonly"])),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implicit-globals": "error",
      "no-throw-literal": "error",
      "require-await": "error",
      "array-callback-return": "error",
      "no-self-compare": "error",
    },
  },
];
