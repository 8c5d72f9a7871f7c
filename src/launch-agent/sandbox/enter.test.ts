import { afterEach, expect, test } from "vitest";
import { aPlan } from "../../../test/fakes/containers.ts";
import { anAgent } from "../../../test/fakes/launch-agents.ts";
import { FakeHost, isSandbox, playSandbox, sandboxImageLabels } from "../../../test/fakes/sandbox.ts";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { Network } from "../../protocol/task.ts";
import { type LaidGround, layGround } from "../ground.ts";
import { enterSandbox } from "./enter.ts";
import type { OpenPlan } from "./need.ts";
import type { SandboxMode } from "./options.ts";

const never = new AbortController().signal;
const options = { untilMs: 0, signal: never };

let laid: LaidGround;

afterEach(async () => {
  await laid.ground.sandboxes.close();
});

async function open(mode: SandboxMode, broken: FakeHost["broken"] = "no") {
  const host = new FakeHost();
  host.broken = broken;
  const engine = createDummyEngine({
    images: { [anAgent.taskAgentImage]: { labels: sandboxImageLabels } },
    program: async (process) => (isSandbox(process) ? await playSandbox(process, () => "") : 0),
    helper: host.helper,
  });
  laid = layGround({ ...anAgent, engine, sandboxes: { mode } }, await engine.info(never));
  return laid.ground;
}

function plan(network: Partial<Network> = {}): OpenPlan {
  return {
    ...aPlan({ network: { mode: "bridge" } }),
    localNames: ["db"],
    sandbox: { network: Network.parse(network), localNames: ["db"], tenant: "ns/class standard", reusable: true },
  };
}

test("a plan joins its sandbox, which has its names, and says so in a label", async () => {
  const { plan: entered, sandbox } = await enterSandbox(plan(), await open("required"), options);

  expect(entered.network).toEqual({ mode: "join", container: sandbox?.id });
  expect(entered.labels).toEqual({ owner: "test", "dev.cofferdam.sandbox": sandbox?.name });
  expect([entered.localNames, sandbox?.localNames]).toEqual([undefined, ["db"]]);
  expect("sandbox" in entered).toBe(false);
});

test("where a sandbox is required and cannot be had, there is no network", async () => {
  await expect(enterSandbox(plan(), await open("required", "fails"), options)).rejects.toThrow(
    /no sandbox can be made/,
  );
});

test.each([
  ["off", "no", /without rules: .*sandboxes are switched off here/],
  ["preferred", "fails", /without rules: .*Operation not permitted/],
] as const)(
  "%s: a task is on the default bridge where its helper %s, and its log says what that means",
  async (mode, broken, words) => {
    const entered = await enterSandbox(plan(), await open(mode, broken), options);

    expect(entered.plan.network).toEqual({ mode: "bridge" });
    expect(entered.words.join("\n")).toMatch(words);
  },
);

test.each([
  ["off", "no"],
  ["preferred", "fails"],
] as const)("%s: a class with rules never runs without them", async (mode, broken) => {
  const ground = await open(mode, broken);

  for (const network of [{ deny: [{ to: "10.0.0.0/8", protocol: "tcp" as const }] }, { allow: [] }, { audit: true }])
    await expect(enterSandbox(plan(network), ground, options)).rejects.toThrow(/cannot be kept here/);
});
