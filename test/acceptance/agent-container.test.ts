import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { engineUnderTest } from "../docker/engine-under-test.ts";
import { account, startTestRegistry, type TestRegistry } from "../docker/registry/registry.ts";
import { removeNewImages } from "../docker/registry/remove-new-images.ts";
import { Composed, docker, dockerOk, eventually, leftovers, lines, socketEnvironment } from "./support/compose.ts";

const agentImage = "cofferdam/launch-agent:dev";
const settings = { CIRCLECI_RUNNER_API_URL: "http://control-plane:8080", CIRCLECI_RUNNER_MAX_RUN_TIME: "2m" };

let place: Composed;
let socket: string;
/** The control plane's parts among it. */
let before: string[];

beforeAll(async () => {
  socket = (await socketEnvironment()).COFFERDAM_ENGINE_SOCKET;
  place = await Composed.open("quickstart.yml");
  await place.compose("up", "--detach", "control-plane", "example");
  before = await leftovers();
});

afterAll(async () => await place[Symbol.asyncDispose]());

afterEach(async () => {
  const agents = lines(await dockerOk(["ps", "--all", "--quiet", "--filter", "name=cofferdam-test-agent"]));
  for (const id of agents) await docker(["stop", "--time", "60", id]);
  for (const id of agents) await docker(["rm", "--force", id]);
});

