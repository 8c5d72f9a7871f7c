import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bareEnvironment } from "../fakes/bare-environment.ts";
import { answer, fakeDockerDaemon } from "../fakes/fake-docker-daemon.ts";

const main = join(import.meta.dirname, "../../src/launch-agent/main.ts");
const token = "very-secret-token";
const settings = {
  CIRCLECI_RUNNER_API_URL: "http://127.0.0.1:1",
  CIRCLECI_RUNNER_API_AUTH_TOKEN: token,
  CIRCLECI_RUNNER_NAME: "runner",
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-agent-"));
});
afterEach(async () => await rm(directory, { recursive: true }));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function run(env: Record<string, string>, args: string[] = []): Promise<Ended> {
  const flags = ["--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...flags, main, ...args], { env: { ...bareEnvironment(), ...env } });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(stdout + stderr).not.toContain(token);
  expect(stderr).not.toMatch(/\n\s+at /);
  return { code: await code, stdout, stderr };
}

test("says which setting is missing, and exits with 2", async () => {
  const { code, stderr } = await run({ CIRCLECI_RUNNER_API_AUTH_TOKEN: token });

  expect(stderr).toBe("launch agent: CIRCLECI_RUNNER_API_URL: is not set\n");
  expect(code).toBe(2);
});

test.each([
  [
    "a bad name",
    { CIRCLECI_RUNNER_NAME: "a/b" },
    "CIRCLECI_RUNNER_NAME: must contain only letters, numbers, .()_-, and spaces",
  ],
  [
    "a key that is refused",
    { LAUNCH_AGENT_RUNNER_COMMAND_PREFIX: "sudo" },
    "LAUNCH_AGENT_RUNNER_COMMAND_PREFIX: is not supported",
  ],
  ["an address of no engine", { DOCKER_HOST: "ssh://host" }, 'DOCKER_HOST is "ssh://host". It must be like'],
  [
    "a file of authorities that is not there",
    { COFFERDAM_CA_FILE: "/none.pem" },
    "COFFERDAM_CA_FILE: cannot read /none.pem: it does not exist",
  ],
  [
    "a log file that cannot be written",
    { CIRCLECI_RUNNER_LOGGING_FILE: "/none/log" },
    "CIRCLECI_RUNNER_LOGGING_FILE: cannot write it (ENOENT)",
  ],
])("tells %s in one line, and exits with 2", async (_, environment, line) => {
  await using daemon = await fakeDockerDaemon((head, socket) => answerAsEngine(head, socket, "1.41"));

  const { code, stderr } = await run({ ...settings, DOCKER_HOST: `unix://${daemon.socketPath}`, ...environment });

  expect(stderr).toContain(line);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(code).toBe(2);
});

test("refuses a key of its file that is none, with its line, and exits with 2", async () => {
  const file = join(directory, "config.yaml");
  await writeFile(file, `api:\n  auth_token: ${token}\nrunner:\n  nmae: x\n`);

  const { code, stderr } = await run(settings, ["--config", file]);

  expect(stderr).toBe(`launch agent: ${file}:4: unknown key "runner.nmae". Did you mean "runner.name"?\n`);
  expect(code).toBe(2);
});

test("says that there is no engine, and exits with 3", async () => {
  const { code, stderr } = await run({ ...settings, DOCKER_HOST: "unix:///nowhere/docker.sock" });

  expect(stderr).toMatch(/^launch agent: .*no engine listens at unix:\/\/\/nowhere\/docker.sock.*\n$/);
  expect(code).toBe(3);
});

test("says that the engine is too old, and exits with 3", async () => {
  await using daemon = await fakeDockerDaemon((head, socket) => answerAsEngine(head, socket, "1.40"));

  const { code, stderr } = await run({ ...settings, DOCKER_HOST: `unix://${daemon.socketPath}` });

  expect(stderr).toMatch(/speaks API 1\.40\. Cofferdam needs 1\.41/);
  expect(code).toBe(3);
});

test.each([
  ["when it is checked", ["--check"]],
  ["at its start", []],
])(
  "says what does not work on Podman %s",
  async (_, args) => {
    await using daemon = await fakeDockerDaemon((head, socket) =>
      answerAsEngine(head, socket, "1.41", "Podman Engine"),
    );
    const env = { ...bareEnvironment(), ...settings, DOCKER_HOST: `unix://${daemon.socketPath}` };
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], { env });
    let told = "";
    child.stderr.on("data", (chunk: Buffer) => {
      told += chunk.toString();
    });

    await expect
      .poll(() => told, { timeout: 20_000 })
      .toMatch(/proven to run on Podman 4\.3\.1, not on 20\.10\.0\. .*ends with its launch agent.*docs\/operating\.md/);
    child.kill("SIGKILL");
  },
  30_000,
);

