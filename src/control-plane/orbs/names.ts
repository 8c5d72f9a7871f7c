const word = /^[a-z0-9][a-z0-9_-]{0,127}$/;
const number = "(?:0|[1-9]\\d{0,8})";
const release = new RegExp(`^${number}\\.${number}\\.${number}$`);
const development = /^dev:[^\s@]{1,1023}$/;

export interface OrbVersionName {
  namespace: string;
  name: string;
  version: string;
}

/** Why nothing can be published under this name, in words; undefined when it can. */
export function nameProblem({ namespace, name, version }: OrbVersionName): string | undefined {
  for (const part of [namespace, name]) {
    if (!word.test(part))
      return `"${part}" is no name: namespaces and orbs are named with lower-case letters, digits, - and _`;
  }
  if (release.test(version) || development.test(version)) return undefined;
  return `"${version}" is no version to publish: it has to be MAJOR.MINOR.PATCH, such as 1.2.3, or dev:LABEL`;
}

export function isDevelopment(version: string): boolean {
  return version.startsWith("dev:");
}
