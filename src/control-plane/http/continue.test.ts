import { describe, expect, test } from "vitest";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../protocol/agent-api.ts";
import { compileWith } from "../compile.ts";

const path = "/api/v2/pipeline/continue";
const next = `
version: 2.1
parameters: {target: {type: string, default: none}}
jobs: {build: {machine: true, steps: [{run: "echo << pipeline.parameters.target >>"}]}}
workflows: {main: {jobs: [build]}}`;

async function setUp(more: Parameters<typeof temporaryControlPlane>[0] = {}) {
  const plane = await temporaryControlPlane({ compile: compileWith(), ...more });
  const { id } = await plane.start({ ...configOf(["setup"]), setup: true }, { parameters: { target: "docs" } });
  const setup = await plane.agent.claim(plane.token);
  const key = setup?.task.work.environment["CIRCLE_CONTINUATION_KEY"];
  const goOn = async (json: object) =>
    await plane.agent.call("POST", path, { json: { "continuation-key": key, configuration: next, ...json } });
  return { plane, id, setup, goOn };
}

describe("continuing a setup pipeline", () => {
  test("adds the workflows of the other config, once, with the trigger's parameters", async () => {
    const { plane, id, setup, goOn } = await setUp();
    await using _plane = plane;

    const first = await goOn({});
    const second = await goOn({});

    const build = await plane.agent.claim(plane.token);
    expect([first.status, second.status]).toEqual([200, 409]);
    expect(second).toMatchObject({ json: { message: expect.stringContaining("has been continued already") } });
    expect(build?.task.work.steps).toMatchObject([{ command: "echo docs" }]);
    await setup?.finish();
    await build?.finish();
    const story = await storyOf(plane.controlPlane, id);
    expect(story.filter(({ type }) => type === "workflows-added")).toHaveLength(1);
    expect(jobEnds(story)).toMatchObject({ setup: "success" });
  });

  test.each([
    ["an unknown key", { "continuation-key": "x" }, 404, "this is no continuation key"],
    ["no config", { configuration: undefined }, 400, "configuration: "],
    ["a config with errors", { configuration: "workflows: {main: {jobs: [gone]}}" }, 400, "has errors"],
    ["another setup config", { configuration: `setup: true\n${next}` }, 400, "has `setup: true` itself"],
    ["a parameter that is not declared", { parameters: { other: "x" } }, 400, "Unexpected argument(s): other"],
    ["another value than the trigger's", { parameters: { target: "x" } }, 400, "Conflicting pipeline parameters"],
  ])("is refused for %s", async (_title, json, status, words) => {
    const { plane, goOn } = await setUp();
    await using _plane = plane;

    expect(await goOn(json)).toMatchObject({ status, json: { message: expect.stringContaining(words) } });
  });

  test("takes a task's own request once, however often it is sent", async () => {
    const { plane, setup } = await setUp();
    await using _plane = plane;
    const goOn = async (request: string) =>
      await setup?.call("POST", agentApi.continue, { json: { configuration: next, request } });

    expect(await goOn("one")).toMatchObject({ status: 200 });
    expect(await goOn("one")).toMatchObject({ status: 200 });
    expect(await goOn("two")).toMatchObject({ status: 409 });
  });

  test("is refused to a task of any other pipeline", async () => {
    await using plane = await temporaryControlPlane({ compile: compileWith() });
    await plane.start(configOf(["build"]));
    const task = await plane.agent.claim(plane.token);

    const answer = await task?.call("POST", agentApi.continue, { json: { configuration: next } });

    expect(answer).toMatchObject({ status: 409, json: { message: expect.stringContaining("setup: true") } });
  });

  test("is refused once the pipeline is over", async () => {
    const { plane, setup, goOn } = await setUp();
    await using _plane = plane;
    await setup?.finish();

    expect(await goOn({})).toMatchObject({ status: 409, json: { message: expect.stringContaining("is over") } });
  });

  test("is refused where nothing compiles", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start({ ...configOf(["setup"]), setup: true });
    const setup = await plane.agent.claim(plane.token);

    const json = { "continuation-key": setup?.task.work.environment["CIRCLE_CONTINUATION_KEY"], configuration: next };

    expect(await plane.agent.call("POST", path, { json })).toMatchObject({ status: 503 });
  });
});
