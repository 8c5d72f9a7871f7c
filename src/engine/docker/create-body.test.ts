import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContainerPlan } from "../engine.ts";
import {
  type CreateBody,
  createBody,
  type HostConfig,
  standardCapabilities,
  strictUser,
  type VolumeMount,
} from "./create-body.ts";
import { seccompOption } from "./seccomp.ts";

const base: ContainerPlan = {
  name: "cofferdam-1",
  labels: { "dev.cofferdam.task": "t" },
  image: "debian:12",
  environment: { A: "1", B: "x=y" },
  workingDirectory: "/home/me/project",
  limits: { memoryBytes: 512 * 1024 * 1024, cpus: 1.5, pids: 100, openFiles: 4096 },
  isolation: "standard",
  network: { mode: "bridge" },
  shared: [],
};

describe("createBody", () => {
  test("says every wall of a standard container", () => {
    expect(createBody(base)).toEqual({
      Image: "debian:12",
      Env: ["A=1", "B=x=y"],
      WorkingDir: "/home/me/project",
      Labels: { "dev.cofferdam.task": "t" },
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      OpenStdin: true,
      StdinOnce: false,
      Tty: false,
      HostConfig: {
        AutoRemove: false,
        Privileged: false,
        Init: true,
        IpcMode: "private",
        CgroupnsMode: "private",
        NetworkMode: "bridge",
        RestartPolicy: { Name: "no" },
        LogConfig: { Type: "none" },
        OomScoreAdj: 500,
        Memory: 536870912,
        MemorySwap: 536870912,
        NanoCpus: 1500000000,
        PidsLimit: 100,
        Ulimits: [
          { Name: "nofile", Soft: 4096, Hard: 4096 },
          { Name: "core", Soft: 0, Hard: 0 },
        ],
        CapDrop: ["ALL"],
        CapAdd: [...standardCapabilities],
        SecurityOpt: [seccompOption],
        ReadonlyRootfs: false,
        Mounts: [],
      },
    });
  });

  test("takes everything away from a strict one", () => {
    const body = createBody({ ...base, isolation: "strict" });
    expect(body.User).toBe("65534:65534");
    expect(body.HostConfig).toMatchObject({
      CapDrop: ["ALL"],
      CapAdd: [],
      ReadonlyRootfs: true,
      SecurityOpt: [seccompOption, "no-new-privileges:true"],
    });
    expect(Object.keys(body.HostConfig.Tmpfs ?? {})).toEqual(["/tmp", "/run"]);
  });

  test.each([
    [undefined, "65534:65534"],
    ["", "65534:65534"],
    ["root", "65534:65534"],
    ["0", "65534:65534"],
    ["00:5", "65534:65534"],
    ["0x0", "65534:65534"],
    ["1000", "1000"],
    ["1000:1001", "1000:1001"],
  ])("runs user %j of a strict plan as %s", (user, expected) => {
    expect(strictUser(user)).toBe(expected);
  });

  test("mounts the workspace as a volume of its own with the plan's labels, and nothing is copied into it", () => {
    const workspace = { path: "/w", owner: { uid: 1, gid: 2 }, medium: "disk", sizeBytes: 1 << 20 } as const;
    expect(createBody({ ...base, workspace }).HostConfig.Mounts).toEqual([
      { Type: "volume", Target: "/w", ReadOnly: false, VolumeOptions: { NoCopy: true, Labels: base.labels } },
    ]);
  });

  test("sizes a workspace in memory and gives it to its owner", () => {
    const workspace = { path: "/w", owner: { uid: 1, gid: 2 }, medium: "memory", sizeBytes: 1 << 20 } as const;
    const [mount] = createBody({ ...base, workspace }).HostConfig.Mounts;
    expect(mount?.VolumeOptions.DriverConfig?.Options).toEqual({
      type: "tmpfs",
      device: "tmpfs",
      o: "size=1048576,uid=1,gid=2,mode=0755,nosuid,nodev",
    });
  });

  test("mounts shared volumes read-only and never fills them", () => {
    expect(createBody({ ...base, shared: [{ volume: "v1", path: "/opt/v" }] }).HostConfig.Mounts).toEqual([
      { Type: "volume", Source: "v1", Target: "/opt/v", ReadOnly: true, VolumeOptions: { NoCopy: true } },
    ]);
  });

  test("leaves to a joined container the names of the one that it joins", () => {
    const body = createBody({
      ...base,
      hostname: "h",
      localNames: ["db"],
      network: { mode: "join", container: "abc" },
    });
    expect(body.HostConfig.NetworkMode).toBe("container:abc");
    expect(body).not.toHaveProperty("Hostname");
    expect(body.HostConfig).not.toHaveProperty("ExtraHosts");
    expect(createBody({ ...base, localNames: ["db"] }).HostConfig.ExtraHosts).toEqual(["db:127.0.0.1"]);
  });

  test.each([
    { memoryBytes: 0 },
    { memoryBytes: -1 },
    { memoryBytes: Number.NaN },
    { cpus: 0 },
    { cpus: -2 },
    { pids: 0 },
    { pids: -1 },
    { openFiles: 0 },
    { openFiles: Number.POSITIVE_INFINITY },
  ])("refuses the limit %j, which engines would read as none", (limit) => {
    expect(() => createBody({ ...base, limits: { ...base.limits, ...limit } })).toThrow(RangeError);
  });

  test("no plan whatever widens the container", () => {
    fc.assert(
      fc.property(anyPlan(), (plan) => {
        const body = bodyOf(plan);
        expect(body === undefined ? [] : breaches(body, plan)).toEqual([]);
      }),
      { numRuns: 5000 },
    );
  });
});

