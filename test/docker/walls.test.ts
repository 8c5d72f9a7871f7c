import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ContainerPlan, type Engine, type Exit, isEngineError } from "../../src/engine/engine.ts";
import { engineUnderTest } from "./engine-under-test.ts";

const never = new AbortController().signal;
const mebibyte = 1024 * 1024;
const run = randomUUID().slice(0, 8);
const labels = { "dev.cofferdam.walls": run };
let engine: Engine;
let count = 0;

beforeAll(async () => {
  engine = await engineUnderTest();
});

afterAll(async () => {
  for (const object of await engine.list(labels, never)) await engine.removeObject(object, never);
});

interface Result {
  exit: Exit;
  stdout: string;
  stderr: string;
}

/** Runs a shell script in a container of the plan, and takes it away. */
async function sh(script: string, changes: Partial<ContainerPlan> = {}): Promise<Result> {
  const id = await engine.create(plan({ entrypoint: ["/bin/sh", "-c"], command: [script], ...changes }), never);
  try {
    const attachment = await engine.attach(id, never);
    await engine.start(id, never);
    const [stdout, stderr, exit] = await Promise.all([
      text(attachment.stdout),
      text(attachment.stderr),
      engine.wait(id, never),
    ]);
    return { exit, stdout: stdout.trim(), stderr: stderr.trim() };
  } finally {
    await engine.remove(id, never);
  }
}

function plan(changes: Partial<ContainerPlan>): ContainerPlan {
  return {
    name: `cofferdam-walls-${run}-${++count}`,
    labels,
    image: "debian:bookworm-slim",
    environment: {},
    workingDirectory: "/",
    limits: { memoryBytes: 64 * mebibyte, cpus: 0.5, pids: 32, openFiles: 512 },
    isolation: "standard",
    network: { mode: "none" },
    shared: [],
    ...changes,
  };
}

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

describe("limits", () => {
  test("of memory, cpus and processes are what the container's own cgroup says", async () => {
    const script = `
      if [ -f /sys/fs/cgroup/memory.max ]; then
        cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max
      else
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max
        echo $(cat /sys/fs/cgroup/cpu*/cpu.cfs_quota_us | head -n 1) $(cat /sys/fs/cgroup/cpu*/cpu.cfs_period_us | head -n 1)
      fi`;
    expect((await sh(script)).stdout.split("\n")).toEqual([`${64 * mebibyte}`, "32", "50000 100000"]);
  });

  test("of open files and core dumps cannot be raised", async () => {
    const script = "ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -n 1024 2>/dev/null || echo refused";
    expect((await sh(script)).stdout.split("\n")).toEqual(["512", "512", "0", "refused"]);
  });

  test("of processes hold a fork bomb", async () => {
    const { stdout, stderr } = await sh("i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; echo all");
    expect(stdout).toBe("");
    expect(stderr).toMatch(/fork/i);
  });

  test("of memory kill what exceeds it, and only that", async () => {
    const { exit, stdout } = await sh("(exec tail /dev/zero) ; echo survived $?");
    expect(stdout).toBe("survived 137");
    expect(exit).toEqual({ code: 0, outOfMemory: true });
  });
});

describe("walls of a standard container", () => {
  test("are the capabilities of the list, a filter, and its own namespaces", async () => {
    const { stdout } = await sh(
      "grep -E 'CapBnd|CapEff|Seccomp:|NoNewPrivs' /proc/1/status; ls -d /var/run/docker.sock",
    );
    const status = Object.fromEntries(stdout.split("\n").map((line) => line.split(":\t")));
    expect(status).toMatchObject({
      CapBnd: "00000000200405fb",
      CapEff: "00000000200405fb",
      Seccomp: "2",
      NoNewPrivs: "0",
    });
    expect(stdout).not.toContain("docker.sock");
  });

  test("keep it from mounting, from other namespaces, from devices and from the kernel's keys", async () => {
    const script = `
      mount -t tmpfs none /mnt 2>/dev/null && echo mounted
      unshare -U true 2>/dev/null && echo unshared
      mknod /tmp/d b 8 0 2>/dev/null && echo made a device
      echo 1 2>/dev/null > /proc/sys/kernel/core_pattern && echo wrote to the kernel
      echo done`;
    expect((await sh(script)).stdout).toBe("done");
  });

  test("close the kernel's risky doors: vsock, alg, io_uring, keyctl, bpf, user namespaces", async () => {
    const perl = (call: string): string => `perl -e '$r = ${call}; print $r == -1 || !$r ? int($!) : "open", " "'`;
    const calls = [
      "socket(my $a, 40, 1, 0)",
      "socket(my $a, 38, 5, 0)",
      "syscall(425, 1, 0)",
      "syscall(250, 0, 0)",
      "syscall(321, 0, 0, 0)",
      "syscall(272, 0x10000000)",
      "socket(my $a, 2, 1, 0)",
    ];
    const { stdout } = await sh(calls.map(perl).join("\n"));
    expect(stdout.trim()).toBe("1 1 1 1 1 1 open");
  });

  test("let an unprivileged user become root inside where the image says so", async () => {
    const { stdout } = await sh(
      "su -s /bin/sh www-data -c id; chroot / true && echo chroot; chown 5:5 /tmp && echo chown",
    );
    expect(stdout).toContain("uid=33(www-data)");
    expect(stdout).toContain("chroot");
    expect(stdout).toContain("chown");
  });

  test("have an init that reaps", async () => {
    expect((await sh("cat /proc/1/comm")).stdout).toMatch(/init|tini|catatonit/);
  });
});

