import { expect, test } from "vitest";
import type { Held } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../../protocol/agent-api.ts";

const reference = "docker.io/library/debian:12";
const digests = ["a", "b"].map((letter) => `sha256:${letter.repeat(64)}`);

async function claim(plane: TemporaryControlPlane): Promise<Held> {
  const held = await plane.agent.claim(plane.token, { waitMs: 1_000 });
  if (!held) throw new Error("no task");
  return held;
}

async function pin(held: Held, digest = ""): Promise<unknown> {
  const answer = await held.call("POST", agentApi.imagePins, { json: { reference, digest } });
  return JSON.parse(answer.bytes.toString("utf8"));
}

test("the first task of a pipeline to say what a tag means decides for all of them", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one", "two", "three"]));
  const first = await claim(plane);
  const second = await claim(plane);

  expect(first.task.imagePins).toBeUndefined();
  await expect(pin(first, digests[0])).resolves.toEqual({ digest: digests[0] });
  await expect(pin(second, digests[1])).resolves.toEqual({ digest: digests[0] });
  expect((await claim(plane)).task.imagePins).toEqual({ [reference]: digests[0] });
});

test("another pipeline finds out for itself", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one"]));
  await pin(await claim(plane), digests[0]);
  await plane.start(configOf(["one"]));

  const other = await claim(plane);

  expect(other.task.imagePins).toBeUndefined();
  await expect(pin(other, digests[1])).resolves.toEqual({ digest: digests[1] });
});

test("what is no digest is refused", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one"]));

  await expect(pin(await claim(plane), "latest")).resolves.toMatchObject({ code: "bad-request" });
});
