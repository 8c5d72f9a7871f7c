import type { OrbReference } from "../orb-source.ts";

const registry = /^([A-Za-z0-9_-]+)\/([A-Za-z0-9_-]+)@(volatile|dev:[^\s@]*|\d+(?:\.\d+){0,2})$/;

/** `ns/name@version` or a URL; undefined for anything else. */
export function orbReference(text: string): OrbReference | undefined {
  if (text.startsWith("https://")) return { kind: "url", url: text };
  const [, namespace, name, version] = registry.exec(text.trim()) ?? [];
  if (namespace === undefined || name === undefined || version === undefined) return undefined;
  return { kind: "registry", namespace, name, version };
}
