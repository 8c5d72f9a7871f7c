import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestRegistry, type TestRegistry } from "../docker/registry/registry.ts";
import { Composed, docker, dockerOk, lines, socketEnvironment } from "./support/compose.ts";

const agentImage = "cofferdam/launch-agent:dev";
const settings = { CIRCLECI_RUNNER_API_URL: "http://control-plane:8080", CIRCLECI_RUNNER_MAX_RUN_TIME: "2m" };

let place: Composed;
let socket: string;

beforeAll(async () => {
  socket = (await socketEnvironment()).COFFERDAM_ENGINE_SOCKET;
  place = await Composed.open("quickstart.yml");
  await place.compose("up", "--detach", "control-plane", "example");
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
  const file = `/tmp/${encodeURIComponent(command)}.yml`;
  await place.exec("control-plane", "sh", "-c", `printf %s '${config.replaceAll("'", "'\\''")}' > ${file}`);
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

async function running(): Promise<void> {
  const tasks = async (): Promise<string> => (await place.exec("control-plane", "cofferdam", "tasks")).stdout;
  await expect.poll(tasks, { timeout: 60_000 }).toContain("1 running");
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
    await startAgent("cofferdam-test-agent");
    const job = trigger("sleep 6; echo it ended by itself");
    await running();

    await dockerOk(["stop", "--time", "100", "cofferdam-test-agent"]);

    const { code, stdout } = await job;
    expect(stdout).toContain("it ended by itself");
    expect(code).toBe(0);
    expect(await inspect("cofferdam-test-agent", "{{.State.ExitCode}}")).toBe("0");
    const labelled = ["--quiet", "--filter", "label=dev.cofferdam.agent"];
    expect(await dockerOk(["ps", "--all", ...labelled])).toBe("");
    expect(await dockerOk(["volume", "ls", "--quiet", "--filter", "label=dev.cofferdam.role=shared"])).toBe("");
  });

  test("is replaced while it is busy, and no task is lost", async () => {
    await startAgent("cofferdam-test-agent-old");
    const first = trigger("sleep 6; echo on the old one");
    await running();

    await startAgent("cofferdam-test-agent-new");
    const stopped = dockerOk(["stop", "--time", "100", "cofferdam-test-agent-old"]);
    const second = trigger("echo on the new one");

    expect((await first).stdout).toContain("on the old one");
    expect((await second).stdout).toContain("on the new one");
    await stopped;
    expect([(await first).code, (await second).code]).toEqual([0, 0]);
  });

  test("tells its health without a shell", async () => {
    await startAgent("cofferdam-test-agent");

    await expect
      .poll(async () => await inspect("cofferdam-test-agent", "{{.State.Health.Status}}"), { timeout: 60_000 })
      .toBe("healthy");
  });
});

describe("an agent that may update itself", () => {
  let registry: TestRegistry;
  let repository: string;
  let first: string;

  beforeAll(async () => {
    registry = await startTestRegistry();
    repository = `${registry.open}/launch-agent`;
  });

  beforeEach(async () => {
    first = `${repository}:1`;
    await dockerOk(["tag", agentImage, first]);
  });

  afterAll(async () => {
    // By their names: the first one is the agent's image itself, under another name.
    const format = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}";
    const names = lines(await dockerOk(["images", "--digests", "--format", format, repository]));
    for (const name of names.flatMap((line) => line.split(" ")))
      if (!name.includes("<none>")) await docker(["rmi", name]);
    await registry[Symbol.asyncDispose]();
  });

  /** An image that differs from the agent's by these instructions. Resolves with name@digest. */
  async function publish(tag: string, ...changes: string[]): Promise<string> {
    const container = await dockerOk(["create", agentImage]);
    const options = changes.flatMap((change) => ["--change", change]);
    await dockerOk(["commit", ...options, container, `${repository}:${tag}`]);
    await dockerOk(["rm", container]);
    await dockerOk(["push", `${repository}:${tag}`]);
    const digests = await inspect(`${repository}:${tag}`, "{{range .RepoDigests}}{{println .}}{{end}}");
    await dockerOk(["rmi", `${repository}:${tag}`]);
    const digest = lines(digests).find((line) => line.startsWith(`${repository}@`));
    if (digest === undefined) throw new Error(`no digest of ${repository} among: ${digests}`);
    return digest;
  }

  /** The control plane, started anew, wants this image. */
  async function want(image: string): Promise<void> {
    const wanting = await Composed.open("quickstart.yml", { COFFERDAM_LAUNCH_AGENT_IMAGE: image });
    await wanting.compose("up", "--detach", "control-plane", "example");
  }

  test("makes way for the image that its control plane names, which has its name, and works", async () => {
    const next = await publish("2", "LABEL test.generation=2");
    await want(next);

    const old = await startAgent("cofferdam-test-agent", { image: first, env: { COFFERDAM_AUTO_UPDATE: "true" } });

    await expect
      .poll(async () => await inspect("cofferdam-test-agent", '{{index .Config.Labels "test.generation"}}'), {
        timeout: 120_000,
      })
      .toBe("2");
    const walls =
      "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.RestartPolicy.Name}} {{.State.Running}}";
    expect(await inspect("cofferdam-test-agent", walls)).toBe("true [ALL] unless-stopped true");
    expect(await inspect(old, "{{.Id}}")).toBe("");
    const { code, stdout } = await trigger("echo under new management");
    expect(stdout).toContain("under new management");
    expect(code).toBe(0);
  });

  test("stays where its successor fails, and removes it", async () => {
    await want(await publish("3", 'ENTRYPOINT ["/usr/bin/node", "-e", "process.exit(9)"]'));

    const old = await startAgent("cofferdam-test-agent", { image: first, env: { COFFERDAM_AUTO_UPDATE: "true" } });

    await expect
      .poll(async () => await logs("cofferdam-test-agent"), { timeout: 120_000 })
      .toContain("this launch agent stays");
    expect(await logs("cofferdam-test-agent")).toContain("its successor ended with code 9");
    expect(await inspect("cofferdam-test-agent", "{{.Id}} {{.State.Running}} {{.RestartCount}}")).toBe(`${old} true 0`);
    expect(await dockerOk(["ps", "--all", "--quiet", "--filter", "name=successor"])).toBe("");
    expect((await trigger("echo still here")).code).toBe(0);
  });

  test("is told so in vain where updates are switched off", async () => {
    await want(await publish("4", "LABEL test.generation=4"));

    const env = { COFFERDAM_AUTO_UPDATE: "true", DISABLE_AUTO_UPDATE: "true" };
    const old = await startAgent("cofferdam-test-agent", { image: first, env });

    expect((await trigger("echo works")).code).toBe(0);
    expect(await logs("cofferdam-test-agent")).not.toContain("updat");
    expect(await inspect("cofferdam-test-agent", "{{.Id}}")).toBe(old);
  });
});
