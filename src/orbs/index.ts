export { cachedOrbs } from "./cache.ts";
export { listOrbs, orbFolder } from "./folder.ts";
export type { RegistryOptions } from "./graphql.ts";
export { type ListedOrb, listRegistryOrbs } from "./list.ts";
export { publishOrb } from "./publish.ts";
export { orbRegistry } from "./registry.ts";
export { urlOrbs } from "./url.ts";
