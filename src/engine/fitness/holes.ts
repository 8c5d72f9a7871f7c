import type { Component, HostFacts } from "./facts.ts";

/** A known way out of a container, or to the engine. */
export interface Hole {
  /** Component of the engine's version answer. */
  component: "runc" | "containerd" | "Engine";
  id: string;
  /** What it gives an attacker. */
  what: string;
  /** First fixed release of each line that was fixed, oldest first; later lines are fixed from their start. */
  fixedIn: readonly string[];
  /** Distribution revisions that carry the fix although their version is older. */
  backports: readonly RegExp[];
  /** Where it does not matter. */
  unless?: (facts: HostFacts) => boolean;
}

/**
 * Only what a task could use: it has no way to the engine's API, to a registry login or to a build. Source: the advisories and changelogs of the
 * projects, and the changelogs of Debian's packages.
 */
export const holes: readonly Hole[] = [
  {
    component: "runc",
    id: "CVE-2021-30465",
    what: "a mount race gives the host's file system",
    fixedIn: ["1.0.0-rc95"],
    backports: [],
  },
  {
    component: "runc",
    id: "CVE-2024-21626",
    what: "a leaked file descriptor gives the host's file system",
    fixedIn: ["1.1.12"],
    backports: [/^1\.1\.5\+ds1-1\+deb12u[1-9]/],
  },
  {
    component: "runc",
    id: "CVE-2025-31133",
    what: "a race at the masked paths gives write access to the host's /proc",
    fixedIn: ["1.2.8", "1.3.3", "1.4.0-rc.3"],
    backports: [],
  },
  {
    component: "runc",
    id: "CVE-2025-52881",
    what: "redirected writes to /proc go round the security labels",
    fixedIn: ["1.2.8", "1.3.3", "1.4.0-rc.3"],
    backports: [],
  },
  {
    component: "containerd",
    id: "CVE-2024-40635",
    what: "a large user id of an image becomes root",
    fixedIn: ["1.6.38", "1.7.27", "2.0.4"],
    backports: [/^1\.6\.20~ds1-1\+deb12u[2-9]/],
  },
  {
    component: "containerd",
    id: "CVE-2024-25621",
    what: "folders of the engine can be read and written by other users of the host",
    fixedIn: ["1.7.29", "2.0.7", "2.1.5", "2.2.0"],
    backports: [/^1\.6\.20~ds1-1\+deb12u[2-9]/],
  },
  {
    component: "Engine",
    id: "CVE-2024-41110",
    what: "authorization plugins are gone round",
    fixedIn: ["23.0.15", "25.0.6", "26.1.5", "27.1.1"],
    backports: [/^20\.10\.24\+dfsg1$/],
    unless: (facts) => facts.authorizationPlugins.length === 0,
  },
];

/** `unknown`: older than the fix, but packaged by a distribution, which may have it all the same. */
export type Verdict = "fixed" | "open" | "unknown";

/** How a component stands to a hole. */
export function verdict(hole: Hole, { version, revision }: Component): Verdict {
  if (hole.backports.some((backport) => backport.test(revision) || backport.test(version))) return "fixed";
  const have = parseVersion(version);
  if (!have) return "unknown";
  if (isFixed(have, hole.fixedIn)) return "fixed";
  return isDistribution(version) || isDistribution(revision) ? "unknown" : "open";
}

interface Version {
  numbers: [number, number, number];
  /** Of a release candidate, which comes before the release of the same numbers. */
  candidate: number;
}

/** Undefined for what is no version. */
function parseVersion(text: string): Version | undefined {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]rc\.?(\d+))?/.exec(text);
  if (!match) return undefined;
  const [, major, minor, patch = "0", candidate] = match;
  return {
    numbers: [Number(major), Number(minor), Number(patch)],
    candidate: candidate === undefined ? Number.POSITIVE_INFINITY : Number(candidate),
  };
}

/** Within a line (same major and minor) the line's own fix counts; lines between or before the fixed ones never got it. */
function isFixed(have: Version, fixedIn: readonly string[]): boolean {
  const fixes = fixedIn.map(parseVersion).filter((fix) => fix !== undefined);
  const ofLine = fixes.find((fix) => lineOf(fix) === lineOf(have));
  if (ofLine) return compare(have, ofLine) >= 0;
  const newest = fixes.at(-1);
  return newest !== undefined && compare(have, newest) > 0;
}

function lineOf({ numbers: [major, minor] }: Version): string {
  return `${major}.${minor}`;
}

function compare(one: Version, other: Version): number {
  for (const [index, number] of one.numbers.entries()) {
    const difference = number - (other.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (one.candidate === other.candidate) return 0;
  return one.candidate < other.candidate ? -1 : 1;
}

/** Debian's `+ds1-1+deb12u1`, Ubuntu's `-0ubuntu1`, RHEL's `.el9`, SUSE's `_ce`, Amazon's `.amzn`. */
function isDistribution(text: string): boolean {
  return /(ds\d|dfsg|deb\d|ubuntu|\.el\d|\.fc\d|_ce|amzn|suse)/.test(text);
}
