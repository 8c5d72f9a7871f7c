import { ClassSettings } from "../../protocol/resource-class.ts";
import type { SaidSettings } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";

/** Throws ControlPlaneError `bad-request` that names the field, for what is no setting as for a value that is none. */
export function parseSettings(said: unknown): ClassSettings {
  const parsed = ClassSettings.safeParse(said);
  if (!parsed.success) {
    const words = parsed.error.issues.slice(0, 5).map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new ControlPlaneError("bad-request", `the class's settings are malformed: ${words.join("; ")}`);
  }
  const unknown = unknownKeys(said, parsed.data, "");
  if (unknown.length === 0) return parsed.data;
  throw new ControlPlaneError("bad-request", `a class has no such setting: ${unknown.slice(0, 5).join(", ")}`);
}

/** What was said before with changes over it: null takes a setting back to its default, limits and network are changed key by key. */
export function changeSettings(before: SaidSettings, changes: Record<string, unknown>): SaidSettings {
  const changed: Record<string, unknown> = { ...before };
  for (const [key, value] of Object.entries(changes)) {
    const old = changed[key];
    changed[key] = isMap(value) && isMap(old) ? changeSettings(old, value) : withoutNulls(value);
    if (value === null) delete changed[key];
  }
  return changed;
}

function withoutNulls(value: unknown): unknown {
  return isMap(value) ? Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null)) : value;
}

/** Nobody should believe that a rule holds which was only misspelt. */
function unknownKeys(said: unknown, known: unknown, path: string): string[] {
  if (Array.isArray(said) && Array.isArray(known))
    return said.flatMap((each, index) => unknownKeys(each, known[index], `${path}${index}.`));
  if (!isMap(said) || !isMap(known)) return [];
  return Object.entries(said).flatMap(([key, value]) =>
    Object.hasOwn(known, key) || value === undefined ? unknownKeys(value, known[key], `${path}${key}.`) : [path + key],
  );
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
