import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { OrbAnswer, OrbReference, OrbSource } from "../config/index.ts";
import { isFixed } from "./versions.ts";

/**
 * Keeps what a source gave in a folder, by content: `content/SHA256.yml`, and `names/NAMESPACE/NAME/VERSION` with the
 * hash. Only full versions are answered from it, as only they never change. A file that was altered is not believed.
 * A cache that can't be written costs time, nothing else.
 */
export function cachedOrbs(source: OrbSource, directory: string): OrbSource {
  return {
    async find(reference, signal) {
      const cached = await recall(directory, reference);
      if (cached) return cached;
      const answer = await source.find(reference, signal);
      if (answer.found) await remember(directory, answer).catch(() => undefined);
      return answer;
    },
  };
}

async function recall(directory: string, reference: OrbReference): Promise<OrbAnswer | undefined> {
  if (reference.kind === "url" || !isFixed(reference.version)) return undefined;
  const resolved = `${reference.namespace}/${reference.name}@${reference.version}`;
  const nameFile = nameFileOf(directory, resolved);
  if (nameFile === undefined) return undefined;
  try {
    const hash = await readFile(nameFile, "utf8");
    const text = await readFile(contentFileOf(directory, hash), "utf8");
    return hashOf(text) === hash ? { found: true, resolved, text } : undefined;
  } catch {
    return undefined;
  }
}

async function remember(directory: string, { resolved, text }: { resolved: string; text: string }): Promise<void> {
  const nameFile = nameFileOf(directory, resolved);
  if (nameFile === undefined) return;
  const hash = hashOf(text);
  await writeWhole(contentFileOf(directory, hash), text);
  await writeWhole(nameFile, hash);
}

/** Undefined for what must not or need not be kept: other forms than `namespace/name@1.2.3`. */
function nameFileOf(directory: string, resolved: string): string | undefined {
  const parts = /^(\w[\w.-]*)\/(\w[\w.-]*)@(\d+\.\d+\.\d+)$/.exec(resolved);
  return parts ? join(directory, "names", ...parts.slice(1)) : undefined;
}

function contentFileOf(directory: string, hash: string): string {
  return join(directory, "content", `${/^[0-9a-f]{64}$/.test(hash) ? hash : "none"}.yml`);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** By rename, so that a process that reads at the same time sees the whole file or none. */
async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}
