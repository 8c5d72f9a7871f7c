import { describe, expect, test } from "vitest";
import { assessHoles, assessHost } from "./assess.ts";
import type { HostFacts } from "./facts.ts";
import { holes, verdict } from "./holes.ts";

const good: HostFacts = {
  kind: "docker",
  version: "28.5.2",
  apiVersion: "1.51",
  components: [
    { name: "Engine", version: "28.5.2", revision: "89c5e8f" },
    { name: "containerd", version: "v2.1.5", revision: "fcd43222d6b07379a4be9786bda52438f0dd16a1" },
    { name: "runc", version: "1.3.3", revision: "v1.3.3-0-gd842d771" },
  ],
  operatingSystem: "Debian GNU/Linux 13",
  kernel: "6.12",
  architecture: "x86_64",
  cpus: 4,
  memoryBytes: 16 * 1024 ** 3,
  cgroupVersion: 2,
  limits: { memory: true, swap: true, cpu: true, pids: true },
  storageDriver: "overlay2",
  backingFilesystem: "extfs",
  dataRoot: "/var/lib/docker",
  securityOptions: ["apparmor", "seccomp"],
  seccompProfile: "builtin",
  authorizationPlugins: [],
  liveRestore: true,
  swarm: false,
  defaultRuntime: "runc",
  runtimes: ["runc"],
  clockMs: 1_000_000,
  warnings: [],
};

/** What is wrong with it, by id. */
function wrong(changes: Partial<HostFacts>, nowMs = 1_000_000): Record<string, string> {
  const findings = assessHost({ ...good, ...changes }, nowMs).filter(({ level }) => level !== "ok");
  return Object.fromEntries(findings.map(({ id, level }) => [id, level]));
}

test("finds nothing wrong with a host that has all of it", () => {
  expect(wrong({})).toEqual({});
});

test.each<[Partial<HostFacts>, Record<string, string>]>([
  [{ securityOptions: ["apparmor"] }, { seccomp: "bad" }],
  [{ securityOptions: ["seccomp"] }, { "security-module": "warning" }],
  [{ seccompProfile: "unconfined" }, {}],
  [
    { seccompProfile: "unconfined", kind: "podman" },
    { engine: "warning", seccomp: "bad" },
  ],
  [{ cgroupVersion: 1 }, { cgroup: "warning" }],
  [{ limits: { memory: true, swap: false, cpu: true, pids: true } }, { limits: "warning" }],
  [{ limits: { memory: false, swap: false, cpu: true, pids: true } }, { limits: "bad" }],
  [{ storageDriver: "vfs" }, { storage: "warning" }],
  [{ liveRestore: false }, { "live-restore": "warning" }],
  [{ memoryBytes: 1024 ** 3 }, { size: "warning" }],
  [{ clockMs: 60_000 }, { clock: "warning" }],
  [{ clockMs: undefined }, {}],
  [{ warnings: ["WARNING: bridge-nf-call-iptables is disabled"] }, { "engine-warning-1": "warning" }],
])("tells %o", (changes, expected) => {
  expect(wrong(changes)).toEqual(expected);
});

test("says of Podman what does not work there", () => {
  const [first] = assessHost({ ...good, kind: "podman", version: "5.2.0" }, 1_000_000);
  expect(first?.what).toMatch(/proven to run on Podman 4\.3\.1, not on 5\.2\.0.*ends with its launch agent.*seccomp/);
  expect(first?.next).toContain("docs/operating.md");
  expect(assessHost({ ...good, kind: "podman", version: "4.3.1" }, 1_000_000)[0]?.what).not.toContain("proven");
});

test("says what to do about everything that is wrong", () => {
  const worst = { ...good, securityOptions: [], cgroupVersion: 1 as const, storageDriver: "vfs", liveRestore: false };
  const advice = assessHost(worst, 0).filter(({ level }) => level !== "ok");
  expect(advice.map(({ next }) => next?.at(-1))).toEqual([".", ".", ".", ".", ".", "."]);
});

describe("known holes of runc", () => {
  const open = (version: string, revision = "abc"): string[] =>
    holes
      .filter((hole) => hole.component === "runc" && verdict(hole, { name: "runc", version, revision }) === "open")
      .map(({ id }) => id);

  test.each([
    ["1.0.0-rc94", ["CVE-2021-30465", "CVE-2024-21626", "CVE-2025-31133", "CVE-2025-52881"]],
    ["1.1.5", ["CVE-2024-21626", "CVE-2025-31133", "CVE-2025-52881"]],
    ["1.1.12", ["CVE-2025-31133", "CVE-2025-52881"]],
    ["1.2.7", ["CVE-2025-31133", "CVE-2025-52881"]],
    ["1.2.8", []],
    ["1.3.2", ["CVE-2025-31133", "CVE-2025-52881"]],
    ["1.3.3", []],
    ["1.4.0-rc.2", ["CVE-2025-31133", "CVE-2025-52881"]],
    ["1.4.0-rc.3", []],
    ["1.4.0", []],
    ["2.0.0", []],
  ])("of %s are %o", (version, ids) => {
    expect(open(version)).toEqual(ids);
  });

  test.each(["garbage", "", "unknown"])("of %j cannot be told", (version) => {
    const verdicts = holes.map((hole) => verdict(hole, { name: hole.component, version, revision: "" }));
    expect(new Set(verdicts)).toEqual(new Set(["unknown"]));
  });

  test("of a distribution's older version may be fixed, and known to be where its changelog says so", () => {
    const runc = { name: "runc", version: "1.1.5+ds1", revision: "1.1.5+ds1-1+deb12u1" };
    const findings = assessHoles({ ...good, components: [runc] });
    expect(findings.map(({ id, level }) => `${level} ${id}`)).toEqual([
      "warning hole-CVE-2025-31133",
      "warning hole-CVE-2025-52881",
    ]);
  });
});

test("a hole in authorization plugins counts only where there are some", () => {
  const components = [{ name: "Engine", version: "25.0.5", revision: "abc" }];
  expect(assessHoles({ ...good, components })).toMatchObject([{ id: "holes", level: "ok" }]);
  expect(assessHoles({ ...good, components, authorizationPlugins: ["opa"] })).toMatchObject([
    { id: "hole-CVE-2024-41110", level: "bad" },
  ]);
});
