import type { RegistryOrbReference } from "../../config/index.ts";
import { CommandError, exitCode } from "../io.ts";

/** `NAMESPACE/NAME@VERSION`; without a version the newest release is meant. Throws CommandError. */
export function parseReference(orb: string): RegistryOrbReference {
  const [, namespace, name, version = "volatile"] = /^([^/@\s]+)\/([^/@\s]+)(?:@(\S+))?$/.exec(orb) ?? [];
  if (namespace !== undefined && name !== undefined) return { kind: "registry", namespace, name, version };
  throw new CommandError(`"${orb}" is not of the form NAMESPACE/NAME@VERSION`, { exitCode: exitCode.usage });
}