describe("walls of a strict container", () => {
  const strict = { isolation: "strict" } as const;

  test("are no capability, no new privileges, a read-only root, an unprivileged user", async () => {
    const script = `grep -E 'CapBnd|CapPrm|NoNewPrivs' /proc/self/status; id -u; id -g
      touch /x 2>/dev/null || echo read-only; touch /tmp/x && touch /run/x && echo tmp`;
    const lines = (await sh(script, strict)).stdout.split("\n");
    expect(lines).toEqual([
      "CapPrm:\t0000000000000000",
      "CapBnd:\t0000000000000000",
      "NoNewPrivs:\t1",
      "65534",
      "65534",
      "read-only",
      "tmp",
    ]);
  });

  test.each(["root", "0:5", "00"])("hold for the user %s", async (user) => {
    expect((await sh("id -u", { ...strict, user })).stdout).toBe("65534");
  });

  test("are not asked of a user that the image does not have", async () => {
    await expect(sh("id -u", { ...strict, user: "toor" })).rejects.toMatchObject({ code: "not-startable" });
  });

  test("leave its workspace writable, on disk and in memory", async () => {
    for (const medium of ["disk", "memory"] as const) {
      const workspace = { path: "/home/w", owner: { uid: 0, gid: 0 }, medium, sizeBytes: mebibyte };
      const { stdout } = await sh("touch /home/w/x && stat -c %u:%g /home/w", { ...strict, workspace });
      expect(stdout).toBe("65534:65534");
    }
  });
});

describe("the workspace", () => {
  test.each([
    ["disk", { uid: 0, gid: 0 }],
    ["disk", { uid: 33, gid: 50 }],
    ["memory", { uid: 33, gid: 50 }],
  ] as const)("on %s belongs to its owner %j, is empty, and goes with the container", async (medium, owner) => {
    const workspace = { path: "/etc", owner, medium, sizeBytes: 8 * mebibyte };
    const { stdout } = await sh(
      "stat -c %u:%g:%a /etc; ls -A /etc | grep -v -E '^(hosts|hostname|resolv.conf|mtab)$'",
      {
        workspace,
      },
    );
    expect(stdout).toBe(`${owner.uid}:${owner.gid}:755`);
    expect(await engine.list(labels, never)).toEqual([]);
  });

  test("in memory is full at its size", async () => {
    const workspace = { path: "/w", owner: { uid: 0, gid: 0 }, medium: "memory", sizeBytes: mebibyte } as const;
    const { stderr } = await sh("head -c 2000000 /dev/zero > /w/x", { workspace });
    expect(stderr).toContain("No space left on device");
  });

  test("that the image prepared has the image's owner without a further call", async () => {
    const workspace = {
      path: "/home/builder",
      owner: { uid: 2000, gid: 2001 },
      medium: "disk",
      sizeBytes: 1,
      prepared: true,
    } as const;
    const { stdout } = await sh("stat -c %u:%g . && touch x && echo ok", {
      image: "cofferdam/test-user:dev",
      workingDirectory: "/home/builder",
      workspace,
    });
    expect(stdout).toBe("2000:2001\nok");
  });
});

describe("names and networks", () => {
  test("a container has its hostname and local names, and without a network no way out", async () => {
    const script = "hostname; grep -c '127.0.0.1.*db' /etc/hosts; ls /sys/class/net";
    const result = await sh(script, { hostname: "box", localNames: ["db"], network: { mode: "bridge" } });
    expect(result.stdout.split("\n").slice(0, 2)).toEqual(["box", "1"]);
    expect(result.stdout).toContain("eth0");
    expect((await sh("ls /sys/class/net")).stdout).not.toContain("eth");
  });
});

describe("a shared volume", () => {
  test("is whole for every one of many who ask at once, and nobody can write to it", async () => {
    const volume = { name: `cofferdam-walls-${run}`, image: "debian:bookworm-slim", path: "/usr/lib", labels };
    const shared = [{ volume: volume.name, path: "/shared" }];
    const count = "find /usr/lib | wc -l; find /shared | wc -l; touch /shared/x 2>/dev/null || echo read-only";
    const asks = [0, 1, 2].map(async () => {
      const own = await engineUnderTest();
      await own.ensureSharedVolume(volume, never);
      return await sh(count, { shared });
    });
    for (const { stdout } of await Promise.all(asks)) {
      const [image, copy, write] = stdout.split("\n");
      expect(copy).toBe(image);
      expect(write).toBe("read-only");
    }
  });

  test("that a dead filler left half made is made anew", async () => {
    const volume = { name: `cofferdam-half-${run}`, image: "debian:bookworm-slim", path: "/etc", labels };
    // What kill -9 leaves: a volume with something in it, and no sign that it is whole.
    const left = { ...volume, path: "/var/lib/dpkg" };
    await engine.ensureSharedVolume(left, never);
    await engine.remove(volume.name, never);
    await engine.ensureSharedVolume(volume, never);
    const { stdout } = await sh("test -f /shared/passwd && ! test -f /shared/status && echo anew", {
      shared: [{ volume: volume.name, path: "/shared" }],
    });
    expect(stdout).toBe("anew");
  });
});

describe("what cannot run", () => {
  test("a command that the image does not have is told by the start, or by 127 and words", async () => {
    const told = await sh("", { entrypoint: ["/no/such/thing"] }).then(
      ({ exit, stderr }) => `${exit.code} ${stderr}`,
      (error: unknown) => (isEngineError(error) ? error.code : error),
    );
    expect(told).toMatch(/^(not-startable|127 .*\/no\/such\/thing.*)$/);
  });

  test("an image with no command at all is not startable", async () => {
    const nothing = plan({ image: "cofferdam/test-no-command:dev", entrypoint: [], command: [] });
    await expect(engine.create(nothing, never)).rejects.toMatchObject({ code: "not-startable" });
  });
});
