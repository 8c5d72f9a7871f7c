/**
 * Node's own HTTP, taken so that it loads nothing that we never need: an `import` of it reads every one of its exports, and one of them loads all of
 * fetch, which takes 20 ms and 13 MB.
 */
export const http = process.getBuiltinModule("node:http");

/** The same over TLS, loaded where it is called for. */
export function https() {
  return process.getBuiltinModule("node:https");
}