test("checks settings, engine, control plane and token without claiming anything", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const isKnown = request.headers.authorization === `Bearer ${token}`;
    response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
    response.end(
      JSON.stringify(isKnown ? { resource_class: "ns/one" } : { code: "unauthorized", message: "no token of ours" }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using daemon = await fakeDockerDaemon((head, socket) => answerAsEngine(head, socket, "1.41"));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { ...settings, CIRCLECI_RUNNER_API_URL: url, DOCKER_HOST: `unix://${daemon.socketPath}` };

  const good = await run(environment, ["--check"]);
  const other = await run({ ...environment, CIRCLECI_RESOURCE_CLASS: "ns/two" }, ["--check"]);
  const refused = await run({ ...environment, CIRCLECI_RUNNER_API_AUTH_TOKEN: "another" }, ["--check"]);
  server.close();

  expect(good).toMatchObject({ code: 0, stderr: expect.stringContaining("knows the token of ns/one") });
  expect(other).toMatchObject({ code: 4, stderr: expect.stringContaining("the token of ns/two is one of ns/one") });
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining("401 no token of ours") });
  expect(new Set(asked)).toEqual(new Set(["GET /api/agent/v1/class"]));
}, 30_000);

test("says that what answers at the address is no control plane, and exits with 4", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(404, { "content-type": "text/html" }).end("<html><h1>Not found</h1></html>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using daemon = await fakeDockerDaemon((head, socket) => answerAsEngine(head, socket, "1.41"));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { ...settings, CIRCLECI_RUNNER_API_URL: url, DOCKER_HOST: `unix://${daemon.socketPath}` };

  const { code, stderr } = await run(environment, ["--check"]);
  server.close();

  expect(stderr).toMatch(/: 404 .* does not come from a control plane\. .*Check CIRCLECI_RUNNER_API_URL\.\n$/);
  expect(code).toBe(4);
});

test("prints all its settings and exit codes, and its version", async () => {
  const help = await run({}, ["--help"]);
  const version = await run({}, ["--version"]);
  const bad = await run({}, ["claim"]);

  expect(help.code).toBe(0);
  for (const words of [
    "CIRCLECI_RUNNER_API_URL",
    "also LAUNCH_AGENT_API_URL",
    "COFFERDAM_POLICY_IMAGES",
    "  130  stopped",
  ])
    expect(help.stdout).toContain(words);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(bad).toMatchObject({ code: 2, stderr: 'launch agent: there is no "claim"; see --help\n' });
});

test("answers a health check with 1 where nobody serves", async () => {
  const { code, stderr } = await run({ COFFERDAM_HEALTH_ADDRESS: "127.0.0.1:1" }, ["health", "ready"]);

  expect(stderr).toContain("nothing answers at 127.0.0.1:1");
  expect(code).toBe(1);
});

function answerAsEngine(
  head: string,
  socket: Parameters<typeof answer>[0],
  apiVersion: string,
  component = "Engine",
): void {
  const Components = [{ Name: component, Version: "20.10.0" }];
  const version = {
    Components,
    Version: "20.10.0",
    ApiVersion: apiVersion,
    MinAPIVersion: "1.12",
    Arch: "amd64",
    Os: "linux",
  };
  const info = { NCPU: 2, MemTotal: 4 * 1024 ** 3, CgroupVersion: "2", Runtimes: {} };
  answer(socket, 200, head.includes("/version") ? version : info);
}
