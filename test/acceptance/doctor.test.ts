import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { answer, fakeDockerDaemon } from "../fakes/fake-docker-daemon.ts";
import { sharedHome } from "./support/fixtures.ts";

leavesNothingBehind();

const home = await sharedHome();

interface Report {
  fit: boolean;
  findings: { id: string; level: string; what: string; next?: string }[];
}

async function examine(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; report: Report }> {
  const { code, stdout } = await home.cofferdam(["doctor", "--json", ...args], { env });
  return { code, report: JSON.parse(stdout) as Report };
}

function levelOf(report: Report, id: string): string | undefined {
  return report.findings.find((finding) => finding.id === id)?.level;
}

test("finds the engine under test fit, after a container as tasks have them has run there", async () => {
  const { code, report } = await examine([]);

  expect(report.findings.filter(({ level }) => level === "bad")).toEqual([]);
  expect(levelOf(report, "trial")).toBe("ok");
  expect({ code, fit: report.fit }).toEqual({ code: 0, fit: true });
});

test("tries the image that tasks would have, and says where it is not on the host", async () => {
  const { code, report } = await examine([], { COFFERDAM_TASK_AGENT_IMAGE: "registry.example/none:1" });

  const trial = report.findings.find(({ id }) => id === "trial");
  expect(trial).toMatchObject({ level: "warning", what: expect.stringContaining("registry.example/none:1") as string });
  expect(code).toBe(0);
});

test("says of an engine with known holes, without seccomp, that it is not fit", async () => {
  const version = {
    Version: "25.0.2",
    ApiVersion: "1.44",
    MinAPIVersion: "1.24",
    Arch: "amd64",
    Components: [{ Name: "runc", Version: "1.1.11", Details: { GitCommit: "v1.1.11-0-g4bccb38" } }],
  };
  const info = { NCPU: 2, MemTotal: 8e9, MemoryLimit: true, SwapLimit: true, CpuCfsQuota: true, PidsLimit: true };
  await using daemon = await fakeDockerDaemon((head, socket) => {
    if (head.includes("/version")) answer(socket, 200, version);
    else if (head.includes("/info")) answer(socket, 200, info);
    else answer(socket, 404, { message: "no such image" });
  });

  const { code, report } = await examine([], { DOCKER_HOST: `unix://${daemon.socketPath}` });

  expect(levelOf(report, "hole-CVE-2024-21626")).toBe("bad");
  expect(levelOf(report, "seccomp")).toBe("bad");
  expect({ code, fit: report.fit }).toEqual({ code: 1, fit: false });
});

test("reaches the control plane, and tells a clock that is off", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { date: new Date(0).toUTCString() }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const there = await examine(["--host", url]);
  server.close();
  const away = await examine(["--host", url]);

  expect(levelOf(there.report, "control-plane")).toBe("ok");
  expect(levelOf(there.report, "control-plane-clock")).toBe("warning");
  expect(levelOf(away.report, "control-plane")).toBe("bad");
  expect(away.code).toBe(1);
});

test("says in words what stands well and what to do", async () => {
  const { code, stdout } = await home.cofferdam(["doctor"]);

  expect(stdout).toMatch(/✓ docker \S+, API/);
  expect(stdout).toMatch(/This host is fit, \d+ warnings\.\n$/);
  expect(code).toBe(0);
});

test("ends with 3 where there is no engine", async () => {
  const { code, stderr } = await home.cofferdam(["doctor"], { env: { DOCKER_HOST: "unix:///nonexistent.sock" } });

  expect(stderr).toContain("no container engine can be used");
  expect(code).toBe(3);
});
