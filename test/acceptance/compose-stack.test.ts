import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { docker, dockerOk, root, socketEnvironment, until } from "./support/compose.ts";

const stack = "cofferdam-test-stack";
const controlPlane = "cofferdam-test-stack-control-plane";
const port = "18443";
const config =
  "{version: 2.1, jobs: {j: {machine: true, resource_class: local/default, steps: [{run: echo on a swarm}]}}, workflows: {w: {jobs: [j]}}}";

let directory: string;
let joined = false;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-stack-"));
  joined = (await dockerOk(["info", "--format", "{{.Swarm.LocalNodeState}}"])) === "inactive";
  if (joined) await dockerOk(["swarm", "init", "--advertise-addr", "127.0.0.1"]);
  const bootstrap = ["COFFERDAM_BOOTSTRAP_CLASSES=local/default", "COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY=/tmp/tokens"];
  const settings = [...bootstrap, `COFFERDAM_PORT=${port}`].flatMap((each) => ["--env", each]);
  await dockerOk([
    "run",
    "--detach",
    `--name=${controlPlane}`,
    "--network=host",
    ...settings,
    "cofferdam/control-plane:dev",
  ]);
  const token = async (): Promise<string> => (await inControlPlane("cat", "/tmp/tokens/local.default")).stdout;
  await until(async () => (await token()) !== "");
  await writeFile(join(directory, "token"), await token());
  await dockerOk(["secret", "create", "cofferdam_token", join(directory, "token")]);
  const gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
  const host = await dockerOk(["network", "inspect", "--format", gateway, "docker_gwbridge"]);
  const env = {
    ...(await socketEnvironment()),
    CIRCLECI_RUNNER_API_URL: `http://${host}:${port}`,
    COFFERDAM_MAX_RUN_TIME: "1m",
  };
  await dockerOk(["stack", "deploy", "--compose-file", join(root, "compose", "stack.yml"), stack], { env });
});

afterAll(async () => {
  await docker(["stack", "rm", stack]);
  await until(async () => (await dockerOk(["ps", "--all", "--quiet", "--filter", `name=${stack}_`])) === "");
  await docker(["secret", "rm", "cofferdam_token"]);
  await docker(["rm", "--force", "--volumes", controlPlane]);
  if (joined) {
    await dockerOk(["swarm", "leave", "--force"]);
    await docker(["network", "rm", "docker_gwbridge"]);
  }
  await rm(directory, { recursive: true, force: true });
});

async function inControlPlane(...command: string[]) {
  return await docker(["exec", controlPlane, ...command]);
}

test("docker stack deploy has one agent a node, named like it, that runs jobs with a token from a secret", async () => {
  const daemon = ["git", "daemon", "--export-all", "--base-path=/opt/cofferdam/repositories"];
  await dockerOk(["exec", "--detach", controlPlane, ...daemon]);
  await until(async () => (await inControlPlane("git", "ls-remote", "git://localhost/pipeline")).code === 0);
  await inControlPlane("sh", "-c", `printf %s '${config}' > /tmp/config.yml`);

  const repository = ["--repo", "git://localhost/pipeline", "-b", "main"];
  const followed = await inControlPlane("cofferdam", "trigger", "-c", "/tmp/config.yml", ...repository, "-f");

  expect(followed.stdout + followed.stderr).toContain("on a swarm");
  expect(followed.code).toBe(0);
  const node = await dockerOk(["node", "inspect", "self", "--format", "{{.Description.Hostname}}"]);
  expect((await inControlPlane("cofferdam", "agents", "--json")).stdout).toContain(`"${node}"`);
  expect(await dockerOk(["service", "inspect", `${stack}_launch-agent`, "--format", "{{json .Spec.Mode}}"])).toContain(
    "Global",
  );
});
