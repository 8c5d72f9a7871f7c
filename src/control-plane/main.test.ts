import { spawn } from "node:child_process";
import { on, once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect, test, vi } from "vitest";
import { certificates } from "../../test/fakes/certificates.ts";
import { FakeAgent, piece, started } from "../../test/fakes/fake-agent.ts";
import { ManualClock } from "../../test/fakes/manual-clock.ts";
import { configOf, storyOf, temporaryControlPlane, testClass } from "../../test/fakes/temporary-control-plane.ts";
import { storeEnvironmentOf, storeOf } from "../../test/fakes/test-store.ts";
import { systemClock } from "../lib/clock.ts";
import { agentApi } from "../protocol/agent-api.ts";
import { openStore } from "./store/store.ts";

const main = new URL("main.ts", import.meta.url).pathname;

function start(environment: Record<string, string>, args: string[] = []) {
  const server = spawn(process.execPath, [main, ...args], {
    env: { ...environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exit = once(server, "exit");
  return { server, exit };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** The name in the certificate that is served. */
async function certificateOf(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

/** What it writes, once the pattern is found; it may be asked again for what comes later. */
async function textUntil(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<RegExpMatchArray> {
  let text = "";
  for await (const [chunk] of on(stream, "data", { close: ["close"], signal: AbortSignal.timeout(20_000) })) {
    text += String(chunk);
    const match = pattern.exec(text);
    if (match) return match;
  }
  throw new Error(`ended without ${String(pattern)}: ${text}`);
}

test("the server says where it listens, serves, and ends with a signal", { timeout: 30_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const { server, exit } = start({ COFFERDAM_DATA_DIRECTORY: join(directory, "data"), COFFERDAM_PORT: "0" });

  const [, url = ""] = await textUntil(server.stderr, /listens on (http:\S+)/);
  await using agent = new FakeAgent({ url });
  const ready = await agent.call("GET", "/ready");
  server.kill("SIGTERM");

  expect(ready.status).toBe(200);
  expect(await exit).toEqual([0, null]);
  await rm(directory, { recursive: true });
});

test("a bad setting is named, and ends the server with 1", { timeout: 30_000 }, async () => {
  const { server, exit } = start({ COFFERDAM_PORT: "many" });

  await textUntil(server.stderr, /control plane: COFFERDAM_PORT: Invalid input/);

  expect(await exit).toEqual([1, null]);
});

test("the first start makes what a first job needs, and the health command says whether it serves", {
  timeout: 60_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const port = String(await freePort());
  const settings = {
    COFFERDAM_DATA_DIRECTORY: join(directory, "data"),
    COFFERDAM_PORT: port,
    COFFERDAM_ADMIN_TOKEN_FILE: join(directory, "admin"),
    COFFERDAM_BOOTSTRAP_CLASSES: "local/default,local/big",
    COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY: join(directory, "tokens"),
    COFFERDAM_DEFAULT_CLASS: "",
    COFFERDAM_LAUNCH_AGENT_IMAGE: `a/launch-agent@sha256:${"0".repeat(64)}`,
  };
  const before = start(settings, ["health"]);
  await textUntil(before.server.stderr, /ready cannot be asked/);
  const { server, exit } = start(settings);
  const [said, url = ""] = await textUntil(server.stderr, /[^]*listens on (http:\S+)[^]*token is in \S+\n/);
  await using agent = new FakeAgent({ url });

  const token = (await readFile(join(directory, "tokens", "local.default"), "utf8")).trim();
  const release = await agent.call("GET", agentApi.launchAgent, { token });
  const health = start(settings, ["health"]);
  const healthy = await health.exit;
  server.kill("SIGTERM");

  expect(release.json).toEqual({ image: settings.COFFERDAM_LAUNCH_AGENT_IMAGE });
  expect(said).not.toContain(token);
  expect(await readFile(join(directory, "admin"), "utf8")).toMatch(/^[\w-]{43}\n$/);
  expect([(await before.exit)[0], healthy[0], (await exit)[0]]).toEqual([1, 0, 0]);
  await rm(directory, { recursive: true });
});

test("HTTPS is served, and a new certificate is taken without a restart", { timeout: 60_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const files = { cert: join(directory, "tls.crt"), key: join(directory, "tls.key") };
  const write = async ({ cert, key }: { cert: string; key: string }) => {
    await writeFile(files.cert, cert);
    await writeFile(files.key, key);
  };
  await write(certificates.first);
  const settings = {
    COFFERDAM_DATA_DIRECTORY: join(directory, "data"),
    COFFERDAM_PORT: String(await freePort()),
    COFFERDAM_TLS_CERT_FILE: files.cert,
    COFFERDAM_TLS_KEY_FILE: files.key,
  };
  const { server, exit } = start(settings);
  await textUntil(server.stderr, /listens on https:/);
  const port = Number(settings.COFFERDAM_PORT);

  const first = await certificateOf(port);
  const health = await start(settings, ["health"]).exit;
  await writeFile(files.cert, "no certificate");
  server.kill("SIGHUP");
  await textUntil(server.stderr, /cannot be read again/);
  const meanwhile = await certificateOf(port);
  await write(certificates.second);
  server.kill("SIGHUP");
  const second = await vi.waitUntil(async () => (await certificateOf(port)) === "second.test", { timeout: 20_000 });
  server.kill("SIGTERM");

  expect([first, meanwhile, second]).toEqual(["first.test", "first.test", true]);
  expect([health[0], (await exit)[0]]).toEqual([0, 0]);
  await rm(directory, { recursive: true });
});

test.each([
  [{ COFFERDAM_TLS_CERT_FILE: "/x" }, /COFFERDAM_TLS_KEY_FILE go together/],
  [
    { COFFERDAM_TLS_CERT_FILE: "/nowhere.crt", COFFERDAM_TLS_KEY_FILE: "/nowhere.key" },
    /cannot serve HTTPS with the certificate \/nowhere.crt/,
  ],
  [{ COFFERDAM_LAUNCH_AGENT_IMAGE: "launch-agent:latest" }, /COFFERDAM_LAUNCH_AGENT_IMAGE: is not of the form/],
])("settings that cannot be served end it in words (%#)", { timeout: 30_000 }, async (settings, words) => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const { server, exit } = start({ COFFERDAM_DATA_DIRECTORY: directory, COFFERDAM_PORT: "0", ...settings });

  await textUntil(server.stderr, words);

  expect(await exit).toEqual([1, null]);
  await rm(directory, { recursive: true });
});

test("what was acknowledged survives kill -9, and the task goes on", { timeout: 60_000 }, async () => {
  await using plane = await temporaryControlPlane();
  const { id } = await plane.start(configOf(["build"]));
  const settings = { ...(await storeEnvironmentOf(join(plane.directory, "data"))), COFFERDAM_PORT: "0" };
  const claimed = await plane.agent.claim(plane.token);
  if (!claimed) throw new Error("no task");
  let acked = 0;

  for (let round = 0; round < 2; round++) {
    const { server, exit } = start(settings);
    const [, url = ""] = await textUntil(server.stderr, /listens on (http:\S+)/);
    await using agent = new FakeAgent({ url });
    const held = claimed.over(agent);
    for (let count = 0; count < 20; count++) {
      const record = acked === 0 ? started(100) : piece(100, (acked - 1) * 5, `${1000 + acked}\n`);
      const answer = await held.sendFrom(acked + 1, [record]);
      expect(answer).toMatchObject({ status: 200, json: { acked: acked + 1 } });
      acked += 1;
    }
    // One more is on its way when the server dies: whether it is stored, nobody was told.
    const last = held.sendFrom(acked + 1, [piece(100, (acked - 1) * 5, `${1000 + acked}\n`)]).catch(() => undefined);
    server.kill("SIGKILL");
    await Promise.all([last, exit]);
    const again = await claimed.sendFrom(acked + 1, [piece(100, (acked - 1) * 5, `${1000 + acked}\n`)]);
    acked += 1;
    expect(again).toMatchObject({ status: 200, json: { acked } });
  }
  await claimed.sendFrom(acked + 1, [{ type: "task-ended", status: "success", atMs: 1 }]);

  const story = await storyOf(plane.controlPlane, id);
  const output = story.flatMap((event) =>
    event.type === "output" ? [Buffer.from(event.data, "base64").toString()] : [],
  );
  expect(output.join("")).toBe(Array.from({ length: acked - 1 }, (_unused, index) => `${1001 + index}\n`).join(""));
  expect(story.at(-1)?.type).toBe("pipeline-ended");
});

test("a server that was killed gives every lease a whole one when it is back", { timeout: 60_000 }, async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["build"]));
  const held = await plane.agent.claim(plane.token);
  await plane.controlPlane.close({ graceMs: 0 });
  const directory = join(plane.directory, "data");
  const settings = { ...(await storeEnvironmentOf(directory)), COFFERDAM_PORT: "0" };
  const first = start(settings);
  await textUntil(first.server.stderr, /listens on/);
  first.server.kill("SIGKILL");
  await first.exit;
  const where = { directory, ...(await storeOf(directory)) };
  const store = await openStore({ ...where, clock: systemClock, onCommit: () => undefined });
  // As after an hour without a control plane.
  await store.db
    .updateTable("task")
    .set({ lease_expires_ms: Date.now() - 3_600_000 })
    .execute();

  const before = Date.now();
  const second = start(settings);
  const [, url = ""] = await textUntil(second.server.stderr, /listens on (http:\S+)/);
  const { lease_expires_ms } = await store.db.selectFrom("task").selectAll().executeTakeFirstOrThrow();
  await using agent = new FakeAgent({ url });
  const finished = await held?.over(agent).finish();
  second.server.kill("SIGTERM");

  expect(lease_expires_ms).toBeGreaterThanOrEqual(before + 30_000);
  expect([finished?.status, (await second.exit)[0]]).toEqual([200, 0]);
  await store.close();
});

test("the server starts scheduled workflows", { timeout: 30_000 }, async () => {
  // Its own clock stands still, so that only the server can start anything.
  await using plane = await temporaryControlPlane({ clock: new ManualClock("2026-01-01T00:00:00Z"), schedules: true });
  const config = configOf(["build"], { resource_class: testClass });
  config.workflows["w"] = { jobs: ["build"], triggers: [{ schedule: { cron: "0 4 * * *" } }] };
  await plane.start(config);
  const directory = join(plane.directory, "data");
  const where = { directory, ...(await storeOf(directory)) };
  const store = await openStore({ ...where, clock: systemClock, onCommit: () => undefined });
  await store.db.updateTable("schedule").set({ due_ms: Date.now() }).execute();

  const { server, exit } = start({ ...(await storeEnvironmentOf(directory)), COFFERDAM_PORT: "0" });
  const task = await vi.waitUntil(() => plane.agent.claim(plane.token), { timeout: 20_000 });
  server.kill("SIGTERM");

  expect(task.task).toMatchObject({ job: { name: "build" } });
  expect(await exit).toEqual([0, null]);
  await store.close();
});