const hostConfigKeys = new Set(
  `AutoRemove Privileged Init IpcMode CgroupnsMode NetworkMode RestartPolicy LogConfig OomScoreAdj Memory MemorySwap
  NanoCpus PidsLimit Ulimits CapDrop CapAdd SecurityOpt ReadonlyRootfs Tmpfs ExtraHosts Mounts`.split(/\s+/),
);

function bodyOf(plan: ContainerPlan): CreateBody | undefined {
  try {
    return createBody(plan);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Everything in the body that gives the container more than it may have. */
function breaches(body: CreateBody, plan: ContainerPlan): string[] {
  const host = JSON.parse(JSON.stringify(body.HostConfig)) as HostConfig;
  const [profile, ...options] = host.SecurityOpt;
  const checks: Record<string, boolean> = {
    fields: Object.keys(host).every((key) => hostConfigKeys.has(key)),
    privileged: !host.Privileged,
    namespaces: host.IpcMode === "private" && host.CgroupnsMode === "private",
    network: /^(bridge|none|container:.*)$/s.test(host.NetworkMode),
    capabilities: host.CapDrop.join() === "ALL" && host.CapAdd.every((name) => allowed.has(name)),
    seccomp: profile === seccompOption && options.every((option) => option === "no-new-privileges:true"),
    memory: host.Memory > 0 && host.MemorySwap === host.Memory,
    cpus: host.NanoCpus > 0,
    pids: host.PidsLimit > 0,
    files: host.Ulimits.every((limit) => limit.Name === "core" || limit.Soft > 0),
    mounts: host.Mounts.every(isHarmless),
  };
  if (plan.isolation === "strict") {
    checks["strict capabilities"] = host.CapAdd.length === 0 && options.length === 1;
    checks["strict root"] = host.ReadonlyRootfs;
    checks["strict user"] = body.User !== undefined && !/^(root|0*)(:|$)/.test(body.User);
  }
  return Object.keys(checks).filter((name) => checks[name] !== true);
}

const allowed = new Set<string>(standardCapabilities);

function isHarmless(mount: VolumeMount): boolean {
  const { type, device, o } = mount.VolumeOptions.DriverConfig?.Options ?? {};
  const tmpfs =
    type === "tmpfs" && device === "tmpfs" && /^size=\d+,uid=\d+,gid=\d+,mode=0755,nosuid,nodev$/.test(o ?? "");
  const driver = mount.VolumeOptions.DriverConfig === undefined || tmpfs;
  const source = mount.Source === undefined || (mount.ReadOnly && !/[/\\]/.test(mount.Source));
  return mount.Type === "volume" && driver && source;
}

/** Plans, and what is none: extra fields, wrong numbers, names that try to be options, paths or JSON. */
function anyPlan(): fc.Arbitrary<ContainerPlan> {
  const nasty = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "host",
      "/",
      "../..",
      "/var/run/docker.sock",
      "container:x",
      "seccomp=unconfined",
      "a,dev",
      "\0",
      "__proto__",
    ),
  );
  const words = fc.dictionary(nasty, nasty, { maxKeys: 4 });
  const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, -1, 1, 1024 ** 3, Number.NaN));
  const limits = fc.record({ memoryBytes: number, cpus: number, pids: number, openFiles: number });
  const workspace = fc.record({
    path: nasty,
    owner: fc.record({ uid: number, gid: number }),
    medium: fc.constantFrom("disk", "memory"),
    sizeBytes: number,
    prepared: fc.boolean(),
  });
  const optional = fc.record(
    {
      command: fc.array(nasty, { maxLength: 3 }),
      entrypoint: fc.array(nasty, { maxLength: 3 }),
      user: nasty,
      hostname: nasty,
      localNames: fc.array(nasty, { maxLength: 3 }),
      workspace,
      Privileged: fc.constant(true),
      HostConfig: fc.constant({ Privileged: true, Binds: ["/:/host"], PidMode: "host" }),
      Binds: fc.constant(["/:/host"]),
      Devices: fc.constant([{ PathOnHost: "/dev/kvm" }]),
    },
    { requiredKeys: [] },
  );
  const plan = fc.record({
    name: nasty,
    labels: words,
    image: nasty,
    environment: words,
    workingDirectory: nasty,
    limits: fc.oneof(fc.constant(base.limits), limits),
    isolation: fc.constantFrom("standard", "strict"),
    network: fc.oneof(
      fc.constantFrom({ mode: "bridge" }, { mode: "none" }, { mode: "host" }),
      fc.record({ mode: fc.constant("join"), container: nasty }),
    ),
    shared: fc.array(fc.record({ volume: nasty, path: nasty }), { maxLength: 3 }),
  });
  return fc.tuple(plan, optional).map(([all, some]) => ({ ...all, ...some }) as unknown as ContainerPlan);
}
