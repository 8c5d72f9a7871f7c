import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { end, Fleet } from "./support/fleet.ts";
import { Home, told } from "./support/program.ts";

leavesNothingBehind();

const config = `version: 2.1
parameters:
  code: {type: integer, default: 0}
jobs:
  build:
    machine: true
    parallelism: 2
    steps:
      - checkout
      - run: {name: Look, command: "cat file.txt; git rev-parse HEAD; echo node $CIRCLE_NODE_INDEX"}
      - run: {name: Leave, command: exit << pipeline.parameters.code >>}
workflows: {main: {jobs: [build]}}
`;

test("a pipeline that is triggered runs on the fleet to its end, green or red, and everything can be seen", async () => {
  await using home = await Home.open();
  await using fleet = await Fleet.open();
  const resourceClass = "local/default";
  const env = await fleet.startControlPlane(resourceClass);
  const { url, revision } = await fleet.serveRepository({ "file.txt": "from the repository\n" });
  const project = await home.project(config);
  const trigger = ["trigger", "--config", join(project, ".circleci/config.yml"), "--repo", url, "--branch", "main"];
  const limits = ["--memory", "512m", "--cpus", "1", "--network", "none"];
  await home.cofferdam(["resource-class", "update", resourceClass, ...limits], { env });

  // Nobody is there yet: it waits.
  const green = home.start([...trigger, "--follow"], { env });
  await vi.waitUntil(async () => (await home.cofferdam(["tasks"], { env })).stdout.includes("0 running, 2 waiting"), {
    timeout: 150_000,
  });
  const agent = await fleet.startAgent("agent 1", { url: env.CIRCLE_HOST, resourceClass });
  const { code, stdout, stderr } = await green.ended;
  const red = await home.cofferdam([...trigger, "--param", "code=7", "--follow", "--json"], { env });
  const agents = await home.cofferdam(["agents", "--json"], { env });
  const tasks = await home.cofferdam(["tasks"], { env });
  const drained = await end(agent);

  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const node of [0, 1]) {
    // Lines of tasks that run at once come as they come.
    expect(stdout).toContain(`[build ${node + 1}/2] from the repository\n`);
    expect(stdout).toContain(`[build ${node + 1}/2] ${revision}\n`);
    expect(stdout).toContain(`[build ${node + 1}/2] node ${node}\n`);
  }
  const { story } = told(red.stdout);
  expect({ code: red.code, status: story.job("build")?.status }).toEqual({ code: 1, status: "failed" });
  expect(JSON.parse(agents.stdout)).toMatchObject([
    { name: "agent 1", resource_class: resourceClass, running_tasks: [], last_used: expect.any(String) },
  ]);
  expect(tasks.stdout).toBe("0 running, 0 waiting\n");
  expect(drained).toBe(0);
  expect(fleet.log).not.toContain(env.CIRCLE_TOKEN);
});