/** As the README says. */
async function startAgent(
  name: string,
  options: { image?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const env = { ...settings, CIRCLECI_RUNNER_API_AUTH_TOKEN_FILE: "/run/tokens/local.default", ...options.env };
  const flags = ["--read-only", "--cap-drop=ALL", "--restart=unless-stopped", "--network=cofferdam_default"];
  const mounts = [`--volume=${socket}:/var/run/docker.sock`, "--volume=cofferdam_tokens:/run/tokens:ro"];
  const variables = Object.entries(env).map(([key, value]) => `--env=${key}=${value}`);
  return await dockerOk([
    "run",
    "--detach",
    `--name=${name}`,
    ...flags,
    ...mounts,
    ...variables,
    options.image ?? agentImage,
  ]);
}

/** Runs one step in the control plane's example repository; resolves with what `trigger --follow` said. */
async function trigger(command: string) {
  const step = JSON.stringify({ run: command });
  const config = `{version: 2.1, jobs: {j: {machine: true, resource_class: local/default, steps: [${step}]}}, workflows: {w: {jobs: [j]}}}`;
  const file = `/tmp/${randomUUID()}.yml`;
  await place.write("control-plane", file, config);
  return await place.exec(
    "control-plane",
    "cofferdam",
    "trigger",
    "-c",
    file,
    "--repo",
    "git://example/pipeline",
    "-b",
    "main",
    "-f",
  );
}

/** A step that goes on until `release`, and then says this. */
function held(words: string): string {
  return `until [ -e /tmp/released ]; do sleep 0.2; done; echo ${words}`;
}

async function running(): Promise<void> {
  const tasks = async (): Promise<string> => (await place.exec("control-plane", "cofferdam", "tasks")).stdout;
  await eventually(tasks, (text) => text.includes("1 running"));
}

async function draining(name: string): Promise<void> {
  await eventually(
    async () => await logs(name),
    (text) => text.includes("draining"),
  );
}

/** Whichever container the task is in. */
async function release(): Promise<void> {
  const containers = lines(await dockerOk(["ps", "--quiet", "--filter", "label=dev.cofferdam.agent"]));
  for (const id of containers) await docker(["exec", id, "touch", "/tmp/released"]);
}

async function logs(name: string): Promise<string> {
  const { stdout, stderr } = await docker(["logs", name]);
  return stdout + stderr;
}

async function inspect(name: string, format: string): Promise<string> {
  return (await docker(["inspect", "--format", format, name])).stdout.trim();
}

describe("a launch agent started with docker run", () => {
  test("runs a job, drains at docker stop while a task runs, exits 0 and leaves nothing", async () => {
    const agent = await startAgent("cofferdam-test-agent");
    const job = trigger(held("it ended by itself"));
    await running();

    const stopped = dockerOk(["stop", "--time", "100", "cofferdam-test-agent"]);
    await draining("cofferdam-test-agent");
    await release();

    const { code, stdout } = await job;
    await stopped;
    expect(stdout).toContain("it ended by itself");
    expect(code).toBe(0);
    expect(await inspect("cofferdam-test-agent", "{{.State.ExitCode}}")).toBe("0");
    const left = async (): Promise<string[]> => await leftovers([...before, agent]);
    expect(await eventually(left, ({ length }) => length === 0)).toEqual([]);
  });

  test("is replaced while it is busy, and no task is lost", async () => {
    await startAgent("cofferdam-test-agent-old");
    const first = trigger(held("on the old one"));
    await running();

    await startAgent("cofferdam-test-agent-new");
    const stopped = dockerOk(["stop", "--time", "100", "cofferdam-test-agent-old"]);
    await draining("cofferdam-test-agent-old");
    const second = await trigger("echo on the new one");
    await release();

    expect(second.stdout).toContain("on the new one");
    expect((await first).stdout).toContain("on the old one");
    await stopped;
    expect([(await first).code, second.code]).toEqual([0, 0]);
  });

  test("tells its health without a shell", async () => {
    await startAgent("cofferdam-test-agent");

    const health = async (): Promise<string> => await inspect("cofferdam-test-agent", "{{.State.Health.Status}}");
    expect(await eventually(health, (status) => status !== "starting")).toBe("healthy");
  });
});

describe("an agent that may update itself", () => {
  let registry: TestRegistry;
  let removeImages: () => Promise<void>;
  const updates = { COFFERDAM_AUTO_UPDATE: "true" };

  beforeAll(async () => {
    registry = await startTestRegistry();
    removeImages = await removeNewImages(await engineUnderTest());
    for (const host of [registry.open, registry.closed]) await dockerOk(["tag", agentImage, firstOf(host)]);
  });

  afterAll(async () => {
    for (const host of [registry.open, registry.closed]) await docker(["rmi", firstOf(host)]);
    await removeImages();
    await registry[Symbol.asyncDispose]();
  });

  function firstOf(host: string): string {
    return `${host}/launch-agent:1`;
  }

  /** An image that differs from the agent's by these instructions, in this registry alone. Resolves with name@digest. */
  async function publish(host: string, tag: string, ...changes: string[]): Promise<string> {
    const name = `${host}/launch-agent:${tag}`;
    const container = await dockerOk(["create", agentImage]);
    await dockerOk(["commit", ...changes.flatMap((change) => ["--change", change]), container, name]);
    await dockerOk(["rm", container]);
    const digest = await registry.publish(name);
    await dockerOk(["rmi", name]);
    return `${host}/launch-agent@${digest}`;
  }

  /** The control plane, started anew, wants this image. */
  async function want(image: string): Promise<void> {
    const wanting = await Composed.open("quickstart.yml", { COFFERDAM_LAUNCH_AGENT_IMAGE: image });
    await wanting.compose("up", "--detach", "control-plane", "example");
  }

  /** Within two looks at the control plane. */
  async function becomes(generation: string): Promise<void> {
    const look = async (): Promise<string> =>
      await inspect("cofferdam-test-agent", '{{index .Config.Labels "test.generation"}}');
    await eventually(look, (label) => label === generation);
  }

  test("makes way for the image that its control plane names, which has its name, and works", async () => {
    await want(await publish(registry.open, "2", "LABEL test.generation=2"));

    const old = await startAgent("cofferdam-test-agent", { image: firstOf(registry.open), env: updates });

    await becomes("2");
    const walls =
      "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.RestartPolicy.Name}} {{.State.Running}}";
    expect(await inspect("cofferdam-test-agent", walls)).toBe("true [ALL] unless-stopped true");
    expect(await inspect(old, "{{.Id}}")).toBe("");
    const { code, stdout } = await trigger("echo under new management");
    expect(stdout).toContain("under new management");
    expect(code).toBe(0);
  });

  test("shows its registry its own credentials, and keeps what it got for them from tasks", async () => {
    const next = await publish(registry.closed, "2", "LABEL test.generation=of-the-closed");
    expect((await docker(["pull", "--quiet", next])).code).not.toBe(0);
    await want(next);
    const auth = Buffer.from(`${account.username}:${account.password}`).toString("base64");
    const DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { [registry.closed]: { auth } } });

    await startAgent("cofferdam-test-agent", {
      image: firstOf(registry.closed),
      env: { ...updates, DOCKER_AUTH_CONFIG },
    });

    await becomes("of-the-closed");
    expect(await inspect(next, "{{.RepoTags}}")).toContain("cofferdam.local/private:");
  });

  test("stays where its successor fails, and removes it", async () => {
    await want(await publish(registry.open, "3", 'ENTRYPOINT ["/usr/bin/node", "-e", "process.exit(9)"]'));

    const old = await startAgent("cofferdam-test-agent", { image: firstOf(registry.open), env: updates });

    const told = await eventually(
      async () => await logs("cofferdam-test-agent"),
      (text) => text.includes("this launch agent stays"),
    );
    expect(told).toContain("its successor ended with code 9");
    expect(await inspect("cofferdam-test-agent", "{{.Id}} {{.State.Running}} {{.RestartCount}}")).toBe(`${old} true 0`);
    expect(await dockerOk(["ps", "--all", "--quiet", "--filter", "name=successor"])).toBe("");
    expect((await trigger("echo still here")).code).toBe(0);
  });

  test("is told so in vain where updates are switched off", async () => {
    await want(await publish(registry.open, "4", "LABEL test.generation=4"));

    const env = { ...updates, DISABLE_AUTO_UPDATE: "true" };
    const old = await startAgent("cofferdam-test-agent", { image: firstOf(registry.open), env });

    expect((await trigger("echo works")).code).toBe(0);
    expect(await logs("cofferdam-test-agent")).not.toContain("updat");
    expect(await inspect("cofferdam-test-agent", "{{.Id}}")).toBe(old);
  });
});
