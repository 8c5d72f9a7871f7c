import { randomUUID } from "node:crypto";
import Docker from "dockerode";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDockerReplacer } from "../../src/engine/docker/replacer.ts";
import { isEngineError } from "../../src/engine/engine.ts";
import type { Replacer } from "../../src/engine/replacer.ts";
import { addressUnderTest } from "./engine-under-test.ts";

const never = new AbortController().signal;
const label = "dev.cofferdam.replacer-test";

let docker: Docker;
let replacer: Replacer;
let run: string;

beforeEach(async () => {
  const address = await addressUnderTest();
  docker = new Docker(address.kind === "socket" ? { socketPath: address.path } : address);
  replacer = createDockerReplacer({ address });
  run = `cofferdam-replacer-${randomUUID().slice(0, 8)}`;
});

afterEach(async () => {
  const filters = { label: [`${label}=${run}`] };
  for (const { Id } of await docker.listContainers({ all: true, filters }))
    await docker.getContainer(Id).remove({ force: true });
  for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
});

/** An "agent" of busybox with two networks, a mount and walls. */
async function start(name: string): Promise<string> {
  const Labels = { [label]: run };
  for (const network of ["front", "back"])
    await docker.createNetwork({ Name: `${run}-${network}`, Internal: true, Labels });
  const container = await docker.createContainer({
    name,
    Image: "busybox:latest",
    Entrypoint: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
    Env: ["KEPT=yes", "CHANGED=old"],
    Labels,
    HostConfig: {
      NetworkMode: `${run}-front`,
      RestartPolicy: { Name: "unless-stopped" },
      CapDrop: ["ALL"],
      ReadonlyRootfs: true,
      Tmpfs: { "/scratch": "" },
      Binds: ["/etc/hostname:/mounted:ro"],
    },
  });
  await docker.getNetwork(`${run}-back`).connect({ Container: container.id, EndpointConfig: { Aliases: ["agents"] } });
  await container.start();
  return container.id;
}

test("a copy has everything but the image, runs beside the old one, and takes its name and its restart policy", async () => {
  const old = await start(run);

  const copy = await replacer.copy(
    old,
    { image: "debian:bookworm-slim", name: `${run}-successor`, environment: { CHANGED: "new" } },
    never,
  );

  const { Config, HostConfig, NetworkSettings } = await docker.getContainer(copy).inspect();
  expect(Config).toMatchObject({ Image: "debian:bookworm-slim", Labels: { [label]: run } });
  expect(Config.Env).toEqual(expect.arrayContaining(["KEPT=yes", "CHANGED=new"]));
  expect(Config.Env).not.toContain("CHANGED=old");
  expect(HostConfig).toMatchObject({
    CapDrop: ["ALL"],
    ReadonlyRootfs: true,
    Tmpfs: { "/scratch": "" },
    Binds: ["/etc/hostname:/mounted:ro"],
    RestartPolicy: { Name: "no" },
  });
  expect(Object.keys(NetworkSettings.Networks).sort()).toEqual([`${run}-back`, `${run}-front`]);
  expect(NetworkSettings.Networks[`${run}-back`]?.Aliases).toContain("agents");

  const from = await replacer.look(old, never);
  expect(from).toMatchObject({
    id: old,
    name: run,
    running: true,
    imageReference: "busybox:latest",
    restartPolicy: "unless-stopped",
  });
  await replacer.stop(old, 10_000, never);
  await docker.getContainer(old).remove();
  await replacer.setRestartPolicy(copy, "unless-stopped", never);
  await replacer.rename(copy, run, never);
  expect(await replacer.look(run, never)).toMatchObject({
    id: copy,
    name: run,
    running: true,
    restartPolicy: "unless-stopped",
  });
});

test("a copy that cannot start leaves nothing", async () => {
  const old = await start(run);

  const copying = replacer.copy(
    old,
    { image: "cofferdam/test-no-shell:dev", name: `${run}-2`, environment: {} },
    never,
  );

  await expect(copying).rejects.toSatisfy((error: unknown) => isEngineError(error, "not-startable"));
  expect(await replacer.look(`${run}-2`, never)).toBeUndefined();
  expect(await replacer.look(old, never)).toMatchObject({ running: true });
});

test("a stop of what does not run, or is gone, is fine; a name that is taken is a conflict", async () => {
  const old = await start(run);
  await replacer.stop(old, 10_000, never);
  await replacer.stop(old, 10_000, never);
  await replacer.stop("cofferdam-never-was", 0, never);

  const copy = { image: "busybox:latest", name: run, environment: {} };

  await expect(replacer.copy(old, copy, never)).rejects.toSatisfy((error: unknown) => isEngineError(error, "conflict"));
});
