import { expect, test } from "vitest";
import type { Held } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
  testRoute,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../../protocol/agent-api.ts";
import type { Route } from "../../index.ts";

const debian = "docker.io/library/debian:12";
const digests = ["a", "b"].map((letter) => `sha256:${letter.repeat(64)}`);

async function claim(plane: TemporaryControlPlane): Promise<Held> {
  const held = await plane.agent.claim(plane.token, { waitMs: 1_000 });
  if (!held) throw new Error("no task");
  return held;
}

async function pin(held: Held, digest = "", reference = debian): Promise<unknown> {
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
  expect((await claim(plane)).task.imagePins).toEqual({ [debian]: digests[0] });
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

/** A pipeline of two jobs in each of these classes. */
async function inClasses(classes: Record<string, Partial<Route>>) {
  const names = Object.keys(classes);
  const plane = await temporaryControlPlane({
    route: (name = "") => ({ ...testRoute, ...classes[name], queue: name }),
  });
  for (const name of names) await plane.controlPlane.putResourceClass({ name });
  const job = (name: string) => ({ machine: true as const, resource_class: name, steps: [{ run: "true" }] });
  await plane.start({
    jobs: Object.fromEntries(names.flatMap((name) => [`${name}-1`, `${name}-2`].map((id) => [id, job(name)]))),
    workflows: { w: { jobs: names.flatMap((name) => [`${name}-1`, `${name}-2`]) } },
  });
  const claimIn = async (name: string): Promise<Held> => {
    const token = (await plane.controlPlane.createToken(name, "test")).reveal();
    const held = await plane.agent.claim(token, { waitMs: 1_000 });
    if (!held) throw new Error(`no task in ${name}`);
    return held;
  };
  return { claimIn, [Symbol.asyncDispose]: async () => await plane[Symbol.asyncDispose]() };
}

test("classes that pull from one registry follow one another", async () => {
  await using pipeline = await inClasses({ "a/one": {}, "a/other": { pull: "always" } });
  await pin(await pipeline.claimIn("a/one"), digests[0]);

  const other = await pipeline.claimIn("a/other");

  expect(other.task.imagePins).toEqual({ [debian]: digests[0] });
  await expect(pin(other, digests[1])).resolves.toEqual({ digest: digests[0] });
});

const ownRules: [string, Partial<Route>][] = [
  ["pulls nothing", { pull: "never" }],
  ["allows some images only", { allowedImages: ["debian:12"] }],
];

test.each(ownRules)("a class that %s goes by its own tasks' word, and nobody else by theirs", async (_title, own) => {
  await using pipeline = await inClasses({ "a/plain": {}, "a/own": own });
  await pin(await pipeline.claimIn("a/plain"), digests[0]);

  const first = await pipeline.claimIn("a/own");
  await expect(pin(first, digests[1])).resolves.toEqual({ digest: digests[1] });

  expect(first.task.imagePins).toBeUndefined();
  expect((await pipeline.claimIn("a/own")).task.imagePins).toEqual({ [debian]: digests[1] });
  expect((await pipeline.claimIn("a/plain")).task.imagePins).toEqual({ [debian]: digests[0] });
});

test.each(["localhost:5000/app:1", "127.0.0.1:5000/app:1"])(
  "%s is of the host's own registry, which another class's hosts do not have",
  async (name) => {
    await using pipeline = await inClasses({ "a/one": {}, "a/other": {} });
    await pin(await pipeline.claimIn("a/one"), digests[0], name);

    const other = await pipeline.claimIn("a/other");

    expect(other.task.imagePins).toBeUndefined();
    await expect(pin(other, digests[1], name)).resolves.toEqual({ digest: digests[1] });
    expect((await pipeline.claimIn("a/one")).task.imagePins).toEqual({ [name]: digests[0] });
  },
);
