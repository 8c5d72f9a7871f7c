export { cachedOrbs } from "./cache.ts";
export { listOrbs, orbFolder } from "./folder.ts";
export { orbRegistry } from "./registry.ts";
export { urlOrbs } from "./url.ts";
