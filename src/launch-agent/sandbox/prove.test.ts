import { expect, test } from "vitest";
import { anAgent } from "../../../test/fakes/launch-agents.ts";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { EngineError } from "../../engine/engine.ts";
import { type LaidGround, layGround } from "../ground.ts";
import { SandboxError } from "./maker.ts";
import { proveSandboxes } from "./prove.ts";

const away = new EngineError("unreachable", "containerd is away");

/** Sandboxes that are required, and fail with these errors before they work. */
async function groundWith(failures: Error[]): Promise<LaidGround["ground"]> {
  const engine = createDummyEngine();
  const { ground } = layGround(
    { ...anAgent, engine, times: { engineRestMs: 1 }, sandboxes: { mode: "required" } },
    await engine.info(new AbortController().signal),
  );
  ground.sandboxes.prove = async () => {
    const failure = failures.shift();
    if (failure) throw failure;
  };
  return ground;
}

test.each([
  ["by itself", away],
  [
    "with another agent that makes the same network",
    new SandboxError("no sandbox can be made", { cause: new EngineError("conflict", "network is ambiguous") }),
  ],
  ["as the reason why no sandbox can be made", new SandboxError("no sandbox can be made", { cause: away })],
])("an engine that is away is waited for, told %s", async (_how, failure) => {
  const failures = [failure, failure];
  const ground = await groundWith(failures);

  await proveSandboxes(ground, new AbortController().signal);

  expect(failures).toEqual([]);
});

test("what will not pass by itself ends an agent that requires sandboxes", async () => {
  const ground = await groundWith([new SandboxError("there is no nft")]);

  await expect(proveSandboxes(ground, new AbortController().signal)).rejects.toThrow("there is no nft");
});
