/** Resolves what stands behind the `@` of an orb reference against the versions that there are, as CircleCI does. */
export function resolveVersion(requested: string, available: Iterable<string>): string | undefined {
  const versions = [...available];
  if (versions.includes(requested)) return requested;
  const prefix = rangePrefix(requested);
  if (prefix === undefined) return undefined;
  return versions.filter((version) => release.test(version) && version.startsWith(prefix)).sort(newestFirst)[0];
}

/** True for versions whose text never changes: `1.2.3`, but neither ranges nor `dev:` labels, which can be published again. */
export function isFixed(version: string): boolean {
  return release.test(version);
}

/** Newest first; what is no `x.y.z` comes last, in order of the alphabet. */
export function newestFirst(left: string, right: string): number {
  const [a, b] = [numbers(left), numbers(right)];
  if (!a || !b) return a ? -1 : b ? 1 : left.localeCompare(right, "en");
  for (const index of [0, 1, 2]) {
    const difference = (b[index] ?? 0) - (a[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const release = /^\d+\.\d+\.\d+$/;

/** `1` and `1.2` take the newest release that begins so; `volatile` the newest of all. The dot keeps 1.2 from taking 1.20. */
function rangePrefix(requested: string): string | undefined {
  if (requested === "volatile") return "";
  return /^\d+(\.\d+)?$/.test(requested) ? `${requested}.` : undefined;
}

function numbers(version: string): number[] | undefined {
  return release.test(version) ? version.split(".").map(Number) : undefined;
}
