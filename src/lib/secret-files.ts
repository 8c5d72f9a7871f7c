import { readFileSync } from "node:fs";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * An environment in which `NAME_FILE` has been replaced by NAME with what that file holds, for each of `names`: secrets come as files, which
 * neither `docker inspect` nor a process list shows. An empty file is as none for those of `mayBeEmpty`. Throws an Error that names the
 * variable and the file, and never what is in it.
 */
export function withSecretFiles(
  environment: Environment,
  names: readonly string[],
  mayBeEmpty: readonly string[] = [],
): Record<string, string | undefined> {
  const read: Record<string, string | undefined> = { ...environment };
  for (const name of names) {
    const file = environment[`${name}_FILE`];
    if (file === undefined || file === "") continue;
    if (environment[name]) throw new Error(`${name} and ${name}_FILE are both set: take one of them away`);
    const secret = secretIn(file, `${name}_FILE`);
    if (secret !== "") read[name] = secret;
    else if (!mayBeEmpty.includes(name)) throw new Error(`${name}_FILE: ${file} is empty`);
    delete read[`${name}_FILE`];
  }
  return read;
}

function secretIn(file: string, variable: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new Error(`${variable}: ${file} cannot be read (${code})`, { cause });
  }
  return text.trim();
}
