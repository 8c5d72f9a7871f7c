import { afterAll, beforeAll, expect, test } from "vitest";
import { Composed, docker, dockerOk, eventually, leftovers, lines } from "./support/compose.ts";

/** What a user types after `docker compose … exec control-plane`, as the file says. */
const example = ["--repo", "git://example/pipeline", "--branch", "main", "--follow"];
const trigger = ["cofferdam", "trigger", "--config", "/opt/cofferdam/example/.circleci/config.yml", ...example];

let quickstart: Composed;
let before: string[];

beforeAll(async () => {
  before = await leftovers();
  quickstart = await Composed.open("quickstart.yml");
  await quickstart.compose("up", "--detach", "--scale", "launch-agent=3", "control-plane", "launch-agent", "example");
});

afterAll(async () => {
  await quickstart[Symbol.asyncDispose]();
});

test("the first pipeline is green, and nobody copied a token", async () => {
  const followed = await quickstart.exec("control-plane", ...trigger);

  expect(followed.stdout + followed.stderr).toContain("4 success");
  expect(followed.code).toBe(0);
});

test("three agents of one service have three legal names", async () => {
  const names = async (): Promise<string[]> => {
    const { stdout } = await quickstart.exec("control-plane", "cofferdam", "agents", "--json");
    return [...new Set(stdout.match(/(?<="name": ?")[^"]+/g))];
  };

  const found = await eventually(names, ({ length }) => length === 3);

  for (const name of found) expect(name).toMatch(/^[A-Za-z0-9 .()_-]{1,200}$/);
});

test("no token is in what the engine tells about a container, nor in a log", async () => {
  const token = (
    await quickstart.exec("control-plane", "cat", "/var/lib/cofferdam-tokens/local.default")
  ).stdout.trim();
  const admin = (await quickstart.exec("control-plane", "cat", "/var/lib/cofferdam/admin-token")).stdout.trim();
  const ids = lines(await quickstart.compose("ps", "--all", "--quiet"));

  const told = (await dockerOk(["inspect", ...ids])) + (await quickstart.compose("logs"));

  for (const secret of [token, admin]) {
    expect(secret.length).toBeGreaterThan(20);
    expect(told).not.toContain(secret);
  }
});

test("the control plane tells what waits in its queue to whoever has the administrator's token", async () => {
  const script = `
    const token = require("node:fs").readFileSync("/var/lib/cofferdam/admin-token", "utf8").trim();
    const ask = (headers) => fetch("http://127.0.0.1:8080/metrics", { headers });
    Promise.all([ask({}), ask({ "circle-token": token })]).then(async ([none, admin]) =>
      console.log(none.status, admin.status, await admin.text()));`;

  const { stdout } = await quickstart.exec("control-plane", "node", "-e", script);

  expect(stdout).toMatch(/^401 200 /);
  expect(stdout).toContain('cofferdam_queue_tasks{resource_class="local/default"} 0');
});

test("files of tokens are their owner's alone", async () => {
  const { stdout } = await quickstart.exec(
    "control-plane",
    "stat",
    "--format=%a",
    "/var/lib/cofferdam-tokens/local.default",
    "/var/lib/cofferdam/admin-token",
  );

  expect(lines(stdout)).toEqual(["600", "600"]);
});

test("agents have no capability, no new privileges and a root that cannot be written", async () => {
  const [id = ""] = await quickstart.containers("launch-agent");

  const host = JSON.parse(await dockerOk(["inspect", "--format", "{{json .HostConfig}}", id])) as Record<
    string,
    unknown
  >;

  expect(host).toMatchObject({ ReadonlyRootfs: true, CapDrop: ["ALL"], Privileged: false });
  expect(host["CapAdd"] ?? []).toEqual([]);
  expect(host["SecurityOpt"]).toContain("no-new-privileges:true");
  expect((await docker(["exec", id, "sh", "-c", "true"])).code).not.toBe(0);
});

test("down drains, and leaves the data and the tokens alone; with --volumes it leaves nothing of ours", async () => {
  await quickstart.compose("down");
  const left = async (): Promise<string[]> => await leftovers(before);
  expect(await eventually(left, ({ length }) => length <= 2)).toEqual(["cofferdam_data", "cofferdam_tokens"]);

  await quickstart.compose("down", "--volumes");
  expect(await eventually(left, ({ length }) => length === 0)).toEqual([]);
});
