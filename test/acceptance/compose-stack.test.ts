import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { docker, dockerOk, eventually, leftovers, root, type Said, socketEnvironment } from "./support/compose.ts";

const stack = "cofferdam-test-stack";
const controlPlane = "cofferdam-test-control-plane";
const port = "18443";
const config =
  "{version: 2.1, jobs: {j: {machine: true, resource_class: local/default, steps: [{run: echo on a swarm}]}}, workflows: {w: {jobs: [j]}}}";

/** Takes back what was made, and no more: the engine may have a Swarm, and that one a token, already. */
const undo = new AsyncDisposableStack();
let before: string[];

beforeAll(async () => {
  before = await leftovers();
  await joinSwarm();
  const token = await startControlPlane();
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-stack-"));
  undo.defer(async () => await rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, "token"), token);
  await dockerOk(["secret", "create", "cofferdam_token", join(directory, "token")]);
  undo.defer(async () => void (await dockerOk(["secret", "rm", "cofferdam_token"])));

  // Where containers of a Swarm find the host. It comes a moment after the Swarm itself.
  const gateway = ["network", "inspect", "--format", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", "docker_gwbridge"];
  const { stdout: host } = await eventually(
    async () => await docker(gateway),
    ({ code, stdout }) => code === 0 && stdout.trim() !== "",
  );
  const env = { ...(await socketEnvironment()), CIRCLECI_RUNNER_API_URL: `http://${host.trim()}:${port}` };
  undo.defer(removeStack);
  await dockerOk(["stack", "deploy", "--compose-file", join(root, "compose", "stack.yml"), stack], { env });
});

afterAll(async () => {
  await undo.disposeAsync();
});

test("docker stack deploy has one agent a node, named like it, that runs jobs with a token from a secret", async () => {
  await inControlPlane("sh", "-c", `printf %s '${config}' > /tmp/config.yml`);

  const repository = ["--repo", "git://localhost/pipeline", "--branch", "main"];
  const followed = await inControlPlane("cofferdam", "trigger", "--config", "/tmp/config.yml", ...repository, "-f");

  expect(followed.stdout + followed.stderr).toContain("on a swarm");
  expect(followed.code).toBe(0);
  const node = await dockerOk(["node", "inspect", "self", "--format", "{{.Description.Hostname}}"]);
  const agents: unknown = JSON.parse((await inControlPlane("cofferdam", "agents", "--json")).stdout);
  expect(agents).toMatchObject([{ name: node }]);
  expect(await dockerOk(["service", "inspect", `${stack}_launch-agent`, "--format", "{{json .Spec.Mode}}"])).toContain(
    "Global",
  );
});

test("docker stack rm drains, and leaves no container, network or volume of the agent's", async () => {
  await removeStack();

  const named = await dockerOk(["ps", "--all", "--quiet", "--filter", `name=${controlPlane}`, "--no-trunc"]);
  const left = async (): Promise<string[]> => await leftovers(before);
  expect(await eventually(left, ({ length }) => length <= 1)).toEqual([named]);
});

async function joinSwarm(): Promise<void> {
  if ((await dockerOk(["info", "--format", "{{.Swarm.LocalNodeState}}"])) !== "inactive") return;
  undo.defer(async () => {
    await dockerOk(["swarm", "leave", "--force"]);
    // A Swarm leaves it behind, and holds it for a moment longer.
    await eventually(
      async () => (await docker(["network", "rm", "docker_gwbridge"])).stderr,
      (said) => /No such network|not found/.test(said),
    );
  });
  await dockerOk(["swarm", "init", "--advertise-addr", "127.0.0.1"]);
}

/** On the host's network, as one that is no part of the Swarm, with the image's example repository. Answers the class's token. */
async function startControlPlane(): Promise<string> {
  const bootstrap = ["COFFERDAM_BOOTSTRAP_CLASSES=local/default", "COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY=/tmp/tokens"];
  const settings = [...bootstrap, `COFFERDAM_PORT=${port}`].flatMap((each) => ["--env", each]);
  const image = "cofferdam/control-plane:dev";
  undo.defer(async () => void (await docker(["rm", "--force", "--volumes", controlPlane])));
  await dockerOk(["run", "--detach", `--name=${controlPlane}`, "--network=host", ...settings, image]);
  // Its owner's: git refuses to serve what belongs to somebody else.
  const daemon = ["git", "daemon", "--listen=127.0.0.1", "--export-all", "--base-path=/opt/cofferdam/repositories"];
  await dockerOk(["exec", "--detach", "--user=0:0", controlPlane, ...daemon]);
  await eventually(
    async () => await inControlPlane("git", "ls-remote", "git://localhost/pipeline"),
    ({ code }) => code === 0,
  );
  const token = async (): Promise<string> => (await inControlPlane("cat", "/tmp/tokens/local.default")).stdout;
  return await eventually(token, (text) => text !== "");
}

async function removeStack(): Promise<void> {
  await dockerOk(["stack", "rm", stack]);
  for (const list of [
    ["ps", "--all"],
    ["network", "ls"],
  ])
    await eventually(
      async () => await dockerOk([...list, "--filter", `name=${stack}_`, "--quiet"]),
      (ids) => ids === "",
    );
}

async function inControlPlane(...command: string[]): Promise<Said> {
  return await docker(["exec", controlPlane, ...command]);
}
